"""Fields of a body that the kind does not have, and fields given twice: for `fieldValidation=Strict` and `Warn`.

Source: Kubernetes API concepts, "Validation for unrecognized or duplicate fields".
"""

from __future__ import annotations

import json
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import orjson

from apimachinery.model import Model

MAX_REPORTED = 100  # further fields are left out of the answer, as they would not fit in headers


def unknown_fields(model: type[Model], document: Any) -> list[str]:
    """`unknown field "spec.replicaz"`, for each field of the document that the model lacks."""
    found: list[str] = []
    _walk(model, document, "", found)
    return [f'unknown field "{path}"' for path in found[:MAX_REPORTED]]


def _walk(model: type[Model], value: Any, path: str, found: list[str]) -> None:
    if not isinstance(value, dict):
        return
    fields = _fields_of(model)
    for key, item in value.items():
        where = f"{path}.{key}" if path else str(key)
        if key not in fields:
            found.append(where)
            continue
        shape, inner = fields[key]
        if inner is None:
            continue
        if shape == "list" and isinstance(item, list):
            for index, element in enumerate(item):
                _walk(inner, element, f"{where}[{index}]", found)
        elif shape == "dict" and isinstance(item, dict):
            for name, element in item.items():
                _walk(inner, element, f"{where}.{name}", found)
        elif shape == "":
            _walk(inner, item, where, found)


@cache
def _fields_of(model: type[Model]) -> dict[str, tuple[str, type[Model] | None]]:
    """Wire name -> (how the field holds it: "", "list" or "dict"; the model inside, None for plain values)."""
    return {field.alias or name: _inner(field.annotation) for name, field in model.model_fields.items()}


def _inner(annotation: Any) -> tuple[str, type[Model] | None]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _inner(get_args(annotation)[0])
    if origin in (Union, UnionType):
        members = [member for member in get_args(annotation) if member is not NoneType]
        return next((found for found in map(_inner, members) if found[1] is not None), ("", None))
    if origin in (list, dict):
        return ("list" if origin is list else "dict"), _inner(get_args(annotation)[-1])[1]
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return "", annotation
    return "", None


def may_repeat_fields(body: bytes) -> bool:
    """False only where no object in the JSON has a key twice: as many keys are written as are left after parsing.

    Keys are counted by the quote and colon behind them. Other spellings of those are looked at in earnest.
    """
    try:
        once = orjson.dumps(orjson.loads(body))
    except TypeError:
        return True  # nested too deeply to be written again
    if once == body.strip():  # as Go writes it
        return False
    unusual = b" :" in body or b"\n:" in body or b"\t:" in body or b"\r:" in body or b"\\u00" in body
    return unusual or body.count(b'":') != once.count(b'":')


def duplicate_fields(body: bytes) -> list[str]:
    """`duplicate field "spec.replicas"`; the last of them is the one that counts, as in every JSON decoder."""
    found: list[str] = []

    def build(pairs: list[tuple[str, Any]]) -> Any:
        result = dict(pairs)
        if len(result) != len(pairs):
            seen: set[str] = set()
            twice = {key for key, _ in pairs if key in seen or seen.add(key)}  # type: ignore[func-returns-value]
            return _WithDuplicates(result, twice)
        return result

    document = json.loads(body, object_pairs_hook=build)
    _collect(document, "", found)
    return [f'duplicate field "{path}"' for path in found[:MAX_REPORTED]]


class _WithDuplicates(dict[str, Any]):
    def __init__(self, items: dict[str, Any], twice: set[str]) -> None:
        super().__init__(items)
        self.twice = twice


def _collect(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, dict):
        if isinstance(value, _WithDuplicates):
            found.extend(sorted(f"{path}.{key}" if path else key for key in value.twice))
        for key, item in value.items():
            _collect(item, f"{path}.{key}" if path else key, found)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _collect(item, f"{path}[{index}]", found)
