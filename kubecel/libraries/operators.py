"""Operators. `&&`, `||`, `?:`, equality and indices only have their types here: they evaluate by rules of their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from kubecel.functions import ONE, SUM, Cost, Library, per_character, per_item
from kubecel.values import (
    EvaluationError,
    MapList,
    SetList,
    UInt,
    checked_duration,
    checked_int,
    checked_timestamp,
    checked_uint,
    contains,
)

LIBRARY = Library("operators")


def _by_rule(*values: Any) -> Any:
    raise AssertionError("evaluated by a rule of its own")


for signature in (
    "_&&_(bool, bool): bool",
    "_||_(bool, bool): bool",
    "_?_:_(bool, T, T): T",
    "_==_(T, T): bool",
    "_!=_(T, T): bool",
    "_[_](list(T), int): T",
    "_[_](map(K, V), K): V",
    "_[_](optional_type(list(T)), int): optional_type(T)",
    "_[_](optional_type(map(K, V)), K): optional_type(V)",
    "_[?_](list(T), int): optional_type(T)",
    "_[?_](map(K, V), K): optional_type(V)",
    "_[?_](optional_type(list(T)), int): optional_type(T)",
    "_[?_](optional_type(map(K, V)), K): optional_type(V)",
):
    LIBRARY.add(signature, _by_rule)

LIBRARY.add("@in(T, list(T)): bool", lambda value, items: contains(items, value), cost=per_item(1))
LIBRARY.add("@in(K, map(K, V)): bool", lambda value, items: contains(items, value))
LIBRARY.add("!_(bool): bool", lambda value: not value)


def _shorter(sizes: Sequence[int]) -> int:
    return max(1, math.ceil(min(sizes) * 0.1))


_COMPARED: tuple[tuple[str, str, Cost], ...] = (
    *((one, other, ONE) for one in ("int", "uint", "double") for other in ("int", "uint", "double")),
    ("string", "string", _shorter),
    ("bytes", "bytes", _shorter),
    ("bool", "bool", ONE),
    ("timestamp", "timestamp", ONE),
    ("duration", "duration", ONE),
)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}
for symbol, comparison in _COMPARISONS.items():
    for left, right, cost in _COMPARED:
        LIBRARY.add(f"_{symbol}_({left}, {right}): bool", comparison, cost=cost)


@LIBRARY("_+_(int, int): int")
def add(one: int, other: int) -> int:
    return checked_int(one + other)


@LIBRARY("_-_(int, int): int")
def subtract(one: int, other: int) -> int:
    return checked_int(one - other)


@LIBRARY("_*_(int, int): int")
def multiply(one: int, other: int) -> int:
    return checked_int(one * other)


@LIBRARY("_/_(int, int): int")
def divide(one: int, other: int) -> int:
    """Rounds towards zero."""
    if other == 0:
        raise EvaluationError("division by zero")
    quotient = abs(one) // abs(other)
    return checked_int(quotient if (one < 0) is (other < 0) else -quotient)


@LIBRARY("_%_(int, int): int")
def remainder(one: int, other: int) -> int:
    if other == 0:
        raise EvaluationError("modulus by zero")
    return one - other * divide(one, other)


@LIBRARY("-_(int): int")
def negate(one: int) -> int:
    return checked_int(-one)


LIBRARY.add("_+_(uint, uint): uint", lambda one, other: checked_uint(int(one) + int(other)))
LIBRARY.add("_-_(uint, uint): uint", lambda one, other: checked_uint(int(one) - int(other)))
LIBRARY.add("_*_(uint, uint): uint", lambda one, other: checked_uint(int(one) * int(other)))
LIBRARY.add("_/_(uint, uint): uint", lambda one, other: UInt(divide(int(one), int(other))))
LIBRARY.add("_%_(uint, uint): uint", lambda one, other: UInt(remainder(int(one), int(other))))
LIBRARY.add("_+_(double, double): double", lambda one, other: one + other)
LIBRARY.add("_-_(double, double): double", lambda one, other: one - other)
LIBRARY.add("_*_(double, double): double", lambda one, other: one * other)
LIBRARY.add("-_(double): double", lambda one: -one)


@LIBRARY("_/_(double, double): double")
def divide_doubles(one: float, other: float) -> float:
    if other:
        return one / other
    return math.nan if one == 0 or math.isnan(one) else math.copysign(math.inf, one) * math.copysign(1, other)


LIBRARY.add("_+_(string, string): string", lambda one, other: one + other, cost=per_character(0, 1), size=SUM)
LIBRARY.add("_+_(bytes, bytes): bytes", lambda one, other: one + other, cost=per_character(0, 1), size=SUM)


@LIBRARY("_+_(list(T), list(T)): list(T)", cost=lambda sizes: max(1, sum(sizes) // 10), size=SUM)
def concatenate(one: list[Any], other: list[Any]) -> list[Any]:
    """Upstream's lists share their parts, so that this costs 1 there; here it is paid for by length."""
    if isinstance(one, SetList):
        return SetList([*one, *(item for item in other if not contains(one, item))])
    if isinstance(one, MapList):
        merged = {one.key(item): item for item in one} | {one.key(item): item for item in other}
        return MapList(merged.values(), one.keys)
    return [*one, *other]


LIBRARY.add("_+_(timestamp, duration): timestamp", lambda one, other: checked_timestamp(one.nanos + other.nanos))
LIBRARY.add("_+_(duration, timestamp): timestamp", lambda one, other: checked_timestamp(one.nanos + other.nanos))
LIBRARY.add("_+_(duration, duration): duration", lambda one, other: checked_duration(one.nanos + other.nanos))
LIBRARY.add("_-_(timestamp, timestamp): duration", lambda one, other: checked_duration(one.nanos - other.nanos))
LIBRARY.add("_-_(timestamp, duration): timestamp", lambda one, other: checked_timestamp(one.nanos - other.nanos))
LIBRARY.add("_-_(duration, duration): duration", lambda one, other: checked_duration(one.nanos - other.nanos))
