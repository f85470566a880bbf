"""Finds the fields of a document that its model lacks."""

from __future__ import annotations

from typing import Any

from apimachinery.fields.fieldtypes import FieldType, OwnFields, fields_of
from apimachinery.model import Model

MAX_REPORTED = 100  # further fields are left out of the answer, as they would not fit in headers


def unknown_fields(model: type[Model], document: Any) -> list[str]:
    """`unknown field "spec.replicaz"`, for each field of the document that the model lacks."""
    paths: list[str] = []
    if isinstance(document, dict):
        _check_object(model, document, "", paths)
    return [f'unknown field "{path}"' for path in paths[:MAX_REPORTED]]


def _check_object(model: type[Model], document: dict[str, Any], path: str, unknown: list[str]) -> None:
    fields = fields_of(model)
    for key, item in document.items():
        where = f"{path}.{key}" if path else str(key)
        if key in fields:
            _check_value(fields[key].type, item, where, unknown)
        else:
            unknown.append(where)


def _check_value(kind: FieldType, value: Any, path: str, unknown: list[str]) -> None:
    if (own := kind.mark(OwnFields)) is not None:
        unknown.extend(own.unknown(value, path))
    elif kind.model is not None:
        if isinstance(value, dict):
            _check_object(kind.model, value, path, unknown)
    elif kind.item is not None and kind.inner_model is not None:
        if kind.form == "list" and isinstance(value, list):
            for index, element in enumerate(value):
                _check_value(kind.item, element, f"{path}[{index}]", unknown)
        elif kind.form == "map" and isinstance(value, dict):
            for name, element in value.items():
                _check_value(kind.item, element, f"{path}.{name}", unknown)
