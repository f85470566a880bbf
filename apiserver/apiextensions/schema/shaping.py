"""Objects are brought into the form of their schema: unknown fields dropped, defaults set."""

from __future__ import annotations

import copy
from typing import Any

import orjson

from apimachinery.errors import RequestEntityTooLarge
from apiserver.apiextensions.schema.embedded import IDENTITY, prune_metadata
from apiserver.apiextensions.schema.node import Node
from apiserver.apiextensions.schema.paths import At, dotted

MOST_DEFAULT_BYTES = 3 << 20
"""The JSON that defaults may add to an object: as much as a body may have, and more than can be stored."""
_NESTED: frozenset[type] = frozenset((dict, list))


class Filling:
    """Sets the defaults of one object, as long as they don't make it too large.

    A schema of a few bytes may have each of a million items filled with a thousand more.
    """

    def __init__(self) -> None:
        self._left = MOST_DEFAULT_BYTES

    def _take(self, size: int) -> None:
        """Raises: RequestEntityTooLarge."""
        self._left -= size
        if self._left < 0:
            raise RequestEntityTooLarge(
                f"Request entity too large: the defaults of its schema have more than {MOST_DEFAULT_BYTES} bytes"
            )

    def members(self, value: dict[str, Any], node: Node) -> None:
        """Raises: RequestEntityTooLarge."""
        if None in value.values():
            self._replace_nulls(value, node)
        for name in node.defaulted:
            if name not in value:
                self._take(node.default_size(name))
                value[name] = copy.deepcopy(node.properties[name]["default"])

    def items(self, value: list[Any], items: Node) -> None:
        """Raises: RequestEntityTooLarge."""
        if items.default is not None and not items.nullable and None in value:
            size = len(orjson.dumps(items.default))
            for index, item in enumerate(value):
                if item is None:
                    self._take(size)
                    value[index] = copy.deepcopy(items.default)

    def _replace_nulls(self, value: dict[str, Any], node: Node) -> None:
        for name in [name for name, member in value.items() if member is None]:
            child = node.member(name)
            if child is not None and not child.nullable:
                if child.default is None:
                    del value[name]
                else:
                    self._take(len(orjson.dumps(child.default)))
                    value[name] = copy.deepcopy(child.default)


def prune(
    value: Any, node: Node | None, at: At, dropped: list[str], *, keep: bool = False, filling: Filling | None = None
) -> None:
    """Drops unknown fields in place, unless the schema, or that of the list around, keeps them.

    What is below properties that a schema names is pruned all the same. `filling` sets defaults in the same walk.

    Raises: RequestEntityTooLarge.
    """
    if isinstance(value, list):
        keep = keep or (node is not None and node.preserve)
        items = node.items if node is not None else None
        if filling is not None and items is not None and items.default is not None:
            filling.items(value, items)
        if items is not None or not keep:
            for index, item in enumerate(value):
                if item.__class__ in _NESTED:
                    prune(item, items, (at, index), dropped, keep=keep, filling=filling)
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
    if filling is not None:
        filling.members(value, node)
    for name, member in value.items():
        if member.__class__ not in _NESTED:
            continue
        if node.embedded and name in IDENTITY:
            if name == "metadata":
                prune_metadata(member, (at, name), dropped)
            if filling is not None and (child := node.child(name)) is not None:
                default(member, child, filling)
        elif name in named:
            prune(member, node.child(name), (at, name), dropped, filling=filling)
        elif node.additional is not None:
            prune(member, node.further, (at, name), dropped, filling=filling)


def default(value: Any, node: Node, filling: Filling | None = None) -> None:
    """Sets the defaults of absent members, each a copy of its own.

    A null where the schema allows none is as good as absent. Raises: RequestEntityTooLarge.
    """
    filling = filling or Filling()
    if isinstance(value, dict):
        filling.members(value, node)
        for name, member in value.items():
            if member.__class__ in _NESTED and (child := node.member(name)) is not None:
                default(member, child, filling)
    elif isinstance(value, list) and (items := node.items) is not None:
        filling.items(value, items)
        for item in value:
            if item.__class__ in _NESTED:
                default(item, items, filling)
