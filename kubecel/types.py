"""The types of expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Type:
    """A type by its name and parameters: `list(string)`. Two types are the same if these are."""

    name: str
    parameters: tuple[Type, ...] = ()
    max_size: int | None = field(default=None, compare=False)
    """At most so many characters, bytes, items or entries, for estimates of cost; None: no bound."""

    def __str__(self) -> str:
        if not self.parameters:
            return self.name
        return f"{self.name}({', '.join(map(str, self.parameters))})"


@dataclass(frozen=True, slots=True)
class Parameter(Type):
    """A type that an overload leaves open: the T of `list(T)`."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an object type. `wire` is its name in the object, where the name in expressions is escaped."""

    type: Type
    wire: str


@dataclass(frozen=True, slots=True)
class ObjectType(Type):
    """A map with declared fields. They are asked for when an expression first needs them: schemas may be recursive."""

    fields: Callable[[], Mapping[str, Field]] = field(default=dict, compare=False)
    constructible: bool = field(default=False, compare=False)
    """Expressions may make one: `Object.spec{replicas: 1}`."""
    open: bool = field(default=False, compare=False)
    """Fields that are not declared may be there, too."""


DYN = Type("dyn")
NULL = Type("null_type")
BOOL = Type("bool")
INT = Type("int")
UINT = Type("uint")
DOUBLE = Type("double")
STRING = Type("string")
BYTES = Type("bytes")
TIMESTAMP = Type("timestamp")
DURATION = Type("duration")
ANY_LIST = Type("list", (DYN,))
ANY_MAP = Type("map", (DYN, DYN))


def list_of(item: Type, max_size: int | None = None) -> Type:
    return Type("list", (item,), max_size)


def map_of(key: Type, value: Type, max_size: int | None = None) -> Type:
    return Type("map", (key, value), max_size)


def optional_of(value: Type) -> Type:
    return Type("optional_type", (value,))


def type_of(value: Type) -> Type:
    return Type("type", (value,))


_NULLABLE = frozenset({"timestamp", "duration", "optional_type"})
_PLAIN = frozenset({"bool", "int", "uint", "double", "string", "bytes", "list", "map", "type"})


def unify(want: Type, got: Type, bound: dict[str, Type]) -> bool:
    """Tells whether a value of type `got` may stand where `want` is asked for, and binds the parameters of `want`."""
    if isinstance(want, Parameter):
        before = bound.get(want.name)
        if before is None or got == DYN:  # what is unknown in one place is unknown in all
            bound[want.name] = got
            return True
        if before == DYN:
            return True
        if unify(before, got, {}):
            if "dyn" in str(before) or before == NULL:
                bound[want.name] = got if before != NULL else before
            return True
        if unify(got, before, {}):
            bound[want.name] = got
            return True
        return False
    if DYN in (want, got):
        return True
    if NULL in (want, got) and want != got:
        other = got if want == NULL else want
        return other.name in _NULLABLE or other.name not in _PLAIN
    if isinstance(got, ObjectType) and not isinstance(want, ObjectType) and want.name == "map":
        return False
    if want.name != got.name or len(want.parameters) != len(got.parameters):
        return False
    return all(unify(a, b, bound) for a, b in zip(want.parameters, got.parameters, strict=True))


def substitute(of: Type, bound: Mapping[str, Type]) -> Type:
    """Replaces parameters by what they are bound to, dyn where they are not."""
    if isinstance(of, Parameter):
        return bound.get(of.name, DYN)
    if not of.parameters:
        return of
    return Type(of.name, tuple(substitute(item, bound) for item in of.parameters), of.max_size)
