"""Reads Kubernetes' protobuf bodies as JSON: kubectl's `create` commands and Go clients send them. Answers are JSON.

Google's own runtime parses the bytes. The descriptors that it needs are built from the models, where each class names
its fields in the order of their numbers (`Model.protobuf`) and its annotations say their types: a new kind brings its
numbers with it, and neither .proto text nor a table has to be kept in step. The runtime takes 25 ms and 4 MB, so it is
imported for the first body that needs it.
Source: Kubernetes API concepts, "Kubernetes Protobuf encoding"; Protocol Buffers documentation, "Encoding".
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

import orjson

from apimachinery.catalogue import load_catalogue
from apimachinery.errors import BadRequest, UnsupportedMediaType
from apimachinery.fields.fieldtypes import Field, FieldType, Message, fields_of
from apimachinery.meta import DeleteOptions
from apimachinery.model import Base64, Model, Time
from apimachinery.quantity import Quantity
from apimachinery.times import format_micro_time, format_time
from apiserver.codec import schemamessage

MAGIC = b"k8s\x00"
MAX_TIME_SECONDS = 253_402_300_799  # the end of the year 9999

_PACKAGE = "k8s"
_NO_TYPE = FieldType("any")
_QUANTITY, _TIME, _BASE64 = (alias.__metadata__[0] for alias in (Quantity, Time, Base64))  # type: ignore[attr-defined]
_COMMON = {
    "TypeMeta": {"apiVersion": "string", "kind": "string"},
    "Unknown": {"typeMeta": "TypeMeta", "raw": "bytes"},
    "Quantity": {"string": "string"},
    "Time": {"seconds": "int64", "nanos": "int64"},
    "MicroTime": {"seconds": "int64", "nanos": "int64"},
    "IntOrString": {"type": "int64", "intVal": "int64", "strVal": "string"},
    "RawExtension": {"raw": "bytes"},
    "Strings": {"items": "string[]"},
    **schemamessage.FIELDS,
}
"""Messages without a model -> their fields, numbered from 1, and their types: [] ends a list's, {} a map's."""


class Malformed(Exception):
    """The body is not a valid message of its declared kind."""


class _Text(Enum):
    """What is text in JSON -> its type in protobuf."""

    PLAIN = "string"
    QUANTITY = "Quantity"
    TIME = "Time"
    MICRO_TIME = "MicroTime"
    BASE64 = "bytes"


@dataclass(frozen=True, slots=True)
class NumberedField:
    """A field of a message; `members` are those of a nested message whose fields stand in the object itself.

    `text` says what the field, or an item of it, is on the wire where JSON has text.
    """

    number: int
    name: str = ""
    type: FieldType = _NO_TYPE
    text: _Text = _Text.PLAIN
    keeps_zero: bool = False
    members: NumberedFields | None = None


NumberedFields = dict[int, NumberedField]


def to_json(body: bytes) -> bytes:
    """The object in an envelope as JSON, with `apiVersion` and `kind` as the envelope names them.

    Raises: BadRequest for malformed bytes, UnsupportedMediaType for a kind that is not known in this encoding.
    """
    from google.protobuf.message import DecodeError

    try:
        if not body.startswith(MAGIC):
            raise Malformed("it does not start with the encoding's four bytes")
        envelope = _messages().parse("Unknown", body[len(MAGIC) :])
        api_version, kind = envelope.typeMeta.apiVersion, envelope.typeMeta.kind
        model = kinds().get((api_version, kind))
        if model is None:
            raise UnsupportedMediaType(f"{kind} in version {api_version!r} is not read as protobuf: send it as JSON")
        document = _object(_messages().parse(_messages().name(model), envelope.raw), numbered_fields(model))
    except (Malformed, DecodeError) as error:
        raise BadRequest(f"the request body is not a valid protobuf object: {error}") from None
    return orjson.dumps({"kind": kind, "apiVersion": api_version, **document})


@cache
def kinds() -> dict[tuple[str, str], type[Model]]:
    """(apiVersion, kind) -> the model, for all that may be sent as protobuf. DeleteOptions are of every version."""
    models: dict[tuple[str, str], type[Model]] = {("meta.k8s.io/v1", "DeleteOptions"): DeleteOptions}
    for kind in load_catalogue().kinds():
        models[kind.api_version, "DeleteOptions"] = DeleteOptions
        if kind.model.protobuf:
            models[kind.api_version, kind.kind] = kind.model
    return models


@cache
def numbered_fields(model: type[Model]) -> NumberedFields:
    return _read_numbers(iter(model.protobuf_words()), fields_of(model))


def _read_numbers(words: Iterator[str], fields: dict[str, Field]) -> NumberedFields:
    """The fields up to the closing parenthesis, or to the end."""
    numbered: NumberedFields = {}
    for number, word in enumerate(words, 1):
        if word == ")":
            break
        if word == "(":
            numbered[number] = NumberedField(number, members=_read_numbers(words, fields))
        elif word != "-":
            name = word.removesuffix("*")
            kind = fields[name].type
            if kind.form == "map" and kind.item is not None and kind.item.form == "any":
                # An object of no model travels as the bytes of its JSON, unless it has a message.
                kind = FieldType("any", marks=kind.marks) if kind.mark(Message) else _NO_TYPE
            text = _text_type(kind if kind.item is None else kind.item)
            numbered[number] = NumberedField(number, name, kind, text, keeps_zero=word.endswith("*"))
    return numbered


@cache
def _messages() -> _Messages:
    return _Messages()


class _Messages:
    """The message types, each made when it is first asked for. Every model is a file of its own in the pool."""

    def __init__(self) -> None:
        from google.protobuf.descriptor_pool import DescriptorPool

        self._pool: Any = DescriptorPool()
        self._models: set[type[Model]] = set()
        common = _file("common")
        for name, fields in _COMMON.items():
            message = common.message_type.add(name=name)
            for number, (field, kind) in enumerate(fields.items(), 1):
                inner = kind.removesuffix("[]").removesuffix("{}")
                if kind.endswith("{}"):
                    inner = _add_entry(message, name, number, inner)
                safe = re.sub(r"\W", "_", field)  # JSON's names may hold more than protobuf's
                _add_field(message, number, safe, inner, repeated=kind != inner)
        self._pool.Add(common)

    def parse(self, name: str, data: bytes) -> Any:
        """Raises: DecodeError, Malformed."""
        from google.protobuf.message_factory import GetMessageClass

        message: Any = GetMessageClass(self._pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))()
        message.ParseFromString(data)
        _check_wire_types(message)
        return message

    def name(self, model: type[Model]) -> str:
        """The name of the model's message, which exists from then on."""
        name = f"{model.__module__}.{model.__name__}".replace(".", "_")
        if model not in self._models:
            self._models.add(model)
            file = _file(name, "common")
            self._add_fields(file.message_type.add(name=name), name, numbered_fields(model), file)
            self._pool.Add(file)
        return name

    def _add_fields(self, message: Any, path: str, fields: NumberedFields, file: Any) -> None:
        """Gives a message the fields of a model; `path` is the message's name from the package on."""
        for field in fields.values():
            inner = f"Inner{field.number}"
            if field.members is not None:
                self._add_fields(message.nested_type.add(name=inner), f"{path}.{inner}", field.members, file)
                _add_field(message, field.number, inner.lower(), f"{path}.{inner}")
                continue
            type_name = self._type_name(field, file)
            if field.type.form == "map":
                type_name = _add_entry(message, path, field.number, type_name)
            _add_field(message, field.number, field.name, type_name, repeated=field.type.item is not None)

    def _type_name(self, field: NumberedField, file: Any) -> str:
        """The type of the field, or of what a list or map holds."""
        kind = field.type if field.type.item is None else field.type.item
        if kind.model is not None:
            name = self.name(kind.model)
            if name not in file.dependency:
                file.dependency.append(name)
            return name
        if kind.form == "int-or-string":
            return "IntOrString"
        if kind.form == "any":
            own = kind.mark(Message)
            return own.name if own else "RawExtension"
        if kind.form == "list":
            return "Strings"
        if kind.python is not str:
            return "bool" if kind.python is bool else "int64"
        return field.text.value


def _file(name: str, *dependencies: str) -> Any:
    """Edition 2023 tells a zero from an absent field, and refuses text that is not UTF-8."""
    from google.protobuf.descriptor_pb2 import EDITION_2023, FileDescriptorProto

    return FileDescriptorProto(
        name=name, package=_PACKAGE, syntax="editions", edition=EDITION_2023, dependency=dependencies
    )


def _add_entry(message: Any, path: str, number: int, kind: str) -> str:
    """Adds the message of a map's entries, with values of this type, and returns its name from the package on."""
    entry = message.nested_type.add(name=f"Inner{number}")
    _add_field(entry, 1, "key", "string")
    _add_field(entry, 2, "value", kind)
    return f"{path}.{entry.name}"


def _add_field(message: Any, number: int, name: str, kind: str, *, repeated: bool = False) -> None:
    field = message.field.add(name=name, number=number)
    field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
    if kind in ("string", "bytes", "bool", "int64", "double"):
        field.type = getattr(field, f"TYPE_{kind.upper()}")
    else:
        field.type, field.type_name = field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"


def _check_wire_types(message: Any) -> None:
    """The runtime takes a field of another wire type for an unknown one. Raises: Malformed."""
    from google.protobuf.unknown_fields import UnknownFieldSet

    messages = [message]
    while messages:
        message = messages.pop()
        known_fields = message.DESCRIPTOR.fields_by_number
        unknown_fields: Any = UnknownFieldSet(message)
        for unknown in unknown_fields:
            if unknown.field_number in known_fields:
                raise Malformed(f"wire type {unknown.wire_type} for field {known_fields[unknown.field_number].name}")
        for descriptor, value in message.ListFields():
            if descriptor.message_type is not None:
                messages.extend(value if descriptor.is_repeated else (value,))


def _object(message: Any, fields: NumberedFields) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for descriptor, value in message.ListFields():
        field = fields[descriptor.number]
        kind = field.type
        if field.members is not None:
            document |= _object(value, field.members)
        elif kind.item is None:
            item = _value(kind, field.text, value)
            if item or field.keeps_zero or kind.form != "scalar":
                document[field.name] = item
        elif kind.form == "list":
            document[field.name] = [_value(kind.item, field.text, item) for item in value]
        else:
            document[field.name] = {entry.key: _value(kind.item, field.text, entry.value) for entry in value}
    return document


def _value(kind: FieldType, text: _Text, value: Any) -> Any:
    if kind.model is not None:
        return _object(value, numbered_fields(kind.model))
    if kind.form == "int-or-string":
        return value.strVal if value.type else value.intVal
    if kind.form == "any":
        return schemamessage.to_document(value, _json)
    if kind.form == "list":
        return list(value.items)
    if text is _Text.PLAIN:
        return value
    if text is _Text.QUANTITY:
        return value.string
    if text is _Text.BASE64:
        return base64.b64encode(value).decode()
    return _time(value, micro=text is _Text.MICRO_TIME)


def _json(raw: bytes) -> Any:
    """Raises: Malformed."""
    try:
        return orjson.loads(raw) if raw else None
    except orjson.JSONDecodeError as error:
        raise Malformed(f"bytes that are not JSON: {error}") from None


def _text_type(kind: FieldType) -> _Text:
    if "MicroTime" in kind.marks:
        return _Text.MICRO_TIME
    for mark, text_type in ((_QUANTITY, _Text.QUANTITY), (_TIME, _Text.TIME), (_BASE64, _Text.BASE64)):
        if any(mark is one for one in kind.marks):
            return text_type
    return _Text.PLAIN


def _time(value: Any, *, micro: bool) -> str | None:
    """None for the zero time, which is how an absent one is sent. Raises: Malformed."""
    if not value.HasField("seconds"):
        return None
    if not 0 <= value.seconds <= MAX_TIME_SECONDS:
        raise Malformed("a time beyond the year 9999")
    return format_micro_time(value.seconds + value.nanos / 1e9) if micro else format_time(value.seconds)
