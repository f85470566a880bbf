"""The form in which the schema of a definition is kept: only known fields, each of its type, none that says nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from apimachinery.errors import BadRequest

MAX_NESTING = 230  # levels of the JSON of a schema; encoders refuse deeper nesting

Fits = Callable[[Any, str, list[str]], bool]
"""(value, its path, dropped paths) -> whether it has the right type; brings schemas in it into form."""


@dataclass(frozen=True, slots=True)
class _Form:
    """`name` is for messages. `optional` keeps what is empty: it is not the same as nothing."""

    name: str
    fits: Fits
    optional: bool = False


def decode_schema(schema: dict[str, Any], path: str) -> list[str]:
    """Drops, in place, the fields that no schema has, and returns their paths; `path` is that of the schema itself.

    Fields that say nothing are dropped, too: null, false, "", empty lists and objects, where they are the same as
    nothing. Raises: BadRequest for a field of the wrong type, and for a schema that is nested too deeply.
    """
    if _is_nested(schema, MAX_NESTING):
        raise BadRequest(f"{path} must not be nested more than {MAX_NESTING} levels deep")
    dropped: list[str] = []
    _tidy(schema, _FIELDS, path, dropped)
    return dropped


def unknown_fields(schema: Any, path: str) -> list[str]:
    """Returns the paths of fields that no schema has; [] for what isn't a schema at all."""
    return decode_schema(schema, path) if isinstance(schema, dict) else []


def _is_nested(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            inner
            for item in level
            for inner in (item.values() if isinstance(item, dict) else item)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _tidy(value: dict[str, Any], fields: Mapping[str, _Form], path: str, dropped: list[str]) -> None:
    useless = []
    for name, item in value.items():
        form, where = fields.get(name), f"{path}.{name}"
        if form is None:
            dropped.append(where)
            useless.append(name)
        elif item is None:
            useless.append(name)
        elif not form.fits(item, where, dropped):
            raise BadRequest(f"CustomResourceDefinition cannot be decoded: {form.name} is expected in {where}")
        elif not form.optional and (item is False or item == "" or item == [] or item == {}):
            useless.append(name)
    for name in useless:
        del value[name]


def _of(*types: type) -> Fits:
    return lambda item, path, dropped: type(item) in types


def _is_whole(item: Any, path: str, dropped: list[str]) -> bool:
    return type(item) is int and -(2**63) <= item < 2**63


def _is_texts(item: Any, path: str, dropped: list[str]) -> bool:
    return isinstance(item, list) and all(isinstance(text, str) for text in item)


def _is_object(fields: Callable[[], Mapping[str, _Form]]) -> Fits:
    def fits(item: Any, path: str, dropped: list[str]) -> bool:
        if isinstance(item, dict):
            _tidy(item, fields(), path, dropped)
        return isinstance(item, dict)

    return fits


def _list_of(inner: Fits) -> Fits:
    return lambda items, path, dropped: (
        isinstance(items, list) and all(inner(item, f"{path}[{index}]", dropped) for index, item in enumerate(items))
    )


def _named(inner: Fits) -> Fits:
    return lambda items, path, dropped: (
        isinstance(items, dict) and all(inner(item, f"{path}[{name}]", dropped) for name, item in items.items())
    )


def _either(one: Fits, other: Fits) -> Fits:
    return lambda item, path, dropped: one(item, path, dropped) or other(item, path, dropped)


_IS_SCHEMA = _is_object(lambda: _FIELDS)
_TEXT, _OPTIONAL_TEXT = _Form("a string", _of(str)), _Form("a string", _of(str), optional=True)
_FLAG, _OPTIONAL_FLAG = _Form("a boolean", _of(bool)), _Form("a boolean", _of(bool), optional=True)
_WHOLE = _Form("an integer", _is_whole, optional=True)
_NUMBER = _Form("a number", _either(_is_whole, _of(float)), optional=True)
_TEXTS = _Form("a list of strings", _is_texts)
_ANY = _Form("a value", lambda item, path, dropped: True, optional=True)
_SCHEMA = _Form("an object", _IS_SCHEMA, optional=True)
_SCHEMAS, _NAMED_SCHEMAS = _Form("a list of objects", _list_of(_IS_SCHEMA)), _Form("an object", _named(_IS_SCHEMA))
_SCHEMA_OR_FLAG = _Form("an object or a boolean", _either(_IS_SCHEMA, _of(bool)), optional=True)

_DOCS = {"description": _TEXT, "url": _TEXT}
_RULE = {
    "rule": _TEXT, "message": _TEXT, "messageExpression": _TEXT, "reason": _OPTIONAL_TEXT, "fieldPath": _TEXT,
    "optionalOldSelf": _OPTIONAL_FLAG,
}  # fmt: skip
_FIELDS: dict[str, _Form] = {
    **dict.fromkeys(("id", "$schema", "description", "type", "format", "title", "pattern"), _TEXT),
    **dict.fromkeys(("exclusiveMaximum", "exclusiveMinimum", "uniqueItems", "nullable"), _FLAG),
    **dict.fromkeys(("x-kubernetes-embedded-resource", "x-kubernetes-int-or-string"), _FLAG),
    **dict.fromkeys(("maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties"), _WHOLE),
    **dict.fromkeys(("maximum", "minimum", "multipleOf"), _NUMBER),
    **dict.fromkeys(("$ref", "x-kubernetes-list-type", "x-kubernetes-map-type"), _OPTIONAL_TEXT),
    **dict.fromkeys(("required", "x-kubernetes-list-map-keys"), _TEXTS),
    **dict.fromkeys(("allOf", "anyOf", "oneOf"), _SCHEMAS),
    **dict.fromkeys(("properties", "patternProperties", "definitions"), _NAMED_SCHEMAS),
    **dict.fromkeys(("additionalProperties", "additionalItems"), _SCHEMA_OR_FLAG),
    **dict.fromkeys(("default", "example"), _ANY),
    "x-kubernetes-preserve-unknown-fields": _OPTIONAL_FLAG,
    "enum": _Form("a list", _of(list)),
    "not": _SCHEMA,
    "items": _Form("an object or a list", _either(_IS_SCHEMA, _list_of(_IS_SCHEMA)), optional=True),
    "dependencies": _Form("an object", _named(_either(_IS_SCHEMA, _is_texts))),
    "externalDocs": _Form("an object", _is_object(lambda: _DOCS), optional=True),
    "x-kubernetes-validations": _Form("a list of objects", _list_of(_is_object(lambda: _RULE))),
}
