"""Takes empty values for absent ones, as the original's types do: `readOnly: false`, `env: []` and `annotations: {}`
say no more than leaving the field out, and vanish from the wire. Times and lists without that rule are null there.

The rule becomes a part of the validator that each model has anyway, so it holds wherever an object is decoded and costs
what calling a small function for some of the fields does. Where an empty value says something of its own, the original
has a pointer, and the field a star in `Model.protobuf`. Objects stay: `emptyDir: {}` is a choice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

_CAN_BE_EMPTY = ("str", "int", "float", "bool", "list", "dict")
_MARK = {"empty_is_absent": True}

Schema = dict[str, Any]
"""A schema of pydantic's core: {"type": …, "schema": the inner one}."""


class NullIfEmpty:
    """Marks a time or list that is `null` on the wire when it is empty: `Annotated[Time, NullIfEmpty()] = ""`."""

    __slots__ = ()

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        inner = handler(source)
        empty = list if inner["type"] == "list" else str
        return core_schema.no_info_after_validator_function(
            lambda value: value or empty(),
            core_schema.nullable_schema(inner),
            serialization=core_schema.plain_serializer_function_ser_schema(_none_if_empty, when_used="json"),
        )


def drop_empty(model: Schema, pointers: frozenset[str]) -> None:
    """Changes a model's schema so that its fields take an empty value for an absent one, but for `pointers`."""
    while model["type"] != "model-fields":
        model = model["schema"]
    for name, field in model["fields"].items():
        if name not in pointers:
            _drop_empty_field(field["schema"])


def _drop_empty_field(field: Schema) -> None:
    """Leaves fields that are always on the wire: they have no default, or an empty one."""
    if "default" not in field:
        return
    default = field["default"]
    holder = field["schema"] if field["schema"]["type"] == "nullable" else field
    if holder is field and not default:
        return
    schema = holder["schema"]
    if _basic_type(schema) in _CAN_BE_EMPTY and schema.get("metadata") is not _MARK:
        function = {"type": "no-info", "function": _none_if_empty if default is None else _or_default(default)}
        holder["schema"] = {"type": "function-after", "function": function, "schema": schema, "metadata": _MARK}


def _basic_type(schema: Schema) -> str:
    """Returns the type below the validators; "any" for a map of anything, which is an object in Go."""
    while schema["type"] == "function-after":
        schema = schema["schema"]
    if schema["type"] == "dict" and schema["values_schema"]["type"] == "any":
        return "any"
    name: str = schema["type"]
    return name


def _none_if_empty(value: Any) -> Any:
    return value or None


def _or_default(default: Any) -> Callable[[Any], Any]:
    return lambda value: value or default
