"""What makes a schema structural: every field has one type, said once, outside of all combinations.

Source: Kubernetes documentation, "Extend the Kubernetes API with CustomResourceDefinitions", "Specifying a structural
schema".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from apimachinery.errors import FieldError
from apimachinery.validation import Errors, Path, render
from apiserver.apiextensions.schema.patterns import compile_pattern
from apiserver.apiextensions.schema.values import INT_OR_STRING

Schema = Mapping[str, Any]
Level = Literal["root", "item", "field"]

_NO_TYPE: dict[Level, str] = {
    "root": "must not be empty at the root",
    "item": "must not be empty for specified array items",
    "field": "must not be empty for specified object fields",
}
_UNSUPPORTED = ("id", "$schema", "$ref", "patternProperties", "dependencies", "additionalItems", "definitions")
_NOT_NESTED = {
    "type": "must be empty to be structural",
    "additionalProperties": "must be undefined to be structural",
    "default": "must be undefined to be structural",
    "title": "must be empty to be structural",
    "description": "must be empty to be structural",
    "nullable": "must be false to be structural",
    "x-kubernetes-preserve-unknown-fields": "must be false to be structural",
    "x-kubernetes-embedded-resource": "must be false to be structural",
    "x-kubernetes-int-or-string": "must be false to be structural",
    "x-kubernetes-list-map-keys": "must be empty to be structural",
    "x-kubernetes-list-type": "must be undefined to be structural",
    "x-kubernetes-map-type": "must be undefined to be structural",
    "x-kubernetes-validations": "must be empty to be structural",
}


def unsupported(schema: Schema) -> str | None:
    """Names what keeps a schema, or one in it, from being read as a structural one."""
    for name in _UNSUPPORTED:
        if schema.get(name):
            return f"OpenAPIV3Schema '{name.removeprefix('$') if name == '$schema' else name}' is not supported"
    if isinstance(schema.get("items"), list):
        return "OpenAPIV3Schema 'items' must be a schema, but is an array"
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        return "internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined"
    return next((reason for inner in subschemas(schema) if (reason := unsupported(inner))), None)


def subschemas(schema: Schema) -> Iterator[Schema]:
    """Yields the schemas that stand directly in this one."""
    for name in ("items", "additionalProperties", "not"):
        if isinstance(inner := schema.get(name), Mapping):
            yield inner
    for name in ("allOf", "anyOf", "oneOf"):
        yield from schema.get(name) or ()
    yield from (schema.get("properties") or {}).values()


def check_structural(schema: Schema, at: Path) -> list[FieldError]:
    errors = Errors()
    _check(errors, schema, "root", at)
    _check_complete(errors, schema, schema, at, at)
    return sorted(errors, key=str)


def _check(errors: Errors, schema: Schema, level: Level, at: Path) -> None:
    kind, properties = schema.get("type") or "", schema.get("properties") or {}
    further, items = schema.get("additionalProperties"), schema.get("items")
    if kind == "array" and items is None:
        errors.required((*at, "items"), "must be specified")
    if items is not None:
        _check(errors, items, "item", (*at, "items"))
    for name, inner in properties.items():
        _check(errors, inner, "field", (*at, "properties", f"[{name}]"))
    if further is not None:
        if level == "root":
            errors.forbidden((*at, "additionalProperties"), "must not be used at the root")
        if isinstance(further, Mapping):
            _check(errors, further, "field", (*at, "additionalProperties"))
    _check_marks(errors, schema, at)
    _check_validations(errors, schema, at, is_int_or_string=True)
    _check_type(errors, schema, level, at)
    _check_identity(errors, schema, level, at)


def _check_marks(errors: Errors, schema: Schema, at: Path) -> None:
    for name in ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"):
        if schema.get("x-kubernetes-int-or-string") and schema.get(name):
            errors.invalid((*at, name), True, "must be false if x-kubernetes-int-or-string is true")


def _check_type(errors: Errors, schema: Schema, level: Level, at: Path) -> None:
    kind, path = schema.get("type") or "", (*at, "type")
    if schema.get("x-kubernetes-embedded-resource") and kind != "object":
        rule = "must be object if x-kubernetes-embedded-resource is true"
        if kind:
            errors.invalid(path, kind, rule)
        else:
            errors.required(path, rule)
    elif not kind and not (
        schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields")
    ):
        errors.required(path, _NO_TYPE[level])
    if level == "root" and kind and kind != "object":
        errors.invalid(path, kind, "must be object at the root")


def _check_identity(errors: Errors, schema: Schema, level: Level, at: Path) -> None:
    """Checks what a schema says of apiVersion, kind and metadata."""
    properties, embedded = schema.get("properties") or {}, schema.get("x-kubernetes-embedded-resource")
    if embedded and schema.get("additionalProperties") is not None:
        rule = "must not be used if x-kubernetes-embedded-resource is set"
        errors.forbidden((*at, "additionalProperties"), rule)
    if embedded and not schema.get("x-kubernetes-preserve-unknown-fields") and not properties:
        rule = (
            "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"
        )
        errors.required((*at, "properties"), rule)
    for name, kind in (("kind", "string"), ("apiVersion", "string"), ("metadata", "object")):
        inner = properties.get(name)
        if inner is not None and (level == "root" or embedded) and inner.get("type") != kind:
            errors.invalid((*at, "properties", f"[{name}]", "type"), inner.get("type") or "", f"must be {kind}")
    metadata = properties.get("metadata")
    if level == "root" and metadata is not None:
        said = {name for name, value in metadata.items() if value not in (None, False, "", [], {})}
        said -= {"type", "default", "externalDocs", "example"}
        if set(metadata.get("properties") or ()) <= {"name", "generateName"}:
            said.discard("properties")
        if said:
            rule = "must not specify anything other than name and generateName, but metadata is implicitly specified"
            errors.forbidden((*at, "properties", "[metadata]"), rule)


def _check_validations(errors: Errors, schema: Schema, at: Path, *, is_int_or_string: bool = False) -> None:
    """Checks the combinations of a schema. `is_int_or_string` allows them to list those two types."""
    any_of, all_of = schema.get("anyOf") or [], schema.get("allOf") or []
    if not (is_int_or_string and any_of == INT_OR_STRING):
        for index, inner in enumerate(any_of):
            _check_nested(errors, inner, (*at, "anyOf", index))
    for index, inner in enumerate(all_of):
        _check_nested(errors, inner, (*at, "allOf", index), is_int_or_string=is_int_or_string and index == 0)
    for index, inner in enumerate(schema.get("oneOf") or ()):
        _check_nested(errors, inner, (*at, "oneOf", index))
    if schema.get("not") is not None:
        _check_nested(errors, schema["not"], (*at, "not"))
    if pattern := schema.get("pattern"):
        try:
            compile_pattern(pattern)
        except ValueError as error:
            rule = f"must be a valid regular expression, but isn't: {error}"
            errors.invalid((*at, "pattern"), pattern, rule)


def _check_nested(errors: Errors, schema: Schema, at: Path, *, is_int_or_string: bool = False) -> None:
    """Checks a schema below a combination, which may only narrow values."""
    _check_validations(errors, schema, at, is_int_or_string=is_int_or_string)
    if schema.get("items") is not None:
        _check_nested(errors, schema["items"], (*at, "items"))
    for name, inner in (schema.get("properties") or {}).items():
        _check_nested(errors, inner, (*at, "properties", f"[{name}]"))
    for name, rule in _NOT_NESTED.items():
        if schema.get(name) or (name == "additionalProperties" and name in schema):
            errors.forbidden((*at, name), rule)
    if "metadata" in (schema.get("properties") or {}):
        errors.forbidden((*at, "properties", "[metadata]"), "must not be specified in a nested context")


def _check_complete(errors: Errors, nested: Schema, schema: Schema, at: Path, nested_at: Path) -> None:
    """Requires that the fields which the root's combinations name are properties as well."""
    for name in ("allOf", "anyOf", "oneOf"):
        for index, inner in enumerate(nested.get(name) or ()):
            _check_complete_nested(errors, inner, schema, at, (*nested_at, name, index))
    if nested.get("not") is not None:
        _check_complete_nested(errors, nested["not"], schema, at, (*nested_at, "not"))


def _check_complete_nested(errors: Errors, nested: Schema, schema: Schema | None, at: Path, nested_at: Path) -> None:
    if schema is None:
        errors.required(at, f"because it is defined in {render(nested_at)}")
        return
    _check_complete(errors, nested, schema, at, nested_at)
    if nested.get("items") is not None:
        inner_at = (*nested_at, "items")
        _check_complete_nested(errors, nested["items"], schema.get("items"), (*at, "items"), inner_at)
    properties = schema.get("properties") or {}
    for name, inner in (nested.get("properties") or {}).items():
        step = ("properties", f"[{name}]")
        _check_complete_nested(errors, inner, properties.get(name), (*at, *step), (*nested_at, *step))
