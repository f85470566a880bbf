"""The form of custom resources for managed fields and server-side apply."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from apimachinery.meta import ObjectMeta
from apiserver.apiextensions.schema.node import Node
from apiserver.managedfields import shapes
from apiserver.managedfields.shapes import ANY_SHAPE, LEAF_SHAPE, LIST_MAP, LIST_SET, MAP, STRUCT, Shape


class _Members(Mapping[str, Shape]):
    """The members of an object that its schema names, worked out one by one as they are asked for."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._names = dict.fromkeys(node.properties)
        if node.embedded:
            self._names |= dict.fromkeys(("apiVersion", "kind", "metadata"))
        self._shapes: dict[str, Shape] = {}

    def __getitem__(self, name: str) -> Shape:
        if name not in self._names:
            raise KeyError(name)
        shape = self._shapes.get(name)
        if shape is None:
            shape = self._shapes[name] = self._shape(name)
        return shape

    def _shape(self, name: str) -> Shape:
        if self._node.embedded and name in ("apiVersion", "kind", "metadata"):
            return shapes.shape_of(ObjectMeta) if name == "metadata" else LEAF_SHAPE
        child = self._node.child(name)
        return shape_of(child) if child is not None else LEAF_SHAPE

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def shape_of(node: Node) -> Shape:
    """Lists are one value unless they say otherwise, objects the other way around."""
    kind = node.raw.get("type")
    if kind == "array":
        return _list_shape(node)
    if kind is None and node.preserve:
        return ANY_SHAPE
    if kind != "object" or node.raw.get("x-kubernetes-map-type") == "atomic":
        return LEAF_SHAPE
    if (further := node.further) is not None:
        return Shape(MAP, item=shape_of(further))
    further_members = ANY_SHAPE if node.preserve or node.additional else None
    return Shape(STRUCT, members=_Members(node), item=further_members)


def _list_shape(node: Node) -> Shape:
    items = node.items
    if items is None or node.list_type not in ("set", "map"):
        return LEAF_SHAPE
    if node.list_type == "set":
        return Shape(LIST_SET, item=shape_of(items))
    keys = []
    for name in sorted(node.list_keys):
        child = items.child(name)
        keys.append((name, child.default if child is not None else None))
    return Shape(LIST_MAP, item=shape_of(items), keys=tuple(keys))
