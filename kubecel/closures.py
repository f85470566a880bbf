"""Checked tree -> one Python function.

Each part becomes a function of a frame: a list with the cost that is left, then the values of the variables. What a
part costs is what upstream's evaluator counts for it, so that a limit means the same here and there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubecel.access import NO_OVERLOAD, Constructed, indexed, optional_selected, put, selected
from kubecel.folds import (
    FOLD_COSTS,
    LIST_COST,
    MAP_COST,
    STRUCT_COST,
    Frame,
    Step,
    all_members,
    any_or_all,
    matching_members,
    members_of,
    transform_map,
)
from kubecel.functions import ONE, Overload
from kubecel.parser import qualified_name
from kubecel.syntax import Call, Fold, Ident, ListNode, Literal, MapNode, Node, OptionalMap, Select, Struct
from kubecel.types import Type
from kubecel.values import (
    CLASSES,
    NONE,
    CostExceeded,
    EvaluationError,
    Optional,
    UInt,
    equal,
)


class Closures:
    """Makes the function of one tree. `variables` have the places 1, 2, ... of the frame."""

    def __init__(self, variables: Mapping[str, Any], types: Mapping[str, Type]) -> None:
        self._slots = {name: place for place, name in enumerate(variables, 1)}
        self._types = types
        self.size = len(self._slots) + 1
        """The length of a frame."""

    def build(self, node: Node) -> Step:
        match node:
            case Literal():
                value = node.value
                return lambda frame: value
            case Ident():
                return self._ident(node)
            case Select():
                return self._select(node)
            case Call():
                return self._call(node)
            case ListNode():
                return self._list(node)
            case MapNode():
                return self._map(node)
            case Struct():
                return self._struct(node)
            case Fold():
                return self._fold(node)
            case OptionalMap():
                return self._optional_map(node)
        raise TypeError(node)

    def _ident(self, node: Ident) -> Step:
        slot = self._slots.get(node.name)
        if slot is None:
            named = self._types[node.name]
            return lambda frame: named

        def ident(frame: Frame) -> Any:
            frame[0] -= 1
            return frame[slot]

        return ident

    def _select(self, node: Select) -> Step:
        name = qualified_name(node)
        if name in self._slots:
            return self._ident(Ident(node.offset, name))
        if name in self._types and name.split(".")[0] not in self._slots:
            named = self._types[name]
            return lambda frame: named
        if node.test_only:
            return self._has(node)
        names, root = [node.name], node.operand
        while not node.optional and isinstance(root, Select) and not (root.optional or root.test_only):
            if qualified_name(root) in self._slots:
                break
            names.append(root.name)
            root = root.operand
        names.reverse()
        if node.optional:
            return self._optional_select(self.build(node.operand), node.name)
        if isinstance(root, Ident) and root.name in self._slots:
            return _path(self._slots[root.name], names)
        operand, cost = self.build(root), len(names)

        def select(frame: Frame) -> Any:
            value = operand(frame)
            frame[0] -= cost
            for name in names:
                value = selected(value, name)
            return value

        return select

    def _has(self, node: Select) -> Step:
        operand, name = self.build(node.operand), node.name

        def has(frame: Frame) -> bool:
            value = operand(frame)
            if isinstance(value, Optional):
                value = value.value
            if isinstance(value, dict):
                return name in value
            if value is None or isinstance(value, str | int | float | list):
                raise EvaluationError(NO_OVERLOAD)
            return False

        return has

    @staticmethod
    def _optional_select(operand: Step, key: Any) -> Step:
        def select(frame: Frame) -> Optional:
            value = operand(frame)
            frame[0] -= 1
            return optional_selected(value, key)

        return select

    def _call(self, node: Call) -> Step:
        function = node.function
        operands = [self.build(operand) for operand in node.operands()]
        match function:
            case "_&&_":
                return _decide(*operands, decided_by=False)
            case "_||_":
                return _decide(*operands, decided_by=True)
            case "_?_:_":
                return _choose(*operands)
            case "_==_":
                return _equal(*operands, wanted=True)
            case "_!=_":
                return _equal(*operands, wanted=False)
            case "_[_]" | "_[?_]":
                return _index(*operands, optional=function == "_[?_]")
            case "or" | "orValue" if node.target is not None and len(operands) == 2:
                return _otherwise(*operands, unwrap=function == "orValue")
        return _apply(node.overloads, operands)

    def _list(self, node: ListNode) -> Step:
        items = [self.build(item) for item in node.items]
        optional = node.optional
        if not optional:

            def plain(frame: Frame) -> list[Any]:
                frame[0] -= LIST_COST
                return [item(frame) for item in items]

            return plain

        def build(frame: Frame) -> list[Any]:
            frame[0] -= LIST_COST
            values = []
            for at, item in enumerate(items):
                value = item(frame)
                if at not in optional:
                    values.append(value)
                elif not isinstance(value, Optional):
                    raise EvaluationError(NO_OVERLOAD)
                elif value.present:
                    values.append(value.value)
            return values

        return build

    def _map(self, node: MapNode) -> Step:
        entries = [(self.build(key), self.build(value), optional) for key, value, optional in node.entries]

        def build(frame: Frame) -> dict[Any, Any]:
            frame[0] -= MAP_COST
            made: dict[Any, Any] = {}
            for key, value, optional in entries:
                put(made, key(frame), value(frame), optional)
            return made

        return build

    def _struct(self, node: Struct) -> Step:
        entries = [(name, self.build(value), optional) for name, value, optional, _ in node.entries]
        type_name = node.name

        def build(frame: Frame) -> dict[str, Any]:
            frame[0] -= STRUCT_COST
            made = Constructed(type_name)
            for name, value, optional in entries:
                put(made, name, value(frame), optional)
            return made

        return build

    def _fold(self, node: Fold) -> Step:
        over = self.build(node.over)
        before = dict(self._slots)
        slots = tuple(range(self.size, self.size + len(node.variables)))
        self.size += len(slots)
        self._slots.update(zip(node.variables, slots, strict=True))
        where = self.build(node.where) if node.where is not None else None
        result = self.build(node.result) if node.result is not None else None
        self._slots = before
        start, each, chosen = FOLD_COSTS[node.macro]
        members = members_of(over, slots, start, each)
        if node.macro in ("all", "exists"):
            assert where is not None
            return any_or_all(members, where, decided_by=node.macro == "exists")
        matching = matching_members(members, where, chosen) if where is not None else all_members(members, chosen)
        match node.macro:
            case "existsOne":
                return lambda frame: sum(1 for _ in matching(frame)) == 1
            case "filter":
                first = slots[0]
                return lambda frame: [frame[first] for _ in matching(frame)]
        assert result is not None
        if node.macro in ("map", "transformList"):
            return lambda frame: [result(frame) for _ in matching(frame)]
        return transform_map(matching, result, slots[0], entries=node.macro == "transformMapEntry")

    def _optional_map(self, node: OptionalMap) -> Step:
        target = self.build(node.target)
        before = dict(self._slots)
        slot = self._slots[node.variable] = self.size
        self.size += 1
        result, flat = self.build(node.result), node.flat
        self._slots = before

        def optional_map(frame: Frame) -> Optional:
            value = target(frame)
            frame[0] -= 1
            if not isinstance(value, Optional):
                raise EvaluationError(NO_OVERLOAD)
            if not value.present:
                return NONE
            frame[slot] = value.value
            made = result(frame)
            if not flat:
                return Optional(True, made)
            if not isinstance(made, Optional):
                raise EvaluationError(NO_OVERLOAD)
            return made

        return optional_map


def _path(slot: int, names: list[str]) -> Step:
    """A variable and fields below it: most of what expressions do."""
    cost = len(names) + 1

    def path(frame: Frame) -> Any:
        frame[0] -= cost
        value = frame[slot]
        try:
            for name in names:
                value = value[name]
        except (KeyError, TypeError, IndexError):
            value = frame[slot]
            for name in names:
                value = selected(value, name)
        return value

    return path


def _decide(one: Step, other: Step, *, decided_by: bool) -> Step:
    """`&&` (decided by a false side) and `||` (by a true one): such a side decides whatever becomes of the other."""

    def decide(frame: Frame) -> bool:
        fault: EvaluationError | None = None
        try:
            left: object = one(frame)
            if left is decided_by:
                return decided_by
            if left.__class__ is not bool:
                fault = EvaluationError(NO_OVERLOAD)
        except EvaluationError as error:
            fault = error
        try:
            right: object = other(frame)
        except EvaluationError as error:
            raise fault or error from None
        if right is decided_by:
            return decided_by
        if fault is not None:
            raise fault
        if right.__class__ is not bool:
            raise EvaluationError(NO_OVERLOAD)
        return not decided_by

    return decide


def _choose(condition: Step, yes: Step, no: Step) -> Step:
    def choose(frame: Frame) -> Any:
        decided = condition(frame)
        if decided is True:
            return yes(frame)
        if decided is False:
            return no(frame)
        raise EvaluationError(NO_OVERLOAD)

    return choose


def _equal(one: Step, other: Step, *, wanted: bool) -> Step:
    def compare(frame: Frame) -> bool:
        left, right = one(frame), other(frame)
        frame[0] -= 1
        if left.__class__ is right.__class__ is str:
            return (left == right) is wanted
        if frame[0] < 0:
            raise CostExceeded
        return equal(left, right) is wanted

    return compare


def _index(operand: Step, key: Step, *, optional: bool) -> Step:
    find = optional_selected if optional else indexed

    def index(frame: Frame) -> Any:
        value = operand(frame)
        place = key(frame)
        frame[0] -= 1
        return find(value, place)

    return index


def _otherwise(one: Step, other: Step, *, unwrap: bool) -> Step:
    """`or` and `orValue`: the other side is only asked if the first has nothing."""

    def otherwise(frame: Frame) -> Any:
        value = one(frame)
        frame[0] -= 1
        if not isinstance(value, Optional):
            raise EvaluationError(NO_OVERLOAD)
        if not value.present:
            return other(frame)
        return value.value if unwrap else value

    return otherwise


def _size(value: Any) -> int:
    return len(value) if value.__class__ in _SIZED else 1


_SIZED = frozenset({str, bytes, list, dict, tuple})


def _apply(overloads: list[Overload], operands: list[Step]) -> Step:
    """A call: the overload is chosen by the values' classes, and remembered for them."""
    chosen: dict[tuple[type, ...], Overload | None] = {}

    def find(classes: tuple[type, ...]) -> Overload:
        if classes not in chosen:
            chosen[classes] = _fitting(overloads, classes)
        overload = chosen[classes]
        if overload is None:
            raise EvaluationError(NO_OVERLOAD)
        return overload

    def apply(frame: Frame) -> Any:
        values = [operand(frame) for operand in operands]
        overload = find(tuple([value.__class__ for value in values]))
        frame[0] -= overload.cost([_size(value) for value in values])
        if frame[0] < 0:
            raise CostExceeded
        return overload.call(*values)

    if len(operands) != 2:
        return apply
    one, other = operands

    def apply_two(frame: Frame) -> Any:  # most calls, in a third less time
        left, right = one(frame), other(frame)
        overload = chosen.get((left.__class__, right.__class__)) or find((left.__class__, right.__class__))
        frame[0] -= 1 if overload.cost is ONE else overload.cost((_size(left), _size(right)))
        if frame[0] < 0:
            raise CostExceeded
        return overload.call(left, right)

    return apply_two


def _fitting(overloads: list[Overload], classes: tuple[type, ...]) -> Overload | None:
    for overload in overloads:
        if all(_is(want, cls) for want, cls in zip(overload.parameters, classes, strict=True)):
            return overload
    return None


def _is(want: Type, cls: type) -> bool:
    allowed = CLASSES.get(want.name)
    if allowed is None:  # dyn, or a type that the call decides
        return True
    if cls is bool or cls is UInt:
        return cls in allowed
    return issubclass(cls, allowed)
