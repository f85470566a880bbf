"""Lists with `x-kubernetes-list-type` set or map: no item, or no key, twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from apimachinery.errors import FieldError, duplicate, invalid
from apimachinery.validation import Path, render
from apiserver.apiextensions.schema.branches import Branch, Raw


def asks(schema: Raw) -> bool:
    return schema.get("x-kubernetes-list-type") in ("set", "map")


def check(branch: Branch, value: Any, at: Path = ()) -> list[FieldError]:
    """Lists the second items that are as another one: a third says no more."""
    errors: list[FieldError] = []
    _check(branch, value, at, errors)
    return errors


def _check(branch: Branch, value: Any, at: Path, errors: list[FieldError]) -> None:
    if isinstance(value, dict):
        for name, member in value.items():
            if (inner := branch.members.get(name)) is not None:
                _check(inner, member, (*at, name), errors)
            elif branch.further is not None:
                _check(branch.further, member, (*at, f"[{name}]"), errors)
    elif isinstance(value, list):
        if branch.asks:
            errors.extend(_repeated(branch.schema, value, at))
        if branch.items is not None:
            for index, item in enumerate(value):
                _check(branch.items, item, (*at, index), errors)


def _repeated(schema: Raw, items: list[Any], at: Path) -> Iterator[FieldError]:
    counts: dict[bytes, int] = {}
    for index, item in enumerate(items):
        key = item
        if schema["x-kubernetes-list-type"] == "map":
            if item is not None and not isinstance(item, dict):
                yield invalid(render((*at, index)), item, "must be an object for an array of list-type map")
                return
            names = schema.get("x-kubernetes-list-map-keys") or ()
            key = {name: item[name] for name in names if name in item} if item else {}
        spelled = orjson.dumps(key, option=orjson.OPT_SORT_KEYS)
        counts[spelled] = counts.get(spelled, 0) + 1
        if counts[spelled] == 2:
            yield duplicate(render((*at, index)), key)
