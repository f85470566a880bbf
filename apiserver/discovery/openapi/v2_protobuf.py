"""The OpenAPI v2 document as gnostic's protobuf message `openapi.v2.Document`, the form in which kubectl asks for it.

Values are spelled as in JSON; tables map each key to the field of a message.
Source: gnostic, OpenAPIv2.proto; Protocol Buffers documentation, "Encoding".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from componentbase.net.varint import varint

Dict = dict[str, Any]
Encode = Callable[[Any], bytes]
Fields = dict[str, tuple[int, Encode]]
"""Key -> (number, how its value is encoded); "x-" stands for all vendor extensions."""


def document_bytes(head: Dict, paths: Iterable[tuple[str, Dict]], definitions: Iterable[tuple[str, Dict]]) -> bytes:
    """Encodes the document. It reads `definitions` after all of `paths`."""
    path_items = b"".join(_block(2, _named(name, _path_item(item))) for name, item in paths)
    schemas = b"".join(_block(1, _named(name, _schema(schema))) for name, schema in definitions)
    return _message(_DOCUMENT, head) + _block(8, path_items) + _block(9, schemas)


def _block(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def _message(fields: Fields, value: Dict) -> bytes:
    """Raises: KeyError for a key that the message lacks."""
    out = []
    for key, item in value.items():
        if key.startswith("x-"):
            out.append(_block(fields["x-"][0], _named(key, _any(item))))
            continue
        number, encode = fields[key]
        if isinstance(item, bool) or encode is _count:
            out.append(varint(number << 3) + varint(int(item) & 2**64 - 1))
        elif encode is _number:
            out.append(varint(number << 3 | 1) + encode(item))
        elif isinstance(item, list):
            out += [_block(number, encode(one)) for one in item]
        else:
            out.append(_block(number, encode(item)))
    return b"".join(out)


def _text(value: str) -> bytes:
    return value.encode()


def _any(value: Any) -> bytes:
    """Encodes a value of any type as gnostic does: as YAML, of which JSON is a part."""
    return _block(2, orjson.dumps(value))


def _flag(value: Any) -> bytes:
    raise TypeError(f"{value!r} is not a flag")


def _count(value: Any) -> bytes:
    raise TypeError(f"{value!r} is not a count")


def _number(value: float) -> bytes:
    return struct.pack("<d", value)


def _named(name: str, value: bytes) -> bytes:
    """Encodes an entry of a map."""
    return _block(1, name.encode()) + _block(2, value)


def _map_of(encode: Encode) -> Encode:
    return lambda value: b"".join(_block(1, _named(name, encode(item))) for name, item in value.items())


def _wrapped(encode: Encode, number: int = 1) -> Encode:
    """Wraps an encoding in a message of several choices."""
    return lambda value: _block(number, encode(value))


def _path_item(value: Dict) -> bytes:
    return _message(_PATH_ITEM, value)


def _operation(value: Dict) -> bytes:
    return _message(_OPERATION, value)


def _schema(value: Dict) -> bytes:
    return _message(_SCHEMA, value)


def _parameter(value: Dict) -> bytes:
    place = value["in"]
    if place == "body":
        return _block(1, _block(1, _message(_BODY, value)))
    number, fields = (3, _QUERY) if place == "query" else (4, _PLACE)
    return _block(1, _block(2, _block(number, _message(fields, value))))


_SCHEMA: Fields = {
    "$ref": (1, _text),
    "format": (2, _text),
    "title": (3, _text),
    "description": (4, _text),
    "default": (5, _any),
    "multipleOf": (6, _number),
    "maximum": (7, _number),
    "exclusiveMaximum": (8, _flag),
    "minimum": (9, _number),
    "exclusiveMinimum": (10, _flag),
    "maxLength": (11, _count),
    "minLength": (12, _count),
    "pattern": (13, _text),
    "maxItems": (14, _count),
    "minItems": (15, _count),
    "uniqueItems": (16, _flag),
    "maxProperties": (17, _count),
    "minProperties": (18, _count),
    "required": (19, _text),
    "enum": (20, _any),
    "additionalProperties": (21, _wrapped(_schema)),
    "type": (22, _wrapped(_text)),
    "items": (23, _wrapped(_schema)),
    "properties": (25, _map_of(_schema)),
    "x-": (31, _any),
}
_ITEMS: Fields = {"type": (1, _text)}
_BODY: Fields = {
    "description": (1, _text),
    "name": (2, _text),
    "in": (3, _text),
    "required": (4, _flag),
    "schema": (5, _schema),
}
_QUERY: Fields = {
    "required": (1, _flag),
    "in": (2, _text),
    "description": (3, _text),
    "name": (4, _text),
    "type": (6, _text),
    "items": (8, lambda value: _message(_ITEMS, value)),
    "collectionFormat": (9, _text),
    "uniqueItems": (20, _flag),
    "enum": (21, _any),
}
_PLACE: Fields = {**{key: _QUERY[key] for key in ("required", "in", "description", "name")}} | {
    "type": (5, _text),
    "uniqueItems": (19, _flag),
}
_RESPONSE: Fields = {"description": (1, _text), "schema": (2, _wrapped(_schema))}
_OPERATION: Fields = {
    "tags": (1, _text),
    "description": (3, _text),
    "operationId": (5, _text),
    "produces": (6, _text),
    "consumes": (7, _text),
    "parameters": (8, _parameter),
    "responses": (9, _map_of(_wrapped(lambda value: _message(_RESPONSE, value)))),
    "schemes": (10, _text),
    "deprecated": (11, _flag),
    "x-": (13, _any),
}
_PATH_ITEM: Fields = {
    "get": (2, _operation),
    "put": (3, _operation),
    "post": (4, _operation),
    "delete": (5, _operation),
    "options": (6, _operation),
    "head": (7, _operation),
    "patch": (8, _operation),
    "parameters": (9, _parameter),
}
_INFO: Fields = {"title": (1, _text), "version": (2, _text)}
_API_KEY: Fields = {"type": (1, _text), "name": (2, _text), "in": (3, _text), "description": (4, _text)}
_DOCUMENT: Fields = {
    "swagger": (1, _text),
    "info": (2, lambda value: _message(_INFO, value)),
    "security": (12, _map_of(lambda scopes: b"".join(_block(1, scope.encode()) for scope in scopes))),
    "securityDefinitions": (13, _map_of(_wrapped(lambda value: _message(_API_KEY, value), 2))),
}
