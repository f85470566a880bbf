"""The syntax tree of an expression, and the errors that point into its text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kubecel.types import DYN, Type


@dataclass(slots=True)
class Node:
    """A part of an expression. `offset` counts characters from its start; the checker sets `type`."""

    offset: int
    type: Type = field(default=DYN, kw_only=True)


@dataclass(slots=True)
class Literal(Node):
    value: Any


@dataclass(slots=True)
class Ident(Node):
    name: str


@dataclass(slots=True)
class Select(Node):
    """`operand.name`, `operand.?name` if `optional`, `has(operand.name)` if `test_only`. The checker puts the name on
    the wire into `name` where a schema escapes it."""

    operand: Node
    name: str
    optional: bool = False
    test_only: bool = False


@dataclass(slots=True)
class Call(Node):
    """A function, a method (with a target) or an operator, such as `_+_`."""

    function: str
    target: Node | None
    args: list[Node]
    overloads: list[Any] = field(default_factory=list)
    """The overloads that fit by type, as the checker leaves them."""

    def operands(self) -> list[Node]:
        return [self.target, *self.args] if self.target is not None else self.args


@dataclass(slots=True)
class ListNode(Node):
    items: list[Node]
    optional: set[int]
    """Positions of items that are left out if they are empty optionals: `[?a]`."""


@dataclass(slots=True)
class MapNode(Node):
    entries: list[tuple[Node, Node, bool]]
    """Key, value, and whether an empty optional leaves the entry out."""


@dataclass(slots=True)
class Struct(Node):
    name: str
    entries: list[tuple[str, Node, bool, int]]
    """Field, value, whether an empty optional leaves the field out, offset."""


@dataclass(slots=True)
class Fold(Node):
    """A macro that goes through a list or a map: `all`, `exists`, `existsOne`, `map`, `filter`, `transformList`,
    `transformMap`, `transformMapEntry`, with one or two variables."""

    macro: str
    over: Node
    variables: list[str]
    where: Node | None
    """The condition, None where the macro has none."""
    result: Node | None
    """What a member becomes; None where the macro only asks."""


@dataclass(slots=True)
class OptionalMap(Node):
    """`optMap` and `optFlatMap`."""

    target: Node
    variable: str
    result: Node
    flat: bool


class CompileError(Exception):
    """The expression can't be compiled; the text is upstream's, with the place in the expression."""


class Faults:
    """Collects the faults of one expression."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._faults: list[tuple[int, str]] = []

    def add(self, offset: int, message: str) -> None:
        if (offset, message) not in self._faults:
            self._faults.append((offset, message))

    def check(self) -> None:
        """Raises: CompileError, if there are any."""
        if self._faults:
            raise CompileError("\n".join(self._shown(*fault) for fault in sorted(self._faults)))

    def _shown(self, offset: int, message: str) -> str:
        before = self._text[:offset]
        line, column = before.count("\n"), offset - (before.rfind("\n") + 1)
        source = self._text.split("\n")[line].replace("\t", " ")
        return f"ERROR: <input>:{line + 1}:{column + 1}: {message}\n | {source}\n | {'.' * column}^"


def walk(node: Node, visit: Callable[[Node], None]) -> None:
    """Calls `visit` for the node and all below it."""
    visit(node)
    for child in children(node):
        walk(child, visit)


def children(node: Node) -> list[Node]:
    match node:
        case Select():
            return [node.operand]
        case Call():
            return node.operands()
        case ListNode():
            return node.items
        case MapNode():
            return [part for key, value, _ in node.entries for part in (key, value)]
        case Struct():
            return [value for _, value, _, _ in node.entries]
        case Fold():
            return [part for part in (node.over, node.where, node.result) if part is not None]
        case OptionalMap():
            return [node.target, node.result]
    return []
