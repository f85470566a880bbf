"""Gives each part of an expression its type, and chooses the overloads of its calls.

Source: the CEL language definition, "Gradual type checking"; the messages are those of the original's checker.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubecel.functions import Overload
from kubecel.parser import qualified_name
from kubecel.syntax import Call, Faults, Fold, Ident, ListNode, Literal, MapNode, Node, OptionalMap, Select, Struct
from kubecel.types import (
    BOOL,
    DYN,
    INT,
    ObjectType,
    Type,
    list_of,
    map_of,
    optional_of,
    substitute,
    type_of,
    unify,
)
from kubecel.values import CLASSES, type_of_value

TYPE_NAMES: Mapping[str, Type] = {
    **{name: Type(name) for name in CLASSES if name not in ("list", "map", "optional_type")},
    "list": list_of(DYN),
    "map": map_of(DYN, DYN),
    "optional_type": optional_of(DYN),
    "google.protobuf.Timestamp": Type("timestamp"),
    "google.protobuf.Duration": Type("duration"),
}
"""The types that an expression can name: `type(x) == string`."""


class Checker:
    """Checks one tree; what it finds goes to `faults`."""

    def __init__(
        self,
        variables: Mapping[str, Type],
        overloads: Mapping[str, list[Overload]],
        objects: Mapping[str, ObjectType],
        faults: Faults,
    ) -> None:
        """`objects` are the types that expressions may construct, by name."""
        self._scope = dict(variables)
        self._overloads, self._objects, self._faults = overloads, objects, faults

    def check(self, node: Node) -> Type:
        node.type = self._type(node)
        return node.type

    def _type(self, node: Node) -> Type:
        match node:
            case Literal():
                return self._literal(node)
            case Ident():
                return self._ident(node)
            case Select():
                return self._select(node)
            case Call():
                return self._call(node)
            case ListNode():
                return list_of(self._join(node.items, node.optional), len(node.items))
            case MapNode():
                keys = self._join([key for key, _, _ in node.entries], set())
                optional = {at for at, (_, _, is_optional) in enumerate(node.entries) if is_optional}
                return map_of(keys, self._join([value for _, value, _ in node.entries], optional), len(node.entries))
            case Struct():
                return self._struct(node)
            case Fold():
                return self._fold(node)
            case OptionalMap():
                return self._optional_map(node)
        raise TypeError(node)

    def _literal(self, node: Literal) -> Type:
        found = type_of_value(node.value)
        size = len(node.value) if isinstance(node.value, str | bytes) else None
        return Type(found.name, (), size)

    def _ident(self, node: Ident) -> Type:
        if node.name in self._scope:
            return self._scope[node.name]
        if node.name in TYPE_NAMES:
            return type_of(TYPE_NAMES[node.name])
        self._faults.add(node.offset, f"undeclared reference to '{node.name}' (in container '')")
        return DYN

    def _select(self, node: Select) -> Type:
        name = qualified_name(node)
        if name in self._scope:  # authorizer.requestResource
            return self._scope[name]
        if name in TYPE_NAMES and name.split(".")[0] not in self._scope:
            return type_of(TYPE_NAMES[name])
        operand = self.check(node.operand)
        optional = node.optional or operand.name == "optional_type"
        if operand.name == "optional_type":
            operand = operand.parameters[0]
        found = self._field(node, operand)
        if node.test_only:
            return BOOL
        return optional_of(found) if optional and found.name != "optional_type" else found

    def _field(self, node: Select, operand: Type) -> Type:
        if isinstance(operand, ObjectType):
            field = operand.fields().get(node.name)
            if field is not None:
                node.name = field.wire
                return field.type
            if not operand.open:
                self._faults.add(node.offset, f"undefined field '{node.name}'")
            return DYN
        if operand.name == "map":
            return operand.parameters[1]
        if operand != DYN:
            self._faults.add(node.offset, f"type '{operand}' does not support field selection")
        return DYN

    def _call(self, node: Call) -> Type:
        if node.target is not None:
            prefix = qualified_name(node.target)
            qualified = f"{prefix}.{node.function}"
            if prefix and prefix.split(".")[0] not in self._scope and qualified in self._overloads:
                node.function, node.target = qualified, None
        is_method = node.target is not None
        types = [self._operand(node, operand) for operand in node.operands()]
        candidates = self._overloads.get(node.function, [])
        if not candidates:
            self._faults.add(node.offset, f"undeclared reference to '{node.function}' (in container '')")
            return DYN
        result: Type | None = None
        for overload in candidates:
            found = _result(overload, is_method, types)
            if found is None:
                continue
            node.overloads.append(overload)
            result = found if result is None or result == found else DYN
        if result is None:
            shown = [str(item) for item in types]
            told = f"'{shown[0]}.({', '.join(shown[1:])})'" if is_method else f"'({', '.join(shown)})'"
            self._faults.add(node.offset, f"found no matching overload for '{node.function}' applied to {told}")
            return DYN
        return result

    def _operand(self, call: Call, operand: Node) -> Type:
        if call.function != "format" or not isinstance(operand, ListNode):
            return self.check(operand)
        for item in operand.items:  # the one list whose members may differ in type
            self.check(item)
        operand.type = list_of(DYN, len(operand.items))
        return operand.type

    def _join(self, nodes: list[Node], optional: set[int]) -> Type:
        """The one type of the members of a list or map: upstream has them all of one."""
        joined: Type | None = None
        for at, node in enumerate(nodes):
            found = self.check(node)
            if at in optional:
                if found.name != "optional_type" and found != DYN:
                    self._faults.add(node.offset, f"expected type 'optional_type({found})' but found '{found}'")
                found = found.parameters[0] if found.name == "optional_type" else DYN
            if joined is None or found == DYN:
                joined = found
            elif unify(joined, found, {}):
                continue
            elif unify(found, joined, {}):
                joined = found
            else:
                self._faults.add(node.offset, f"expected type '{joined}' but found '{found}'")
        return joined or DYN

    def _struct(self, node: Struct) -> Type:
        object_type = self._objects.get(node.name)
        for name, value, optional, offset in node.entries:
            found = self.check(value)
            if object_type is None:
                continue
            field = object_type.fields().get(name)
            if field is None:
                self._faults.add(offset, f"undefined field '{name}'")
                continue
            if optional:
                found = found.parameters[0] if found.name == "optional_type" else DYN
            if not unify(field.type, found, {}):
                text = f"expected type of field '{name}' is '{field.type}' but provided type is '{found}'"
                self._faults.add(offset, text)
        if object_type is None:
            self._faults.add(node.offset, f"undeclared reference to '{node.name}' (in container '')")
            return DYN
        return object_type

    def _fold(self, node: Fold) -> Type:
        over = self.check(node.over)
        if over.name == "map":
            first, second = over.parameters
        elif over.name == "list":
            first = over.parameters[0]
            second = first
            if len(node.variables) == 2:
                first = INT
        else:
            first = second = DYN
            if over != DYN:
                text = f"expression of type '{over}' cannot be range of a comprehension (must be list, map, or dynamic)"
                self._faults.add(node.over.offset, text)
        before = dict(self._scope)
        self._scope.update(zip(node.variables, (first, second), strict=False))
        if node.where is not None:
            self._condition(node)
        result = self.check(node.result) if node.result is not None else None
        self._scope = before
        match node.macro:
            case "map" | "transformList":
                return list_of(result or DYN, over.max_size)
            case "filter":
                return list_of(first, over.max_size)
            case "transformMap":
                return map_of(INT if over.name == "list" else first, result or DYN, over.max_size)
            case "transformMapEntry":
                return result if result is not None and result.name == "map" else map_of(DYN, DYN)
        return BOOL

    def _condition(self, node: Fold) -> None:
        assert node.where is not None
        found = self.check(node.where)
        if found not in (BOOL, DYN):
            operator = {"all": "_&&_", "exists": "_||_"}.get(node.macro)
            told = (
                f"'{operator}' applied to '(bool, {found})'"
                if operator
                else f"'_?_:_' applied to '({found}, dyn, dyn)'"
            )
            self._faults.add(node.where.offset, f"found no matching overload for {told}")

    def _optional_map(self, node: OptionalMap) -> Type:
        target = self.check(node.target)
        if target.name != "optional_type" and target != DYN:
            name = "optFlatMap" if node.flat else "optMap"
            self._faults.add(node.offset, f"found no matching overload for '{name}' applied to '{target}.(dyn, dyn)'")
        before = dict(self._scope)
        self._scope[node.variable] = target.parameters[0] if target.name == "optional_type" else DYN
        result = self.check(node.result)
        self._scope = before
        return result if node.flat else optional_of(result)


def _result(overload: Overload, is_method: bool, types: list[Type]) -> Type | None:
    """The type that the overload has for such arguments; None if it does not take them."""
    if overload.is_method is not is_method or len(overload.parameters) != len(types):
        return None
    bound: dict[str, Any] = {}
    if not all(unify(want, got, bound) for want, got in zip(overload.parameters, types, strict=True)):
        return None
    return substitute(overload.result, bound)
