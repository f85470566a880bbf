"""What each schema of a definition may say, structural or not."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from apimachinery.errors import FieldError
from apimachinery.validation import Errors, Path
from apiserver.apiextensions.schema.definition.defaults import check_defaults
from apiserver.apiextensions.schema.definition.rules import Expressions, check_texts
from apiserver.apiextensions.schema.definition.structural import check_structural, subschemas, unsupported
from apiserver.apiextensions.schema.patterns import compile_pattern

Schema = Mapping[str, Any]

MAX_DEPTH = 100  # schemas in one another; the deepest in use have about 30, and each level takes frames of the stack
MAX_PATTERN_STEPS = 200_000  # of all compiled patterns of a schema: half a second of work, and some megabytes

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_IDENTITY = ("apiVersion", "kind", "metadata")
_ROOT_WITH_STATUS = (
    "Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern "
    "MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields "
    "XValidations"
)
_ALLOWED_AT_ROOT = frozenset(
    {name[0].lower() + name[1:] for name in _ROOT_WITH_STATUS.split()}
    | {"x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations"}
)


@dataclass(frozen=True, slots=True)
class _Place:
    """What schemas around a schema mean for it. `no_default` says why it may have no default; "" if it may."""

    is_root: bool = False
    in_identity: bool = False
    no_default: str = ""
    uncorrelated: Path | None = None
    """The first schema around, from the root on, whose content has no counterpart in the old object."""
    expressions: Expressions | None = None
    """Where the expressions of rules are checked; None where they are not."""
    times: int | None = 1
    """The most values of the schema that an object can hold; None for no bound."""

    def inside(self, schema: Schema) -> _Place:
        """Returns the place of a schema's items, members and the like."""
        kind = schema.get("type")
        bound: int | None = 1
        if kind == "array":
            bound = schema.get("maxItems")
        elif kind == "object" and schema.get("additionalProperties") is not None:
            bound = schema.get("maxProperties")
        times = None if self.times is None or bound is None else self.times * max(bound, 0)
        return replace(self, is_root=False, times=times)

    def nested(self) -> _Place:
        """Returns the place of a schema in a combination."""
        return replace(self, is_root=False, expressions=None)


def is_too_deep(schema: Schema) -> bool:
    level = [schema]
    for _ in range(MAX_DEPTH):
        level = [inner for one in level for inner in subschemas(one)]
        if not level:
            return False
    return True


def check_schema(schema: Schema, at: Path, *, has_status: bool = False, old: Schema | None = None) -> list[FieldError]:
    """Lists the faults of a version's schema; `has_status` is whether it has the status subresource."""
    errors = Errors()
    if has_status:
        said = [name for name, value in schema.items() if value not in (None, False, "", [], {})]
        if any(name not in _ALLOWED_AT_ROOT for name in said):
            allowed = f"[{_ROOT_WITH_STATUS}]"
            rule = f"only {allowed} fields are allowed at the root of the schema if the status subresource is enabled"
            errors.invalid(at, dict(schema), rule)
    if schema.get("nullable"):
        errors.forbidden((*at, "nullable"), "nullable cannot be true at the root")
    if _are_patterns_too_large(schema):
        errors.forbidden(at, f"patterns take more than {MAX_PATTERN_STEPS} steps together")
        return errors
    reason, expressions = unsupported(schema), None
    if reason is None:
        found = check_structural(schema, at) or check_defaults(schema, at)
        errors += found
        expressions = None if found else Expressions(unchanged=schema == old)
    _check(errors, schema, at, _Place(is_root=True, expressions=expressions))
    if reason is not None and not errors:
        errors.invalid(at, "", reason)
    if expressions is not None:
        expressions.check_total(at)
        errors += expressions.errors
    return errors


def _are_patterns_too_large(schema: Schema) -> bool:
    """Compiles patterns until they are: those that are none at all are another check's to tell."""
    patterns, schemas, steps = set[str](), [schema], 0
    while schemas:
        one = schemas.pop()
        schemas += subschemas(one)
        if (pattern := one.get("pattern")) and pattern not in patterns:
            patterns.add(pattern)
            with suppress(ValueError):
                steps += compile_pattern(pattern).size
            if steps > MAX_PATTERN_STEPS:
                return True
    return False


def _check(errors: Errors, schema: Schema, at: Path, place: _Place) -> None:
    before = len(errors)
    _check_support(errors, schema, at, place)
    _check_members(errors, schema, at, place)
    if schema.get("not") is not None:
        _check(errors, schema["not"], (*at, "not"), place.nested())
    for name in ("allOf", "oneOf", "anyOf"):
        for index, inner in enumerate(schema.get(name) or ()):
            _check(errors, inner, (*at, name, index), place.nested())
    items, list_type = schema.get("items"), schema.get("x-kubernetes-list-type")
    inside = place.inside(schema)
    if list_type != "map" and inside.uncorrelated is None:
        inside = replace(inside, uncorrelated=at)
    if isinstance(items, Mapping):
        _check(errors, items, (*at, "items"), inside)
    elif isinstance(items, list):
        for index, inner in enumerate(items):
            _check(errors, inner, (*at, "items", index), inside)
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        errors.invalid((*at, "x-kubernetes-preserve-unknown-fields"), False, "must be true or undefined")
    _check_map_type(errors, schema, at)
    _check_list_type(errors, schema, at)
    check_texts(errors, schema, at)
    if place.expressions is not None and len(errors) == before:
        place.expressions.check(schema, at, is_root=place.is_root, times=place.times, uncorrelated=place.uncorrelated)


def _check_support(errors: Errors, schema: Schema, at: Path, place: _Place) -> None:
    kind = schema.get("type")
    if kind and kind not in _TYPES:
        errors.not_supported((*at, "type"), kind, _TYPES)
    if schema.get("default") is not None and place.no_default:
        errors.forbidden((*at, "default"), f"must not be set {place.no_default}")
    for name in ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"):
        if schema.get(name) not in (None, "", {}) or (name == "additionalItems" and name in schema):
            errors.forbidden((*at, name), f"{name} is not supported")
    if kind == "null":
        errors.forbidden((*at, "type"), "type cannot be set to null, use nullable as an alternative")
    if isinstance(schema.get("items"), list):
        errors.forbidden((*at, "items"), "items must be a schema object and not an array")
    if place.in_identity and schema.get("x-kubernetes-embedded-resource"):
        errors.forbidden((*at, "x-kubernetes-embedded-resource"), "must not be used inside of resource meta")
    if schema.get("uniqueItems"):
        rule = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        errors.forbidden((*at, "uniqueItems"), rule)


def _check_members(errors: Errors, schema: Schema, at: Path, place: _Place) -> None:
    properties, further = schema.get("properties") or {}, schema.get("additionalProperties")
    if further is not None:
        if properties and further is not True:
            rule = "additionalProperties and properties are mutual exclusive"
            errors.forbidden((*at, "additionalProperties"), rule)
        if isinstance(further, Mapping):
            inside = place.inside(schema)
            if place.in_identity:
                inside = replace(inside, no_default="inside additionalProperties applying to object metadata")
            _check(errors, further, (*at, "additionalProperties"), inside)
    for name in sorted(properties):
        inside = place.inside(schema)
        if schema.get("x-kubernetes-map-type") == "atomic" and inside.uncorrelated is None:
            inside = replace(inside, uncorrelated=at)
        if name in _IDENTITY and (place.is_root or schema.get("x-kubernetes-embedded-resource")):
            inside = replace(inside, in_identity=True)
            if place.is_root:
                inside = replace(inside, no_default=f"in top-level {name}")
        _check(errors, properties[name], (*at, "properties", f"[{name}]"), inside)


# -- lists and maps


def _check_kind(errors: Errors, schema: Schema, at: Path, kind: str, mark: str) -> None:
    if schema.get("type") != kind:
        rule = f"must be {kind} if {mark} is specified"
        if schema.get("type"):
            errors.invalid((*at, "type"), schema["type"], rule)
        else:
            errors.required((*at, "type"), rule)


def _check_map_type(errors: Errors, schema: Schema, at: Path) -> None:
    mark = "x-kubernetes-map-type"
    if schema.get(mark) is not None:
        _check_kind(errors, schema, at, "object", mark)
        if schema[mark] not in ("atomic", "granular"):
            errors.not_supported((*at, mark), schema[mark], ("atomic", "granular"))


def _check_list_type(errors: Errors, schema: Schema, at: Path) -> None:
    mark, keys_mark = "x-kubernetes-list-type", "x-kubernetes-list-map-keys"
    list_type, items = schema.get(mark), schema.get("items")
    if list_type is not None:
        _check_kind(errors, schema, at, "array", mark)
        if list_type == "set" and schema.get("type") == "array" and isinstance(items, Mapping):
            _check_set_items(errors, items, (*at, "items"))
        if list_type not in ("atomic", "set", "map"):
            errors.not_supported((*at, mark), list_type, ("atomic", "set", "map"))
    if schema.get(keys_mark) and list_type != "map":
        rule = f"must be map if {keys_mark} is non-empty"
        if list_type is None:
            errors.required((*at, mark), rule)
        else:
            errors.invalid((*at, mark), list_type, rule)
    if list_type == "map":
        _check_list_map(errors, schema, at)
    if list_type in ("set", "map") and isinstance(items, Mapping):
        if items.get("nullable"):
            errors.forbidden((*at, "items", "nullable"), f"cannot be nullable when {mark} is {list_type}")
        if list_type == "map":
            _check_keys_are_set(errors, schema, items, at)


def _check_set_items(errors: Errors, items: Schema, at: Path) -> None:
    rule = "must be atomic as item of a list with x-kubernetes-list-type=set"
    inner, outer = items.get("x-kubernetes-list-type"), items.get("x-kubernetes-map-type")
    if items.get("type") == "array" and inner not in (None, "atomic"):
        errors.invalid((*at, "x-kubernetes-list-type"), inner, rule)
    if items.get("type") == "object" and outer != "atomic":
        errors.invalid((*at, "x-kubernetes-map-type"), inner, rule)


def _check_list_map(errors: Errors, schema: Schema, at: Path) -> None:
    mark, items = "x-kubernetes-list-map-keys", schema.get("items")
    keys = schema.get(mark) or []
    if not keys:
        errors.required((*at, mark), "must not be empty if x-kubernetes-list-type is map")
    if items is None:
        errors.required((*at, "items"), "must have a schema if x-kubernetes-list-type is map")
    elif isinstance(items, list):
        errors.invalid((*at, "items"), items, "must only have a single schema if x-kubernetes-list-type is map")
    elif items.get("type") != "object":
        rule = "must be object if parent array's x-kubernetes-list-type is map"
        errors.invalid((*at, "items", "type"), items.get("type") or "", rule)
    else:
        properties = items.get("properties") or {}
        for index, key in enumerate(keys):
            if key not in properties:
                errors.invalid((*at, mark), keys, "entries must all be names of item properties")
            elif properties[key].get("type") in ("array", "object"):
                rule = "must be a scalar type if parent array's x-kubernetes-list-type is map"
                errors.invalid((*at, "items", "properties", f"[{key}]", "type"), items["type"], rule)
            if key in keys[:index]:
                errors.invalid((*at, mark), keys, "must not contain duplicate entries")


def _check_keys_are_set(errors: Errors, schema: Schema, items: Schema, at: Path) -> None:
    properties, needed = items.get("properties") or {}, items.get("required") or ()
    rule = "this property is in x-kubernetes-list-map-keys, so it"
    for key in schema.get("x-kubernetes-list-map-keys") or ():
        if key not in properties:
            continue
        path = (*at, "items", "properties", f"[{key}]")
        if key not in needed and properties[key].get("default") is None:
            errors.required((*path, "default"), f"{rule} must have a default or be a required property")
        if properties[key].get("nullable"):
            errors.forbidden((*path, "nullable"), f"{rule} cannot be nullable")
