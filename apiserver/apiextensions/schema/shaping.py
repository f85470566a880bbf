"""Objects are brought into the form of their schema: unknown fields dropped, defaults set."""

from __future__ import annotations

import copy
from typing import Any

from apiserver.apiextensions.schema.embedded import IDENTITY, prune_metadata
from apiserver.apiextensions.schema.node import Node
from apiserver.apiextensions.schema.paths import At, dotted

_NESTED: frozenset[type] = frozenset((dict, list))


def prune(value: Any, node: Node | None, at: At, dropped: list[str], *, keep: bool = False, fill: bool = False) -> None:
    """Drops unknown fields in place, unless the schema, or that of the list around, keeps them.

    What is below properties that a schema names is pruned all the same. `fill` sets defaults in the same walk.
    """
    if isinstance(value, list):
        keep = keep or (node is not None and node.preserve)
        items = node.items if node is not None else None
        if fill and items is not None and items.default is not None:
            _fill_items(value, items)
        if items is not None or not keep:
            for index, item in enumerate(value):
                if item.__class__ in _NESTED:
                    prune(item, items, (at, index), dropped, keep=keep, fill=fill)
        return
    if not isinstance(value, dict):
        return
    if node is None:
        dropped.extend(dotted((at, name)) for name in value)
        value.clear()
        return
    named = node.properties
    if node.additional is None and not (keep or node.preserve) and not value.keys() <= named.keys():
        for name in value.keys() - named.keys():
            if not (node.embedded and name in IDENTITY):
                dropped.append(dotted((at, name)))
                del value[name]
    if fill:
        _fill(value, node)
    for name, member in value.items():
        if member.__class__ not in _NESTED:
            continue
        if node.embedded and name in IDENTITY:
            if name == "metadata":
                prune_metadata(member, (at, name), dropped)
            if fill and (child := node.child(name)) is not None:
                default(member, child)
        elif name in named:
            prune(member, node.child(name), (at, name), dropped, fill=fill)
        elif node.additional is not None:
            prune(member, node.further, (at, name), dropped, fill=fill)


def default(value: Any, node: Node) -> None:
    """Sets the defaults of absent members, each a copy of its own.

    A null where the schema allows none is as good as absent.
    """
    if isinstance(value, dict):
        _fill(value, node)
        for name, member in value.items():
            if member.__class__ in _NESTED and (child := node.member(name)) is not None:
                default(member, child)
    elif isinstance(value, list) and (items := node.items) is not None:
        _fill_items(value, items)
        for item in value:
            if item.__class__ in _NESTED:
                default(item, items)


def _fill(value: dict[str, Any], node: Node) -> None:
    if None in value.values():
        _replace_nulls(value, node)
    for name in node.defaulted:
        if name not in value:
            value[name] = copy.deepcopy(node.properties[name]["default"])


def _fill_items(value: list[Any], items: Node) -> None:
    if items.default is not None and not items.nullable:
        for index, item in enumerate(value):
            if item is None:
                value[index] = copy.deepcopy(items.default)


def _replace_nulls(value: dict[str, Any], node: Node) -> None:
    for name in [name for name, member in value.items() if member is None]:
        child = node.member(name)
        if child is not None and not child.nullable:
            if child.default is None:
                del value[name]
            else:
                value[name] = copy.deepcopy(child.default)
