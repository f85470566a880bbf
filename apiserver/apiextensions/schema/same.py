"""Compares JSON values, where Python's own equality takes `1`, `1.0` and `true` for one, and finds what an item was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apimachinery.errors import quote


def same(left: Any, right: Any) -> bool:
    """Compares in depth. Numbers are the same if they are equal; neither is a boolean."""
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and left.keys() == right.keys()
            and all(same(value, right[name]) for name, value in left.items())
        )
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(same, left, right))
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def by_key(schema: Mapping[str, Any], items: Any) -> dict[str, Any]:
    """Returns the items of a list by their keys; nothing where the list's schema gives them none."""
    if schema.get("x-kubernetes-list-type") != "map" or not isinstance(items, list):
        return {}
    return {item_key(schema, item): item for item in items}


def item_key(schema: Mapping[str, Any], item: Any) -> str:
    """Returns the values of an item's keys, as text; "" for an item that can't have any."""
    if not isinstance(item, dict):
        return ""
    return quote([item.get(name) for name in schema.get("x-kubernetes-list-map-keys") or ()])
