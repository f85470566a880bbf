"""CEL expressions about claims and users.

Source: Kubernetes documentation, "Authenticating", "Authentication configuration".
"""

from __future__ import annotations

from typing import Any

from kubecel import DYN, CompileError, CostExceeded, EvaluationError, compile_expression


class BadExpression(Exception):
    """The expression can't be used, or fails for a value."""


class Expression:
    """One expression over one variable."""

    def __init__(self, text: str, variable: str) -> None:
        """Raises: BadExpression."""
        self.text = text
        self._variable = variable
        try:
            self._program = compile_expression(text, {variable: DYN})
        except CompileError as error:
            raise BadExpression(f"{text!r}: compilation failed: {error}") from None
        if variable not in self._program.uses:
            raise BadExpression(f"{text!r} does not use {variable}, which it is about")

    def evaluate(self, value: object) -> Any:
        """Raises: BadExpression, for a claim that is missing as well."""
        try:
            return self._program.evaluate({self._variable: value})
        except EvaluationError as error:
            raise BadExpression(f"{self.text!r}: {error}") from None
        except CostExceeded:
            raise BadExpression(f"{self.text!r}: the evaluation costs too much") from None
