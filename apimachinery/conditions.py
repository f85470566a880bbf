"""Status conditions: one entry per type; lastTransitionTime moves only when `status` does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar


class HasCondition(Protocol):
    type: str
    status: str
    lastTransitionTime: str | None


class _Timeless(Protocol):
    type: str
    status: str


C = TypeVar("C", bound="_Timeless")


def get_condition(conditions: Iterable[C] | None, kind: str) -> C | None:
    return next((condition for condition in conditions or () if condition.type == kind), None)


def is_true(conditions: Iterable[C] | None, kind: str) -> bool:
    condition = get_condition(conditions, kind)
    return condition is not None and condition.status == "True"


def set_condition(conditions: list[C] | None, condition: C) -> list[C]:
    """A new list with `condition` in place of the one of its type; it takes that one's lastTransitionTime when the
    status is the same."""
    result = []
    placed = False
    for old in conditions or ():
        if old.type != condition.type:
            result.append(old)
            continue
        since = getattr(old, "lastTransitionTime", None)
        if old.status == condition.status and since:
            condition = condition.model_copy(update={"lastTransitionTime": since})  # type: ignore[attr-defined]
        result.append(condition)
        placed = True
    if not placed:
        result.append(condition)
    return result


def remove_condition(conditions: list[C] | None, kind: str) -> list[C] | None:
    return [condition for condition in conditions if condition.type != kind] if conditions else conditions
