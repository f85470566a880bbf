"""Reads and changes status conditions: one entry per type, and lastTransitionTime moves only when `status` does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, Self, TypeVar


class _Condition(Protocol):
    type: str
    status: str


class _TimedCondition(_Condition, Protocol):
    lastTransitionTime: str

    def clone(self) -> Self: ...


C = TypeVar("C", bound=_Condition)
T = TypeVar("T", bound=_TimedCondition)


def get_condition(conditions: Iterable[C] | None, kind: str) -> C | None:
    return next((condition for condition in conditions or () if condition.type == kind), None)


def is_true(conditions: Iterable[C] | None, kind: str) -> bool:
    condition = get_condition(conditions, kind)
    return condition is not None and condition.status == "True"


def set_condition(conditions: Iterable[T] | None, condition: T) -> list[T]:
    """Returns the conditions with `condition` in place of the one of its type, or last.

    It takes over the lastTransitionTime of the one it replaces when the status is the same.
    """
    result: list[T] = []
    placed = False
    for old in conditions or ():
        if old.type != condition.type:
            result.append(old)
            continue
        if old.status == condition.status and old.lastTransitionTime:
            condition = condition.clone()
            condition.lastTransitionTime = old.lastTransitionTime
        result.append(condition)
        placed = True
    if not placed:
        result.append(condition)
    return result


def remove_condition(conditions: Iterable[C] | None, kind: str) -> list[C]:
    return [condition for condition in conditions or () if condition.type != kind]
