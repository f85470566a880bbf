"""Kubernetes' protobuf bodies into JSON: kubectl's `create` commands and Go clients send them. Answers are JSON always.

Source: Kubernetes API concepts, "Kubernetes Protobuf encoding"; Protocol Buffers documentation, "Encoding".
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson

from apimachinery.errors import BadRequest, UnsupportedMediaType
from apimachinery.times import format_micro_time, format_time
from apiserver.codec.protobuf_messages import MESSAGES, ROOTS

MAGIC = b"k8s\x00"
MAX_TIME_SECONDS = 253_402_300_799  # the end of the year 9999

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SCALARS = frozenset("sibyqotmx")


class Malformed(Exception):
    """The bytes are no message of the kind they say they are."""


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    type: str
    many: bool = False
    map: bool = False
    keeps_zero: bool = False
    inline: bool = False


def to_json(body: bytes) -> bytes:
    """The object in an envelope as JSON, with `apiVersion` and `kind` as the envelope names them.

    Raises: BadRequest for malformed bytes, UnsupportedMediaType for a kind that is not known in this encoding.
    """
    try:
        api_version, kind, raw = _open(body)
        if kind not in ROOTS.get(api_version, "").split():
            raise UnsupportedMediaType(f"{kind} in version {api_version!r} is not read as protobuf: send it as JSON")
        of_group = f"{api_version.partition('.')[0]}.{kind}"
        message = _message(of_group if of_group in _table() else kind, raw)
    except (Malformed, UnicodeDecodeError) as error:
        raise BadRequest(f"the request body is not a valid protobuf object: {error}") from None
    return orjson.dumps({"kind": kind, "apiVersion": api_version, **message})


def _open(body: bytes) -> tuple[str, str, bytes]:
    """(apiVersion, kind, the object's bytes) of a runtime.Unknown."""
    if not body.startswith(MAGIC):
        raise Malformed("it does not start with the encoding's four bytes")
    api_version = kind = ""
    raw = b""
    for number, value in _fields(body[len(MAGIC) :]):
        if number == 1 and isinstance(value, bytes):
            names = {inner: text.decode() for inner, text in _fields(value) if isinstance(text, bytes)}
            api_version, kind = names.get(1, ""), names.get(2, "")
        elif number == 2 and isinstance(value, bytes):
            raw = value
    return api_version, kind, raw


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of each field as it comes: integers unsigned, everything with a length as bytes."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire_type == _BYTES:
            size, at = _varint(data, at)
        elif wire_type in (_FIXED64, _FIXED32):
            size = 8 if wire_type == _FIXED64 else 4
        else:
            raise Malformed(f"wire type {wire_type}")
        if size > end - at:
            raise Malformed("it ends within a field")
        if wire_type == _BYTES:
            yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
    raise Malformed("a number does not end")


@cache
def _table() -> dict[str, dict[int, _Field]]:
    """Message -> number -> field."""
    table: dict[str, dict[int, _Field]] = {}
    fields: dict[int, _Field] = {}
    for line in MESSAGES.strip().splitlines():
        words = line.split()
        if not line.startswith(" "):
            fields = table[words.pop(0)] = {}
        for word in words:
            number, name, text = word.split(":")
            bare = text.strip("^*").removesuffix("[]").strip("{}")
            fields[int(number)] = _Field(
                name,
                bare,
                many="[]" in text,
                map=text.startswith("{"),
                keeps_zero=text.endswith("*"),
                inline=text.startswith("^"),
            )
    return table


def _message(name: str, data: bytes) -> dict[str, Any]:
    known = _table()[name]
    result: dict[str, Any] = {}
    for number, value in _fields(data):
        field = known.get(number)
        if field is None:
            continue  # newer than this server
        if field.map:
            key, item = _pair(field, _expect_bytes(value))
            result.setdefault(field.name, {})[key] = item
        elif field.many:
            result.setdefault(field.name, []).append(_value(field.type, value))
        elif field.inline:
            result |= _message(field.type, _expect_bytes(value))
        else:
            item = _value(field.type, value)
            if item or field.keeps_zero or isinstance(item, dict) or (item is not None and field.type == "o"):
                result[field.name] = item
    return result


def _pair(field: _Field, data: bytes) -> tuple[str, Any]:
    key = ""
    item = _value(field.type, b"")
    for number, value in _fields(data):
        if number == 1:
            key = _expect_bytes(value).decode()
        elif number == 2:
            item = _value(field.type, value)
    return key, item


def _value(kind: str, value: int | bytes) -> Any:
    if kind not in _SCALARS:
        return _message(kind, _expect_bytes(value))
    if kind == "i":
        return _signed(_expect_int(value))
    if kind == "b":
        return bool(_expect_int(value))
    data = _expect_bytes(value)
    if kind == "s":
        return data.decode()
    if kind == "y":
        return base64.b64encode(data).decode()
    if kind == "x":
        return [_expect_bytes(item).decode() for number, item in _fields(data) if number == 1]
    inner = dict(_fields(data))
    if kind == "q":
        return _expect_bytes(inner.get(1, b"")).decode()
    if kind == "o":
        return _int_or_string(inner)
    return _time(inner, micro=kind == "m")


def _int_or_string(inner: dict[int, int | bytes]) -> int | str:
    if inner.get(1):
        return _expect_bytes(inner.get(3, b"")).decode()
    return _signed(_expect_int(inner.get(2, 0)))


def _time(inner: dict[int, int | bytes], *, micro: bool) -> str | None:
    """None for the zero time, which is how an absent one is sent."""
    if 1 not in inner:
        return None
    seconds = _signed(_expect_int(inner[1]))
    if not 0 <= seconds <= MAX_TIME_SECONDS:
        raise Malformed("a time beyond the year 9999")
    if not micro:
        return format_time(seconds)
    return format_micro_time(seconds + _signed(_expect_int(inner.get(2, 0))) / 1e9)


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _expect_bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise Malformed("a number where a length is due")
    return value


def _expect_int(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise Malformed("a length where a number is due")
    return value
