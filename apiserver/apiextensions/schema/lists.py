"""Lists with `x-kubernetes-list-type` set or map: no item, or no key, twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from apimachinery.errors import FieldError, duplicate, invalid
from apimachinery.validation import render
from apiserver.apiextensions.schema.node import Node
from apiserver.apiextensions.schema.paths import At, parts


def check(node: Node, value: Any, at: At = None) -> list[FieldError]:
    """Lists the second items that are as another one: a third says no more."""
    errors: list[FieldError] = []
    _check(node, value, at, errors)
    return errors


def _check(node: Node, value: Any, at: At, errors: list[FieldError]) -> None:
    if isinstance(value, dict):
        for name, member in value.items():
            if isinstance(member, dict | list):
                if (child := node.child(name)) is not None:
                    _check(child, member, (at, name), errors)
                elif (further := node.further) is not None:
                    _check(further, member, (at, f"[{name}]"), errors)
    elif isinstance(value, list):
        if node.list_type in ("set", "map"):
            errors.extend(_repeated(node, value, at))
        if (items := node.items) is not None:
            for index, item in enumerate(value):
                if isinstance(item, dict | list):
                    _check(items, item, (at, index), errors)


def _repeated(node: Node, items: list[Any], at: At) -> Iterator[FieldError]:
    counts: dict[bytes, int] = {}
    for index, item in enumerate(items):
        key = item
        if node.list_type == "map":
            if item is not None and not isinstance(item, dict):
                text = "must be an object for an array of list-type map"
                yield invalid(render(parts((at, index))), item, text)
                return
            key = {name: item[name] for name in node.list_keys if name in item} if item else {}
        spelled = orjson.dumps(key, option=orjson.OPT_SORT_KEYS)
        counts[spelled] = counts.get(spelled, 0) + 1
        if counts[spelled] == 2:
            yield duplicate(render(parts((at, index))), key)
