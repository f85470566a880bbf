"""The schema of a CustomResourceDefinition in protobuf: JSONSchemaProps and what is in it, as messages and as JSON.

A schema is a dict here, so no model says its numbers.
Source: the API reference of apiextensions.k8s.io/v1; Protocol Buffers documentation, "Encoding".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

SCHEMA = "JSONSchemaProps"
_STRING, _BOOL, _INT, _NUMBER, _JSON = "string", "bool", "int64", "double", "RawExtension"
_OR_ARRAY, _OR_BOOL, _OR_STRINGS = "SchemaOrArray", "SchemaOrBool", "SchemaOrStrings"
_EITHER: dict[str, Any] = {_OR_ARRAY: [], _OR_BOOL: False, _OR_STRINGS: []}
"""Messages for a schema or something else instead -> the value that an empty one stands for."""

FIELDS: dict[str, dict[str, str]] = {
    SCHEMA: {
        "id": _STRING,
        "$schema": _STRING,
        "$ref": _STRING,
        "description": _STRING,
        "type": _STRING,
        "format": _STRING,
        "title": _STRING,
        "default": _JSON,
        "maximum": _NUMBER,
        "exclusiveMaximum": _BOOL,
        "minimum": _NUMBER,
        "exclusiveMinimum": _BOOL,
        "maxLength": _INT,
        "minLength": _INT,
        "pattern": _STRING,
        "maxItems": _INT,
        "minItems": _INT,
        "uniqueItems": _BOOL,
        "multipleOf": _NUMBER,
        "enum": _JSON + "[]",
        "maxProperties": _INT,
        "minProperties": _INT,
        "required": _STRING + "[]",
        "items": _OR_ARRAY,
        "allOf": SCHEMA + "[]",
        "oneOf": SCHEMA + "[]",
        "anyOf": SCHEMA + "[]",
        "not": SCHEMA,
        "properties": SCHEMA + "{}",
        "additionalProperties": _OR_BOOL,
        "patternProperties": SCHEMA + "{}",
        "dependencies": _OR_STRINGS + "{}",
        "additionalItems": _OR_BOOL,
        "definitions": SCHEMA + "{}",
        "externalDocs": "ExternalDocumentation",
        "example": _JSON,
        "nullable": _BOOL,
        "x-kubernetes-preserve-unknown-fields": _BOOL,
        "x-kubernetes-embedded-resource": _BOOL,
        "x-kubernetes-int-or-string": _BOOL,
        "x-kubernetes-list-map-keys": _STRING + "[]",
        "x-kubernetes-list-type": _STRING,
        "x-kubernetes-map-type": _STRING,
        "x-kubernetes-validations": "ValidationRule[]",
    },
    _OR_ARRAY: {"schema": SCHEMA, "jSONSchemas": SCHEMA + "[]"},
    _OR_BOOL: {"allows": _BOOL, "schema": SCHEMA},
    _OR_STRINGS: {"schema": SCHEMA, "property": _STRING + "[]"},
    "ExternalDocumentation": {"description": _STRING, "url": _STRING},
    "ValidationRule": {
        "rule": _STRING,
        "message": _STRING,
        "messageExpression": _STRING,
        "reason": _STRING,
        "fieldPath": _STRING,
        "optionalOldSelf": _BOOL,
    },
}
"""Message -> its fields, by their names in JSON and numbered from 1, and their types: [] ends a list's, {} a map's."""


def to_document(message: Any, read_json: Callable[[bytes], Any]) -> Any:
    """Returns what a message of this file stands for in JSON; `read_json` reads the bytes of a RawExtension."""
    name = message.DESCRIPTOR.name
    if name == "RawExtension":
        return read_json(message.raw)
    names = list(FIELDS[name])
    document: dict[str, Any] = {}
    for descriptor, value in message.ListFields():
        field = names[descriptor.number - 1]
        kind = FIELDS[name][field]
        if kind.endswith("{}"):
            document[field] = {entry.key: _plain(entry.value, read_json) for entry in value}
        elif kind.endswith("[]"):
            document[field] = [_plain(item, read_json) for item in value]
        else:
            document[field] = _plain(value, read_json)
    if name in _EITHER:
        return document["schema"] if "schema" in document else next(iter(document.values()), _EITHER[name])
    return document


def _plain(value: Any, read_json: Callable[[bytes], Any]) -> Any:
    if isinstance(value, float):
        return int(value) if value.is_integer() else value  # as JSON writes it
    return value if isinstance(value, str | bool | int) else to_document(value, read_json)
