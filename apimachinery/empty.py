"""Takes empty values for absent ones, as the original's types do: `readOnly: false`, `env: []` and `annotations: {}`
say no more than leaving the field out, and vanish from the wire.

The rule becomes a part of the validator that each model has anyway, so it holds wherever an object is decoded and costs
what calling a small function for some of the fields does. Where an empty value says something of its own, the original
has a pointer, and the field a star in `Model.protobuf`. Objects stay: `emptyDir: {}` is a choice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_CAN_BE_EMPTY = ("str", "int", "float", "bool", "list", "dict")
_MARK = {"empty_is_absent": True}

Schema = dict[str, Any]
"""A schema of pydantic's core: {"type": …, "schema": the inner one}."""


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
    """Returns the type below the validators; "any" for a map of whatever there may be, which is an object."""
    while schema["type"] == "function-after":
        schema = schema["schema"]
    name: str = schema["type"]
    return "any" if name == "dict" and schema.get("values_schema", {}).get("type") == "any" else name


def _none_if_empty(value: Any) -> Any:
    return value or None


def _or_default(default: Any) -> Callable[[Any], Any]:
    return lambda value: value or default
