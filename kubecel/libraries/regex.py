"""Regular expressions: matches, find, findAll. RE2 takes time in proportion to the text, whatever the expression is.

Source: Kubernetes documentation, "CEL in Kubernetes", "Kubernetes regex library".
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from kubecel.functions import FIRST, Library, pattern
from kubecel.values import EvaluationError

LIBRARY = Library("regex")


@lru_cache(maxsize=512)
def compiled(text: str) -> Any:
    """Raises: EvaluationError."""
    import re2  # by the first expression that needs it

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise EvaluationError(f"error parsing regexp: {reason}") from None


@LIBRARY("string.matches(string): bool", cost=pattern())
def matches(text: str, regex: str) -> bool:
    return compiled(regex).search(text) is not None


LIBRARY.add("matches(string, string): bool", matches, cost=pattern())


@LIBRARY("string.find(string): string", cost=pattern(), size=FIRST)
def find(text: str, regex: str) -> str:
    match = compiled(regex).search(text)
    return match.group() if match else ""


@LIBRARY("string.findAll(string): list(string)", cost=pattern(), size=FIRST)
def find_all(text: str, regex: str) -> list[str]:
    return find_some(text, regex, -1)


@LIBRARY("string.findAll(string, int): list(string)", cost=pattern(), size=FIRST)
def find_some(text: str, regex: str, limit: int) -> list[str]:
    parts: list[str] = []
    for match in compiled(regex).finditer(text):
        if 0 <= limit <= len(parts):
            break
        parts.append(match.group())
    return parts
