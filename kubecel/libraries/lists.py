"""Lists: sum, min, max, isSorted, indexOf, lastIndexOf.

Source: Kubernetes documentation, "CEL in Kubernetes", "Kubernetes list library".
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from kubecel.functions import Library, per_item
from kubecel.libraries.operators import add
from kubecel.values import (
    Duration,
    EvaluationError,
    UInt,
    checked_duration,
    checked_uint,
    equal,
)

LIBRARY = Library("lists")
EACH = per_item()

for item_type in ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes"):

    @LIBRARY(f"list({item_type}).isSorted(): bool", cost=EACH)
    def is_sorted(items: list[Any]) -> bool:
        return all(_comparable(one, other) and one <= other for one, other in pairwise(items))

    @LIBRARY(f"list({item_type}).min(): {item_type}", cost=EACH)
    def smallest(items: list[Any]) -> Any:
        return _extreme(items, "min")

    @LIBRARY(f"list({item_type}).max(): {item_type}", cost=EACH)
    def largest(items: list[Any]) -> Any:
        return _extreme(items, "max")


for item_type in ("int", "uint", "double", "duration"):

    @LIBRARY(f"list({item_type}).sum(): {item_type}", cost=EACH)
    def total(items: list[Any]) -> Any:
        sums: Any = items[0] if items else 0
        for item in items[1:]:
            sums = _plus(sums, item)
        return sums


def _plus(one: Any, other: Any) -> Any:
    if one.__class__ is not other.__class__ or one.__class__ not in (int, UInt, float, Duration):
        raise EvaluationError("no such overload")
    if one.__class__ is int:
        return add(one, other)
    if one.__class__ is UInt:
        return checked_uint(int(one) + int(other))
    return checked_duration(one.nanos + other.nanos) if one.__class__ is Duration else one + other


def _comparable(one: Any, other: Any) -> bool:
    if one.__class__ is not other.__class__ or one.__class__ in (list, dict, type(None)):
        raise EvaluationError("no such overload")
    return True


def _extreme(items: list[Any], which: str) -> Any:
    if not items:
        raise EvaluationError(f"{which} called on empty list")
    best = items[0]
    for item in items[1:]:
        if _comparable(best, item) and (item < best if which == "min" else item > best):
            best = item
    return best


@LIBRARY("list(T).indexOf(T): int", cost=EACH)
def index_of(items: list[Any], value: Any) -> int:
    return next((at for at, item in enumerate(items) if equal(item, value)), -1)


@LIBRARY("list(T).lastIndexOf(T): int", cost=EACH)
def last_index_of(items: list[Any], value: Any) -> int:
    return next((at for at in range(len(items) - 1, -1, -1) if equal(items[at], value)), -1)
