"""The macros: `all`, `exists`, `map`, `filter` and the others go through a list or a map.

Like every part of an expression, a macro becomes a function of a frame (see `closures`). Its members are an iterator
that sets the variables of the macro in the frame, one member after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kubecel.access import NO_OVERLOAD, put
from kubecel.values import CostExceeded, EvaluationError

Frame = list[Any]
Step = Callable[[Frame], Any]

LIST_COST, MAP_COST, STRUCT_COST = 10, 30, 40

FOLD_COSTS = {
    # before the first member; for each member; besides for each that the condition chooses
    "all": (1, 3, 0),
    "exists": (1, 4, 0),
    "existsOne": (2, 0, 2),
    "map": (1 + LIST_COST, 0, 2 + LIST_COST),
    "filter": (1 + LIST_COST, 1, 2 + LIST_COST),
    "transformList": (1 + LIST_COST, 0, 2 + LIST_COST),
    "transformMap": (1 + MAP_COST, 0, 3),
    "transformMapEntry": (1 + MAP_COST, 0, 3),
}
"""What a macro costs besides its condition and its result: upstream expands it to a loop with an accumulator."""

Members = Callable[[Frame], Iterator[None]]


def members_of(over: Step, slots: tuple[int, ...], start: int, each: int) -> Members:
    """Goes through a list or a map, with the variables of the macro set for each member."""
    first, second = slots[0], slots[-1]
    two = len(slots) == 2

    def members(frame: Frame) -> Iterator[None]:
        values = over(frame)
        frame[0] -= start
        if isinstance(values, dict):
            pairs: Any = values.items() if two else values
        elif isinstance(values, list | tuple):
            pairs = enumerate(values) if two else values
        else:
            raise EvaluationError("got '" + values.__class__.__name__ + "', expected iterable type")
        for pair in pairs:
            frame[0] -= each
            if frame[0] < 0:
                raise CostExceeded
            if two:
                frame[first], frame[second] = pair
            else:
                frame[first] = pair
            yield

    return members


def any_or_all(members: Members, where: Step, *, decided_by: bool) -> Step:
    """`exists` is decided by a true member, `all` by a false one: an error counts if no member decides."""

    def ask(frame: Frame) -> bool:
        fault: EvaluationError | None = None
        for _ in members(frame):
            try:
                value: object = where(frame)
                if value is decided_by:
                    return decided_by
                if value.__class__ is not bool:
                    fault = fault or EvaluationError(NO_OVERLOAD)
            except EvaluationError as error:
                fault = fault or error
        if fault is not None:
            raise fault
        return not decided_by

    return ask


def matching_members(members: Members, where: Step, chosen: int) -> Members:
    def matching(frame: Frame) -> Iterator[None]:
        for _ in members(frame):
            fits = where(frame)
            if fits is True:
                frame[0] -= chosen
                yield
            elif fits is not False:
                raise EvaluationError(NO_OVERLOAD)

    return matching


def all_members(members: Members, chosen: int) -> Members:
    def matching(frame: Frame) -> Iterator[None]:
        for _ in members(frame):
            frame[0] -= chosen
            if frame[0] < 0:
                raise CostExceeded
            yield

    return matching


def transform_map(matching: Members, result: Step, key: int, *, entries: bool) -> Step:
    def transform(frame: Frame) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for _ in matching(frame):
            at = frame[key]
            value = result(frame)
            if not entries:
                made[at] = value
            elif not isinstance(value, dict):
                raise EvaluationError(NO_OVERLOAD)
            else:
                for name, item in value.items():
                    put(made, name, item, False)
        return made

    return transform
