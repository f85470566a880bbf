"""Objects are brought into the form of their schema: unknown fields dropped, defaults set."""

from __future__ import annotations

import copy
from typing import Any

from apiserver.apiextensions.schema.embedded import IDENTITY, prune_metadata
from apiserver.apiextensions.schema.node import Node
from apiserver.apiextensions.schema.paths import At, dotted


def prune(value: Any, node: Node | None, at: At, dropped: list[str]) -> None:
    """Drops unknown fields in place. Below a schema that keeps them, named properties are still pruned."""
    if isinstance(value, dict):
        _prune_object(value, node, at, dropped)
    elif isinstance(value, list):
        items = node.items if node is not None else None
        if items is None and node is not None and node.preserve:
            return
        for index, item in enumerate(value):
            if isinstance(item, dict | list):
                prune(item, items, (at, index), dropped)


def _prune_object(value: dict[str, Any], node: Node | None, at: At, dropped: list[str]) -> None:
    if node is None:
        dropped.extend(dotted((at, name)) for name in value)
        value.clear()
        return
    unknown = []
    for name, member in value.items():
        if node.embedded and name in IDENTITY:
            if name == "metadata":
                prune_metadata(member, (at, name), dropped)
        elif (child := node.child(name)) is not None:
            if isinstance(member, dict | list):
                prune(member, child, (at, name), dropped)
        elif node.additional is not None:
            if isinstance(member, dict | list):
                prune(member, node.further, (at, name), dropped)
        elif not node.preserve:
            unknown.append(name)
    for name in unknown:
        dropped.append(dotted((at, name)))
        del value[name]


def drop_nulls(value: Any, node: Node) -> None:
    """Drops members that are null where the schema allows no null and has no default."""
    if isinstance(value, dict):
        nulls = []
        for name, member in value.items():
            if member is None:
                child = node.member(name)
                if child is not None and not child.nullable and child.default is None:
                    nulls.append(name)
            elif isinstance(member, dict | list) and (child := node.member(name)) is not None:
                drop_nulls(member, child)
        for name in nulls:
            del value[name]
    elif isinstance(value, list) and (items := node.items) is not None:
        for item in value:
            if isinstance(item, dict | list):
                drop_nulls(item, items)


def default(value: Any, node: Node) -> None:
    """Sets the defaults of absent members, and of null where none is allowed; each object gets a copy of its own."""
    if isinstance(value, dict):
        for name in node.defaulted:
            if value.get(name) is None and (name not in value or not node.properties[name].get("nullable")):
                value[name] = copy.deepcopy(node.properties[name]["default"])
        for name, member in value.items():
            child = node.member(name)
            if child is None:
                continue
            if member is None and not child.nullable and child.default is not None:
                member = value[name] = copy.deepcopy(child.default)
            if isinstance(member, dict | list):
                default(member, child)
    elif isinstance(value, list) and (items := node.items) is not None:
        for index, item in enumerate(value):
            if item is None and not items.nullable and items.default is not None:
                item = value[index] = copy.deepcopy(items.default)
            if isinstance(item, dict | list):
                default(item, items)
