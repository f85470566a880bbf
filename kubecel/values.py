"""The values that expressions compute with.

JSON's values are Python's own, so that an object is read as it is, without a conversion: None, bool, int (64 bits),
float, str, bytes, list and dict. Python has no class for the others: they are here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from kubecel.types import (
    ANY_LIST,
    ANY_MAP,
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    Type,
)

MIN_INT, MAX_INT, MAX_UINT = -(1 << 63), (1 << 63) - 1, (1 << 64) - 1
SECOND = 1_000_000_000
MIN_SECONDS, MAX_SECONDS = -62135596800, 253402300799  # the years 1 to 9999


class EvaluationError(Exception):
    """The expression has no value for these variables. `&&` and `||` absorb it where the other side decides.

    `cost` is what the evaluation had cost by then.
    """

    cost = 0


class CostExceeded(Exception):
    """The evaluation was stopped at its limit of cost; nothing absorbs this."""


class UInt(int):
    """An unsigned integer of 64 bits."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """A moment, in nanoseconds since 1970."""

    nanos: int

    def moment(self) -> datetime:
        """In UTC, to the microsecond."""
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.nanos // 1000)


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A length of time in nanoseconds; 64 bits."""

    nanos: int


@dataclass(frozen=True, slots=True)
class Optional:
    """A value that may be missing."""

    present: bool
    value: Any = None


NONE = Optional(False)


class Opaque:
    """The base class of the values of a library: `type` is what expressions know them as."""

    __slots__ = ()
    type: ClassVar[Type]


CLASSES: dict[str, tuple[type, ...]] = {
    "null_type": (type(None),),
    "bool": (bool,),
    "int": (int,),
    "uint": (UInt,),
    "double": (float,),
    "string": (str,),
    "bytes": (bytes,),
    "list": (list, tuple),
    "map": (dict,),
    "timestamp": (Timestamp,),
    "duration": (Duration,),
    "optional_type": (Optional,),
    "type": (Type,),
}
"""Python's classes of each type; libraries add theirs by `Opaque`."""


def checked_int(number: int) -> int:
    if MIN_INT <= number <= MAX_INT:
        return number
    raise EvaluationError("integer overflow")


def checked_uint(number: int) -> UInt:
    if 0 <= number <= MAX_UINT:
        return UInt(number)
    raise EvaluationError("unsigned integer overflow")


def checked_duration(nanos: int) -> Duration:
    return Duration(checked_int(nanos))


def checked_timestamp(nanos: int) -> Timestamp:
    if MIN_SECONDS <= nanos // SECOND <= MAX_SECONDS:
        return Timestamp(nanos)
    raise EvaluationError("timestamp overflow")


_NUMBERS = frozenset({int, UInt, float})
MOST_COMPARISONS = 1_000_000  # of one `==`: parts that a value has several times are compared each time


class SetList(list[Any]):
    """A list of `x-kubernetes-list-type: set`: the order is not part of its value."""


class MapList(list[Any]):
    """A list of type `map`, whose entries are told apart by some of their fields."""

    def __init__(self, items: Iterable[Any], keys: tuple[str, ...]) -> None:
        super().__init__(items)
        self.keys = keys

    def key(self, item: Any) -> tuple[Any, ...]:
        return tuple(item.get(key) for key in self.keys)


def equal(one: Any, other: Any) -> bool:
    """Numbers are equal across their types; other values of different types are not equal.

    Raises: CostExceeded.
    """
    left, right = one.__class__, other.__class__
    if left is right and left not in _NESTED:
        return bool(one == other)
    if left in _NUMBERS and right in _NUMBERS:
        return bool(one == other)
    return _Comparison().equal(one, other) if left in _NESTED or isinstance(one, dict | list) else False


_NESTED = frozenset({list, dict, tuple, Optional, SetList, MapList})


class _Comparison:
    """Compares nested values, up to a number of parts."""

    def __init__(self) -> None:
        self._left = MOST_COMPARISONS

    def equal(self, one: Any, other: Any) -> bool:
        self._left -= 1
        if self._left < 0:
            raise CostExceeded
        if isinstance(one, dict) and isinstance(other, dict):
            return len(one) == len(other) and all(key in other and self.equal(one[key], other[key]) for key in one)
        if isinstance(one, list | tuple) and isinstance(other, list | tuple):
            return len(one) == len(other) and self._same_items(one, other)
        if isinstance(one, Optional) and isinstance(other, Optional):
            return one.present == other.present and self.equal(one.value, other.value)
        return not isinstance(one, dict | list | tuple | Optional) and equal(one, other)

    def _same_items(self, one: Any, other: Any) -> bool:
        if isinstance(one, SetList) or isinstance(other, SetList):
            return all(any(self.equal(item, candidate) for candidate in other) for item in one)
        if isinstance(one, MapList):
            by_key = {one.key(item): item for item in other}
            return all(one.key(item) in by_key and self.equal(item, by_key[one.key(item)]) for item in one)
        return all(map(self.equal, one, other))


_TYPES: dict[type, Type] = {
    type(None): NULL,
    bool: BOOL,
    int: INT,
    UInt: UINT,
    float: DOUBLE,
    str: STRING,
    bytes: BYTES,
    list: ANY_LIST,
    tuple: ANY_LIST,
    dict: ANY_MAP,
    SetList: ANY_LIST,
    MapList: ANY_LIST,
    Timestamp: TIMESTAMP,
    Duration: DURATION,
    Optional: Type("optional_type", (DYN,)),
    Type: Type("type"),
}


def type_of_value(value: object) -> Type:
    cls = value.__class__
    known = _TYPES.get(cls)
    if known is not None:
        return known
    if isinstance(value, Opaque):
        return value.type
    return ANY_MAP if isinstance(value, dict) else DYN


def contains(items: Any, value: Any) -> bool:
    """`value in items`, of a list or the keys of a map."""
    if isinstance(items, dict):
        return has_key(items, value)
    if value.__class__ is str or value.__class__ is bytes:
        return value in items
    return any(equal(item, value) for item in items)


def has_key(mapping: dict[Any, Any], key: Any) -> bool:
    cls = key.__class__
    if cls is str:
        return key in mapping
    if cls in _NUMBERS or cls is bool:
        if cls is float and not (math.isfinite(key) and key.is_integer()):
            return False
        return any(item == key and (item.__class__ is bool) is (cls is bool) for item in mapping)
    return False
