"""Lists as sets: sets.contains, sets.equivalent, sets.intersects."""

from __future__ import annotations

from typing import Any

from kubecel.functions import Library, product
from kubecel.values import contains

LIBRARY = Library("sets")
EACH_WITH_EACH = product(0, 1)


@LIBRARY("sets.contains(list(T), list(T)): bool", cost=EACH_WITH_EACH)
def set_contains(items: list[Any], wanted: list[Any]) -> bool:
    return all(contains(items, item) for item in wanted)


@LIBRARY("sets.equivalent(list(T), list(T)): bool", cost=product(0, 1, 2))
def set_equivalent(one: list[Any], other: list[Any]) -> bool:
    return set_contains(one, other) and set_contains(other, one)


@LIBRARY("sets.intersects(list(T), list(T)): bool", cost=EACH_WITH_EACH)
def set_intersects(one: list[Any], other: list[Any]) -> bool:
    return any(contains(one, item) for item in other)
