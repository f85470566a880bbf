"""Strings: sizes, parts, splitting, `format`.

Source: the CEL language definition; cel-go's extension "Strings", version 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from kubecel._times import format_duration, format_timestamp
from kubecel.functions import FIRST, Library, fixed, per_character
from kubecel.libraries.conversions import string_of_double
from kubecel.types import Type
from kubecel.values import Duration, EvaluationError, Timestamp, UInt

LIBRARY = Library("strings")
MAX_TEXT = 10_000_000  # characters that one call may make
SEARCH = per_character()

for sized in ("string", "bytes", "list(T)", "map(K, V)"):
    LIBRARY.add(f"size({sized}): int", len)
    LIBRARY.add(f"{sized}.size(): int", len)


def _both(sizes: Sequence[int]) -> int:
    return math.ceil(sizes[0] * 0.1) * math.ceil(sizes[1] * 0.1)


def _affix(sizes: Sequence[int]) -> int:
    return math.ceil(sizes[1] * 0.1)


LIBRARY.add("string.contains(string): bool", lambda text, part: part in text, cost=_both)
LIBRARY.add("string.startsWith(string): bool", str.startswith, cost=_affix)
LIBRARY.add("string.endsWith(string): bool", str.endswith, cost=_affix)
_ASCII_LOWER = {code: code + 32 for code in range(65, 91)}
_ASCII_UPPER = {code: code - 32 for code in range(97, 123)}
LIBRARY.add("string.lowerAscii(): string", lambda text: text.translate(_ASCII_LOWER), cost=SEARCH, size=FIRST)
LIBRARY.add("string.upperAscii(): string", lambda text: text.translate(_ASCII_UPPER), cost=SEARCH, size=FIRST)
LIBRARY.add("string.trim(): string", str.strip, cost=SEARCH, size=FIRST)


@LIBRARY("string.charAt(int): string", size=fixed(1))
def char_at(text: str, index: int) -> str:
    if not 0 <= index <= len(text):
        raise EvaluationError(f"index out of range: {index}")
    return text[index : index + 1]


@LIBRARY("string.indexOf(string): int", cost=_both)
def index_of(text: str, part: str) -> int:
    return text.find(part)


@LIBRARY("string.indexOf(string, int): int", cost=_both)
def index_of_from(text: str, part: str, start: int) -> int:
    if part and not 0 <= start <= len(text):
        raise EvaluationError(f"index out of range: {start}")
    return text.find(part, start) if part else start


@LIBRARY("string.lastIndexOf(string): int", cost=_both)
def last_index_of(text: str, part: str) -> int:
    return text.rfind(part)


@LIBRARY("string.lastIndexOf(string, int): int", cost=_both)
def last_index_of_until(text: str, part: str, last: int) -> int:
    if part and not 0 <= last <= len(text):
        raise EvaluationError(f"index out of range: {last}")
    return text.rfind(part, 0, last + len(part)) if part else last


@LIBRARY("string.substring(int): string", cost=SEARCH, size=FIRST)
def substring_from(text: str, start: int) -> str:
    return substring(text, start, len(text))


@LIBRARY("string.substring(int, int): string", cost=SEARCH, size=FIRST)
def substring(text: str, start: int, end: int) -> str:
    if start > end:
        raise EvaluationError(f"invalid substring range. start: {start}, end: {end}")
    for index in (start, end):
        if not 0 <= index <= len(text):
            raise EvaluationError(f"index out of range: {index}")
    return text[start:end]


def _replaced(sizes: Sequence[int]) -> int:
    return sizes[0] + (sizes[0] + 1) * sizes[2]


@LIBRARY("string.replace(string, string): string", cost=SEARCH, size=_replaced)
def replace(text: str, old: str, new: str) -> str:
    return replace_some(text, old, new, -1)


@LIBRARY("string.replace(string, string, int): string", cost=SEARCH, size=_replaced)
def replace_some(text: str, old: str, new: str, limit: int) -> str:
    count = text.count(old)
    _check_size(len(text) + (count if limit < 0 else min(count, limit)) * (len(new) - len(old)))
    return text.replace(old, new, max(limit, -1))


@LIBRARY("string.split(string): list(string)", cost=SEARCH, size=FIRST)
def split(text: str, separator: str) -> list[str]:
    return split_some(text, separator, -1)


@LIBRARY("string.split(string, int): list(string)", cost=SEARCH, size=FIRST)
def split_some(text: str, separator: str, limit: int) -> list[str]:
    if limit == 0:
        return []
    if limit == 1:
        return [text]
    if separator:
        return text.split(separator, limit - 1 if limit > 0 else -1)
    if 0 < limit < len(text):
        return [*text[: limit - 1], text[limit - 1 :]]
    return list(text)


@LIBRARY("list(string).join(): string")
def join_plain(items: list[str]) -> str:
    return join(items, "")


@LIBRARY("list(string).join(string): string", cost=lambda sizes: math.ceil(sizes[0] * (1 + sizes[1]) * 0.1))
def join(items: list[str], separator: str) -> str:
    if not all(isinstance(item, str) for item in items):
        raise EvaluationError("no such overload")
    _check_size(sum(map(len, items)) + len(items) * len(separator))
    return separator.join(items)


_QUOTED = {7: r"\a", 8: r"\b", 12: r"\f", 10: r"\n", 13: r"\r", 9: r"\t", 11: r"\v", 92: r"\\", 34: r"\""}


@LIBRARY("strings.quote(string): string", cost=SEARCH, size=lambda sizes: 2 * sizes[0] + 2)
def quote(text: str) -> str:
    return f'"{text.translate(_QUOTED)}"'


def _check_size(size: int) -> None:
    if size > MAX_TEXT:
        raise EvaluationError(f"the text would be longer than {MAX_TEXT} characters")


@LIBRARY("string.format(list(dyn)): string", cost=per_character(0, 1))
def format_string(text: str, values: list[Any]) -> str:
    parts: list[str] = []
    given = iter(values)
    at = size = 0
    while at < len(text):
        percent = text.find("%", at)
        if percent < 0:
            parts.append(text[at:])
            break
        parts.append(text[at:percent])
        verb, at = _verb(text, percent + 1)
        if verb == "%":
            parts.append("%")
            continue
        try:
            value = next(given)
        except StopIteration:
            raise EvaluationError(f"index {len(values)} out of range") from None
        parts.append(_formatted(verb, value))
        size += len(parts[-1])
        _check_size(size)
    return "".join(parts)


def _verb(text: str, at: int) -> tuple[str, int]:
    """("%.2f ...", 1) -> ("2f", 4): the precision with the letter, and the place behind."""
    digits = ""
    if text[at : at + 1] == ".":
        at += 1
        while text[at : at + 1].isdigit() and len(digits) < 4:
            digits, at = digits + text[at], at + 1
    letter = text[at : at + 1]
    if letter not in tuple("sdfebxXo%"):
        raise EvaluationError(f'could not parse formatting clause: unrecognized formatting clause "{letter}"')
    return digits + letter, at + 1


def _formatted(verb: str, value: Any) -> str:
    letter, precision = verb[-1], min(int(verb[:-1] or 6), 1000)
    kind = value.__class__
    if letter == "s":
        return text_of(value)
    if letter == "d" and kind in (int, UInt, float):
        return string_of_double(value) if kind is float else str(value)
    if letter in "fe" and kind in (float, int, UInt):
        return f"{float(value):.{precision}{letter}}"
    if letter == "b" and kind in (int, UInt, bool):
        return f"{int(value):b}"
    if letter in "xX" and kind in (str, bytes):
        digits = bytes(value.encode() if kind is str else value).hex()
        return digits.upper() if letter == "X" else digits
    if letter in "xXo" and kind in (int, UInt):
        return f"{int(value):{letter}}"
    raise EvaluationError(f"error during formatting: no such formatting clause %{letter} for this type")


def text_of(value: Any, depth: int = 0) -> str:
    """The text of any value, as `%s` prints it."""
    if depth > 20:
        raise EvaluationError("error during formatting: nested too deeply")
    match value:
        case str():
            return value
        case None | bool():
            return "null" if value is None else "true" if value else "false"
        case float():
            return string_of_double(value)
        case bytes():
            return value.decode(errors="replace")
        case Timestamp():
            return format_timestamp(value)
        case Duration():
            return format_duration(value)
        case list():
            _check_size(len(value))
            return f"[{', '.join(_within_limit(text_of(item, depth + 1) for item in value))}]"
        case dict():
            entries = sorted((text_of(key, depth + 1), item) for key, item in value.items())
            return f"{{{', '.join(_within_limit(f'{key}: {text_of(item, depth + 1)}' for key, item in entries))}}}"
        case int() | Type():
            return str(value)
    raise EvaluationError("error during formatting: unsupported type")


def _within_limit(texts: Any) -> list[str]:
    kept, size = [], 0
    for text in texts:
        kept.append(text)
        size += len(text)
        _check_size(size)
    return kept
