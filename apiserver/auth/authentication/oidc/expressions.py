"""CEL expressions about claims and users, evaluated by the library `cel`.

It is imported by the first expression. What it does not have is refused at start: optional values (`.?`, orValue), and
Kubernetes' own functions beyond those of strings and lists.
Source: Kubernetes documentation, "Common Expression Language in Kubernetes".
"""

from __future__ import annotations

from functools import cache
from typing import Any

CORE_FUNCTIONS = frozenset({
    "size", "contains", "startsWith", "endsWith", "matches", "string", "bytes", "int", "uint", "double", "duration",
    "timestamp", "max", "min",
})  # fmt: skip


class BadExpression(Exception):
    """The expression can't be used, or fails for a value."""


@cache
def _functions() -> frozenset[str]:
    from cel import Context, stdlib

    context = Context()
    stdlib.add_stdlib_to_context(context)
    return frozenset([*CORE_FUNCTIONS, *context.functions])


class Expression:
    """One expression over one variable."""

    def __init__(self, text: str, variable: str) -> None:
        """Raises: BadExpression."""
        import cel

        self.text = text
        self._variable = variable
        try:
            self._program = cel.compile(text)
        except ValueError as error:
            raise BadExpression(f"{text!r} is not an expression: {' '.join(str(error).split())}") from None
        names = [name for name in self._program.functions() if name[0].isalpha() or "." in name]
        unknown = [name for name in names if name not in _functions()]
        if unknown:
            raise BadExpression(f"{text!r} uses functions that this server does not have: {', '.join(unknown)}")
        if variable not in self._program.variables():
            raise BadExpression(f"{text!r} does not use {variable}, which it is about")

    def evaluate(self, value: object) -> Any:
        """Raises: BadExpression, for a claim that is missing as well."""
        from cel import Context, stdlib

        context = Context()
        stdlib.add_stdlib_to_context(context)
        context.add_variable(self._variable, value)
        try:
            return self._program.execute(context)
        except Exception as error:  # of the library's own choice: KeyError, ValueError, RuntimeError, TypeError ...
            raise BadExpression(f"{self.text!r}: {error}") from None
