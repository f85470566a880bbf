"""Objects are brought into the form of their schema: unknown fields dropped, defaults set."""

from __future__ import annotations

import copy
from typing import Any

from apiserver.apiextensions.schema.embedded import IDENTITY, prune_metadata
from apiserver.apiextensions.schema.node import Node
from apiserver.apiextensions.schema.paths import At, dotted

_NESTED: frozenset[type] = frozenset((dict, list))


def prune(value: Any, node: Node | None, at: At, dropped: list[str], *, keep: bool = False) -> None:
    """Drops unknown fields in place, unless the schema, or that of the list around, keeps them.

    What is below properties that a schema names is pruned all the same.
    """
    if isinstance(value, list):
        keep = keep or (node is not None and node.preserve)
        items = node.items if node is not None else None
        if items is not None or not keep:
            for index, item in enumerate(value):
                if item.__class__ in _NESTED:
                    prune(item, items, (at, index), dropped, keep=keep)
        return
    if not isinstance(value, dict):
        return
    if node is None:
        dropped.extend(dotted((at, name)) for name in value)
        value.clear()
        return
    unknown = []
    for name, member in value.items():
        if node.embedded and name in IDENTITY:
            if name == "metadata":
                prune_metadata(member, (at, name), dropped)
        elif name in node.properties:
            if member.__class__ in _NESTED:
                prune(member, node.child(name), (at, name), dropped)
        elif node.additional is not None:
            if member.__class__ in _NESTED:
                prune(member, node.further, (at, name), dropped)
        elif not (keep or node.preserve):
            unknown.append(name)
    for name in unknown:
        dropped.append(dotted((at, name)))
        del value[name]


def default(value: Any, node: Node) -> None:
    """Sets the defaults of absent members, each a copy of its own.

    A null where the schema allows none is as good as absent.
    """
    if isinstance(value, dict):
        nulls = [name for name, member in value.items() if member is None]
        for name in nulls:
            child = node.member(name)
            if child is not None and not child.nullable:
                if child.default is None:
                    del value[name]
                else:
                    value[name] = copy.deepcopy(child.default)
        for name in node.defaulted:
            if name not in value:
                value[name] = copy.deepcopy(node.properties[name]["default"])
        for name, member in value.items():
            if member.__class__ in _NESTED and (child := node.member(name)) is not None:
                default(member, child)
    elif isinstance(value, list) and (items := node.items) is not None:
        for index, item in enumerate(value):
            if item is None and not items.nullable and items.default is not None:
                item = value[index] = copy.deepcopy(items.default)
            if item.__class__ in _NESTED:
                default(item, items)
