"""OpenAPI schemas -> the types of expressions, and objects -> their values.

Source: Kubernetes documentation, "Extend the Kubernetes API with CustomResourceDefinitions", "Validation rules".
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any

from kubecel._times import parse_duration, parse_timestamp
from kubecel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    Field,
    ObjectType,
    Type,
    list_of,
    map_of,
)
from kubecel.values import EvaluationError, MapList, SetList, Timestamp

Schema = Mapping[str, Any]
Resolve = Callable[[str], Schema]

MAX_REQUEST = 3 * 1024 * 1024  # bytes: no list or string in an object is larger
_KEYWORDS = frozenset(
    [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)
_ESCAPES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__", "$": "__dollar__"}
_PROPERTY = re.compile(r"[A-Za-z_.\-/$][\w.\-/$]*", re.ASCII)
_PLAIN = {"boolean": BOOL, "integer": INT, "number": DOUBLE, "null": NULL}
_SMALLEST = {"boolean": 4, "integer": 1, "number": 1, "string": 2, "array": 2, "object": 2, "null": 4}
"""The bytes of the smallest value of each type in JSON."""
_FORMATS = {"byte": BYTES, "date": TIMESTAMP, "date-time": TIMESTAMP, "duration": DURATION}
_FORMAT_SIZES = {"date": 10, "date-time": 35, "duration": 30}
META: Schema = {"type": "object", "properties": {"name": {"type": "string"}, "generateName": {"type": "string"}}}
EMBEDDED: Schema = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": META}
"""Fields that each object with a kind has, whatever its schema says."""


def no_references(name: str) -> Schema:
    raise KeyError(name)


def escape(name: str) -> str | None:
    """The name of a property in expressions: "a-b" -> "a__dash__b"; None for one that they cannot name."""
    if not _PROPERTY.fullmatch(name):
        return None
    if name in _KEYWORDS:
        return f"__{name}__"
    return re.sub(r"__|[.\-/$]", lambda match: _ESCAPES[match.group()], name)


def declared_type(
    schema: Schema, resolve: Resolve = no_references, *, resource: bool = False, lenient: bool = False
) -> Type | None:
    """Returns the type of values of a schema, None if expressions can't use them. `resource`: the schema is that of a
    whole object, or of one that is embedded. `resolve` finds the schema that a `$ref` names. `lenient`: what the schema
    leaves open may be anything, as in the schemas of built-in kinds; else expressions can't use it."""
    schema = _resolved(schema, resolve)
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        return Type("dyn", (), MAX_REQUEST - 2)
    kind = schema.get("type", "")
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind == "string":
        return _string(schema)
    if kind == "array":
        items = declared_type(schema.get("items") or {}, resolve, lenient=lenient)
        largest = schema.get("maxItems")
        smallest = smallest_size(_resolved(schema.get("items") or {}, resolve))
        return list_of(items, MAX_REQUEST // (smallest + 1) if largest is None else largest) if items else None
    if kind == "object":
        embedded = resource or bool(schema.get("x-kubernetes-embedded-resource"))
        return _object(schema, resolve, resource=embedded, lenient=lenient)
    return DYN if lenient else None


def _resolved(schema: Schema, resolve: Resolve) -> Schema:
    for _ in range(20):
        reference = schema.get("$ref") or next((one["$ref"] for one in schema.get("allOf", ()) if "$ref" in one), None)
        if reference is None:
            break
        schema = resolve(reference.rpartition("/")[2])
    return schema


def _string(schema: Schema) -> Type:
    text_format = schema.get("format", "")
    found = _FORMATS.get(text_format, STRING)
    largest = schema.get("maxLength")
    if largest is None and schema.get("enum"):
        largest = max(len(str(value)) for value in schema["enum"])
    if largest is None:
        largest = _FORMAT_SIZES.get(text_format, MAX_REQUEST - 2)
    return Type(found.name, (), largest)


def smallest_size(schema: Schema) -> int:
    """Returns the bytes of the smallest value of a schema in JSON."""
    size = _SMALLEST.get(schema.get("type", ""), 1)
    for name in schema.get("required") or ():
        property_schema = (schema.get("properties") or {}).get(name)
        if property_schema is not None and "default" not in property_schema:
            size += len(name) + 4 + smallest_size(property_schema)
    return size


def _object(schema: Schema, resolve: Resolve, *, resource: bool, lenient: bool) -> Type | None:
    if lenient and not schema.get("properties") and not schema.get("additionalProperties"):
        return DYN
    additional = schema.get("additionalProperties")
    if isinstance(additional, Mapping) and additional:
        value = declared_type(additional, resolve, lenient=lenient)
        largest = schema.get("maxProperties")
        if largest is None:
            largest = MAX_REQUEST // (smallest_size(_resolved(additional, resolve)) + 5)
        return map_of(Type("string", (), MAX_REQUEST - 4), value, largest) if value is not None else None
    declared: dict[str, Field] | None = None

    def fields() -> Mapping[str, Field]:
        nonlocal declared
        if declared is None:
            properties = {**(schema.get("properties") or {}), **(EMBEDDED if resource else {})}
            if resource and (meta := (schema.get("properties") or {}).get("metadata")):
                known = _resolved(meta, resolve).get("properties") or {}
                properties["metadata"] = {"type": "object", "properties": {**META["properties"], **known}}
            declared = {}
            for name, item in properties.items():
                escaped, found = escape(name), declared_type(item, resolve, lenient=lenient)
                if escaped is not None and found is not None:
                    declared[escaped] = Field(found, name)
        return declared

    return ObjectType("object", fields=fields)


Convert = Callable[[Any], Any]


def converter(schema: Schema) -> Convert | None:
    """Returns what makes the value of an object's part, None where the object is its own value already: there are no
    numbers, times, bytes and lists without an order below it. Schemas may not be recursive."""
    kind = schema.get("type", "")
    if kind == "number":
        return lambda value: float(value) if value.__class__ is int else value
    if kind == "string" and schema.get("format") in _FORMATS:
        return _TEXTS[schema["format"]]
    if kind == "array":
        return _list_converter(schema)
    if kind == "object":
        return _object_converter(schema)
    return None


def _list_converter(schema: Schema) -> Convert | None:
    convert = converter(schema.get("items") or {})
    list_type = schema.get("x-kubernetes-list-type")
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    if convert is None and list_type not in ("set", "map"):
        return None

    def convert_list(value: Any) -> Any:
        if not isinstance(value, list):
            return value
        items = [convert(item) for item in value] if convert is not None else value
        if list_type == "set":
            return SetList(items)
        return MapList(items, keys) if list_type == "map" and all(isinstance(item, dict) for item in items) else items

    return convert_list


def _object_converter(schema: Schema) -> Convert | None:
    additional = schema.get("additionalProperties")
    every = converter(additional) if isinstance(additional, Mapping) else None
    named = {name: found for name, item in (schema.get("properties") or {}).items() if (found := converter(item))}
    if every is None and not named:
        return None

    def convert_object(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if every is not None:
            return {key: every(item) for key, item in value.items()}
        return {key: named[key](item) if key in named else item for key, item in value.items()}

    return convert_object


def _or_itself(convert: Convert) -> Convert:
    """A value that is not of its format stays what it is: another check has refused it."""

    def read(value: Any) -> Any:
        try:
            return convert(value) if isinstance(value, str) else value
        except (EvaluationError, ValueError):
            return value

    return read


def _date(text: str) -> Timestamp:
    return parse_timestamp(f"{text}T00:00:00Z")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError from error


_TEXTS: dict[str, Convert] = {
    "byte": _or_itself(_bytes),
    "date": _or_itself(_date),
    "date-time": _or_itself(parse_timestamp),
    "duration": _or_itself(parse_duration),
}
