"""Functions that expressions may call, and how a library declares them.

    LIBRARY = Library("lists")

    @LIBRARY("list(T).indexOf(T): int", cost=per_item())
    def index_of(items: list[Any], value: Any) -> int: ...

A signature is the function's name with the types of its parameters and of its result; what stands before the name is
the receiver of a method. A capital letter is a type that the call decides: all its places have the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from kubecel.types import DYN, Parameter, Type
from kubecel.values import CLASSES

F = TypeVar("F", bound=Callable[..., Any])
Cost = Callable[[Sequence[int]], int]
"""From the sizes of the arguments (characters, items; 1 for what has none) to units of cost. It serves evaluation, with
real sizes, and estimates, with the largest and smallest possible ones."""

PER_CHARACTER = 0.1  # units of cost, as upstream
PER_PATTERN_CHARACTER = 0.25


def fixed(units: int) -> Cost:
    return lambda sizes: units


def per_character(*places: int) -> Cost:
    """The cost of going through the text of these arguments."""
    chosen = places or (0,)
    return lambda sizes: math.ceil(sum(sizes[place] for place in chosen) * PER_CHARACTER)


def per_item(place: int = 0) -> Cost:
    return lambda sizes: sizes[place]


def product(one: int, other: int, factor: float = 1) -> Cost:
    return lambda sizes: math.ceil(sizes[one] * sizes[other] * factor)


def pattern(text: int = 0, regex: int = 1) -> Cost:
    """The cost of a regular expression: it depends on its length and that of the text."""
    return lambda sizes: math.ceil((sizes[text] + 1) * PER_CHARACTER) * math.ceil(sizes[regex] * PER_PATTERN_CHARACTER)


ONE = fixed(1)
SUM: Cost = sum
FIRST: Cost = per_item(0)


@dataclass(frozen=True, slots=True)
class Overload:
    """One form of a function."""

    function: str
    is_method: bool
    parameters: tuple[Type, ...]
    """The receiver, if there is one, comes first."""
    result: Type
    call: Callable[..., Any]
    cost: Cost = ONE
    size: Cost | None = None
    """The largest size of the result by those of the arguments; None: as its type says."""


@dataclass
class Library:
    """Functions, and the types of their values, that belong together."""

    name: str
    overloads: list[Overload] = field(default_factory=list)
    types: dict[str, type] = field(default_factory=dict)
    """Python's classes of the types that the library adds."""

    def __call__(self, signature: str, *, cost: Cost = ONE, size: Cost | None = None) -> Callable[[F], F]:
        def declare(function: F) -> F:
            self.add(signature, function, cost=cost, size=size)
            return function

        return declare

    def add(self, signature: str, function: Callable[..., Any], *, cost: Cost = ONE, size: Cost | None = None) -> None:
        name, is_method, parameters, result = _signature(signature, self.types)
        self.overloads.append(Overload(name, is_method, parameters, result, function, cost, size))

    def value(self, cls: type) -> type:
        """Declares a class whose values are of a type of their own, its attribute `type`."""
        declared: Type = cls.type  # type: ignore[attr-defined]
        self.types[declared.name] = cls
        CLASSES[declared.name] = (cls,)
        return cls


def _signature(text: str, types: dict[str, type]) -> tuple[str, bool, tuple[Type, ...], Type]:
    """("list(T).sum(): T") -> ("sum", True, (list(T),), T)."""
    head, result = text.rsplit("):", 1)
    opening = _opening(head)
    name, inside = head[:opening].strip(), head[opening + 1 :]
    receiver: tuple[Type, ...] = ()
    before, dot, last = name.rpartition(".")
    if dot and (before.endswith(")") or before in CLASSES or before in types or before == "dyn"):
        receiver, name = (_type(before),), last
    return name, bool(receiver), (*receiver, *map(_type, _split(inside))), _type(result)


def _opening(head: str) -> int:
    """Finds the bracket of the parameters: the last one that is not closed."""
    depth = 0
    for at in range(len(head) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(head[at], 0)
        if depth < 0:
            return at
    raise ValueError(f"not a signature: {head}")


def _split(text: str) -> list[str]:
    parts, depth = [""], 0
    for char in text:
        depth += {"(": 1, ")": -1}.get(char, 0)
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part for part in map(str.strip, parts) if part]


def _type(text: str) -> Type:
    text = text.strip()
    name, bracket, inside = text.partition("(")
    if bracket:
        return Type(name, tuple(map(_type, _split(inside[:-1]))))
    if len(name) == 1 and name.isupper():
        return Parameter(name)
    return DYN if name == "dyn" else Type(name)
