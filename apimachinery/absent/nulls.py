"""Gives `null` the meaning that it has to the original's decoder.

As a field it says that the field is absent. As an item of a list or a value of a map it is the empty value of its type:
`args: [null]` is one empty text, and `limits: {cpu: null}` the amount 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]
"""A schema of pydantic's core: {"type": …, "schema": the inner one}."""

_EMPTY: dict[str, Any] = {"str": "", "int": 0, "float": 0, "bool": False}


class NullFiller:
    """Replaces the nulls in a document of one model, whose schema is that of its validator."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._definitions: dict[str, Schema] = {}
        if schema["type"] == "definitions":
            self._definitions = {item["ref"]: item for item in schema["definitions"]}

    def fill(self, document: Any) -> Any:
        return self._fill(self._schema, document)

    def _fill(self, schema: Schema, value: Any) -> Any:
        """Leaves a value of another type than the schema's as it is: the validator refuses it."""
        schema = self._inner(schema)
        if schema["type"] == "model-fields" and isinstance(value, dict):
            fields = {field.get("validation_alias", name): field for name, field in schema["fields"].items()}
            return {
                name: self._fill(fields[name]["schema"], item) if name in fields else item
                for name, item in value.items()
                if item is not None or name not in fields
            }
        if schema["type"] == "dict" and isinstance(value, dict):
            return {key: self._item(schema["values_schema"], item) for key, item in value.items()}
        if schema["type"] == "list" and isinstance(value, list):
            return [self._item(schema["items_schema"], item) for item in value]
        return value

    def _item(self, schema: Schema, value: Any) -> Any:
        if value is not None:
            return self._fill(schema, value)
        inner = self._inner(schema)["type"]
        if inner in ("model-fields", "dict"):
            return {}
        return [] if inner == "list" else _EMPTY.get(inner)

    def _inner(self, schema: Schema) -> Schema:
        """Returns the schema below defaults, validators and references. A function before it reads null itself."""
        while True:
            if schema["type"] == "definition-ref":
                schema = self._definitions[schema["schema_ref"]]
            elif "schema" in schema and schema["type"] != "function-before":
                schema = schema["schema"]
            else:
                return schema
