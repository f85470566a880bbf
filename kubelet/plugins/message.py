"""Messages of protobuf as frozen dataclasses: a field's place in its class is its number, unless `number` says another.

The kubelet speaks four small protocols to plugins. protobuf's own runtime would cost it 4 MiB, and generated code that
nobody reads. Types: str, int (64 bits), bool, another Message or None, tuples of str, int and Message, and dicts of
str and Message by str. Unknown fields are skipped, and a field that has its default is not written, both as in proto3.
Source: protobuf, "Encoding".
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, NamedTuple, TypeVar, dataclass_transform

from componentbase.net.varint import varint

M = TypeVar("M", bound="Message")

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10
_TWO64, _SIGN = 1 << 64, 1 << 63


class MessageError(ValueError):
    """The bytes are not a message of this type."""


def number(value: int, *, default: Any) -> Any:
    """Declares a field with a number of its own: `volume_mount_group: str = number(3, default="")`."""
    return field(default=default, metadata={"number": value})


@dataclass_transform(field_specifiers=(field, number))
class Message:
    """A subclass is a frozen dataclass, whose fields all have defaults."""

    _numbered: ClassVar[dict[int, _Field]]

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True)(cls)

    def __bytes__(self) -> bytes:
        parts = list[bytes]()
        for item in _layout(type(self)).values():
            parts += item.write(getattr(self, item.name))
        return b"".join(parts)

    @classmethod
    def parse(cls: type[M], data: bytes) -> M:
        """Raises: MessageError."""
        layout, values = _layout(cls), dict[str, Any]()
        for key, kind, content in _split(data):
            item = layout.get(key)
            if item is not None:
                item.read(values, kind, content)
        return cls(**values)


class _Field(NamedTuple):
    """`many`: a tuple or a map; a map's entries are messages with a key and a value."""

    name: str
    number: int
    type: Any
    many: bool
    map: bool

    def write(self, value: Any) -> Iterator[bytes]:
        if self.map:
            for name, content in value.items():
                value_bytes = content.encode() if self.type is str else bytes(content)
                yield self._block(_block(1, name.encode()) + _block(2, value_bytes))
        elif self.many and self.type is int:
            if value:
                yield self._block(b"".join(varint(item % _TWO64) for item in value))
        elif self.many:
            for item in value:
                yield self._block(item.encode() if self.type is str else bytes(item))
        elif self.type in (int, bool):
            if value:
                yield varint(self.number << 3 | _VARINT) + varint(int(value) % _TWO64)
        elif self.type is str:
            if value:
                yield self._block(value.encode())
        elif value is not None:
            yield self._block(bytes(value))

    def _block(self, content: bytes) -> bytes:
        return _block(self.number, content)

    def read(self, values: dict[str, Any], kind: int, content: bytes | int) -> None:
        """Adds what one occurrence of the field says. Raises: MessageError."""
        if isinstance(content, int):
            if kind != _VARINT or self.type not in (int, bool):
                raise MessageError(f"{self.name} is not a number")
            value: Any = bool(content) if self.type is bool else content - _TWO64 if content & _SIGN else content
            if self.many:
                values[self.name] = (*values.get(self.name, ()), value)
            else:
                values[self.name] = value
        elif kind != _BYTES:
            raise MessageError(f"{self.name} has another wire type")
        elif self.map:
            entry = {1: b"", 2: b""} | {key: part for key, _, part in _split(content) if isinstance(part, bytes)}
            item = _text(self.name, entry[2]) if self.type is str else self.type.parse(entry[2])
            values.setdefault(self.name, {})[_text(self.name, entry[1])] = item
        elif self.type in (int, bool):
            if not self.many:
                raise MessageError(f"{self.name} is a number")
            at, packed = 0, list(values.get(self.name, ()))
            while at < len(content):
                value, at = _read_varint(content, at)
                packed.append(value - _TWO64 if value & _SIGN else value)
            values[self.name] = tuple(packed)
        else:
            value = _text(self.name, content) if self.type is str else self.type.parse(content)
            if self.many:
                values[self.name] = (*values.get(self.name, ()), value)
            else:
                values[self.name] = value


def _layout(cls: type[Message]) -> dict[int, _Field]:
    """Returns the fields by number, worked out at the first use, when all names in the module are bound."""
    if "_numbered" in cls.__dict__:
        return cls._numbered
    hints = typing.get_type_hints(cls)
    layout = cls._numbered = {}
    for place, item in enumerate(fields(cls), 1):  # type: ignore[arg-type]  # made a dataclass as it was defined
        hint = hints[item.name]
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if origin in (types.UnionType, typing.Union):
            hint = next(arg for arg in args if arg is not type(None))
        elif origin in (tuple, dict):
            hint = args[0] if origin is tuple else args[1]
        key = item.metadata.get("number", place)
        layout[key] = _Field(item.name, key, hint, origin in (tuple, dict), origin is dict)
    return layout


def _block(number: int, content: bytes) -> bytes:
    return varint(number << 3 | _BYTES) + varint(len(content)) + content


def _split(data: bytes) -> Iterator[tuple[int, int, bytes | int]]:
    """Yields (number, wire type, content). Raises: MessageError."""
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        key, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _read_varint(data, at)
            yield key, kind, value
            continue
        if kind == _BYTES:
            size, at = _read_varint(data, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise MessageError(f"wire type {kind} is not served")
        if at + size > len(data):
            raise MessageError("the message is cut short")
        yield key, kind, data[at : at + size]
        at += size


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 7 * _MAX_VARINT_BYTES, 7):
        if at >= len(data):
            raise MessageError("the message is cut short")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value % _TWO64, at
    raise MessageError("a number is too long")


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise MessageError(f"{name} is not UTF-8") from None


class Empty(Message):
    """Any request or answer that says nothing."""
