"""Outlines of objects and of their changes: what a set of fields depends on, as flat tuples to look results up by.

Objects of equal shape own equal fields, whatever the values in them. Two objects, or two changes, with equal outlines
give equal sets of fields; only the addresses and uids that list items are named by (`VARIABLE_KEYS`) and the items of
sets may differ.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

from apimachinery.custom import CustomObject
from apimachinery.fields import fieldtypes
from apimachinery.model import Model
from apiserver.managedfields.shapes import (
    ANY_SHAPE,
    LEAF,
    LEAF_SHAPE,
    LIST_MAP,
    LIST_SET,
    MAP,
    STRUCT,
    Shape,
    child_shape,
    fields_of,
    struct_fields,
)

KEPT_STRUCTS = 4096  # of schemas, whose kinds come and go
VARIABLE_KEYS = frozenset({"ip", "uid"})

_END, _ADDED, _REMOVED, _CHANGED = 0, 1, 2, 3


class NoOutline(Exception):
    """The items of a list share a key, or lack it, or are named in an unusual way."""


class Outline:
    """Collects `tokens`; `variables` numbers what may differ, in the order in which it comes up."""

    def __init__(self, variables: dict[bytes, int]) -> None:
        self.tokens: list[Any] = []
        self.variables = variables

    def add(self, value: Any, shape: Shape) -> None:
        """Outlines a value with all that is in it."""
        tokens = self.tokens
        if shape.kind == STRUCT and shape.model is None:
            members = _members(value)
            tokens += [name if member else (name,) for name, member in members.items()]
            tokens.append(_END)
            for name, inner in _schema_parts(shape) if shape.item is None else _any_parts(shape, members):
                if member := members.get(name):
                    self.add(member, inner)
        elif shape.kind == STRUCT:
            members = _checked(value, Model).__dict__
            tokens += [name if member else (name,) for name, member in members.items() if member is not None]
            tokens.append(_END)
            for name, inner in _parts(value.__class__).items():
                if (member := members[name]) is not None:
                    self.add(member, inner)
        elif shape.kind == LIST_MAP:
            assert shape.item is not None
            for item in _checked(value, list):
                tokens.append(self._key(item, shape))
                self.add(item, shape.item)
            tokens.append(_END)
        elif shape.kind == LIST_SET:
            tokens += map(self._item, _checked(value, list))
            tokens.append(_END)
        elif shape.kind == LEAF:
            if isinstance(value, Model):
                tokens.append(bool(value.present()))
        elif shape is not ANY_SHAPE or isinstance(value, dict):
            tokens += _checked(value, dict)  # the keys of a map
            tokens.append(_END)
            if shape.item is not None and shape.item.kind != LEAF:
                for item in value.values():
                    self.add(item, shape.item)

    def add_change(self, old: Any, new: Any, shape: Shape) -> None:
        """Outlines how two unequal values differ. Raises: NoOutline."""
        tokens = self.tokens
        if shape.kind == STRUCT and shape.model is None:
            before, after = _members(old), _members(new)
            for name in before | after:
                was, now = before.get(name), after.get(name)
                if was != now:
                    self.add_member(name, was, now, child_shape(shape, name))
        elif shape.kind == STRUCT:
            before, inner = _checked(old, Model).__dict__, _parts(new.__class__)
            for name, now in new.__dict__.items():
                was = before[name]
                if now is was or now == was:
                    continue
                if name not in inner and was is not None and now is not None:
                    tokens.append(name)
                else:
                    self.add_member(name, was, now, inner.get(name, LEAF_SHAPE))
        elif shape.kind == LIST_SET:
            tokens += [*map(self._item, _checked(old, list)), _END, *map(self._item, _checked(new, list))]
        elif shape is ANY_SHAPE and not (isinstance(old, dict) and isinstance(new, dict)):
            raise NoOutline
        elif shape.kind == MAP:
            assert shape.item is not None
            for key in _checked(old, dict) | _checked(new, dict):
                was, now = old.get(key), new.get(key)
                if was != now:
                    self.add_member(key, was, now, shape.item)
        elif shape.kind == LIST_MAP:
            assert shape.item is not None
            before, after, item = self._by_key(old, shape), self._by_key(new, shape), shape.item
            for key, now in after.items():
                was = before.pop(key, None)
                if was is None or item.kind == LEAF:
                    if was != now:
                        self.add_member(key, was, now, item)
                elif was != now if isinstance(now, dict) else was.__dict__ != now.__dict__:  # cheaper for models
                    tokens += (key, _CHANGED)
                    self.add_change(was, now, item)
            for key, was in before.items():
                self.add_member(key, was, None, item)
        tokens.append(_END)

    def add_member(self, key: Any, was: Any, now: Any, shape: Shape) -> None:
        """Outlines how one member of a value changes; None is an absent one. Raises: NoOutline."""
        if was is None:
            self.tokens += (key, _ADDED)
            self.add(now, shape)
        elif now is None:
            self.tokens += (key, _REMOVED)
            self.add(was, shape)
        else:
            self.tokens.append(key)
            if shape.kind != LEAF:
                self.tokens.append(_CHANGED)
                self.add_change(was, now, shape)

    def _by_key(self, items: list[Any], shape: Shape) -> dict[Any, Any]:
        keys = shape.keys
        if len(keys) == 1 and keys[0][0] not in VARIABLE_KEYS and shape.item and shape.item.model is not None:
            name = keys[0][0]
            by_key = {item.__dict__[name]: item for item in items}
        else:
            by_key = {self._key(item, shape): item for item in _checked(items, list)}
        if len(by_key) < len(items) or None in by_key:
            raise NoOutline
        return by_key

    def _key(self, item: Any, shape: Shape) -> Any:
        keys = shape.keys
        if isinstance(item, dict):
            key = tuple([item.get(name, default) for name, default in keys])
            if None in key or not all(isinstance(part, str | int) for part in key):
                raise NoOutline
            return key
        if not isinstance(item, Model):
            raise NoOutline  # not an object, though the schema says so: refused later
        if len(keys) > 1:
            return tuple([getattr(item, name) for name, _ in keys])
        name, _ = keys[0]
        key = getattr(item, name)
        if key is None:
            raise NoOutline
        if name in VARIABLE_KEYS:
            return self._variable(key)
        return key

    def _item(self, item: Any) -> Any:
        if isinstance(item, list | dict):
            raise NoOutline
        return self._variable(item) if isinstance(item, str) else item

    def _variable(self, name: str) -> tuple[int, int]:
        """Returns the number of a name. Raises: NoOutline if it needs escapes: a recipe would not find it."""
        if not name.isprintable() or '"' in name or "\\" in name:
            raise NoOutline
        return self.variables.setdefault(name.encode(), len(self.variables)), _END


def _members(value: Any) -> dict[str, Any]:
    """The members of a struct without a model. Raises: NoOutline for anything else, as objects come unchecked."""
    return value.members() if isinstance(value, CustomObject) else _checked(value, dict)


def _checked(value: Any, kind: type) -> Any:
    """Raises: NoOutline."""
    if not isinstance(value, kind):
        raise NoOutline
    return value


@lru_cache(maxsize=KEPT_STRUCTS)
def _schema_parts(shape: Shape) -> list[tuple[str, Shape]]:
    """Name and shape of each member of a struct without a model that is not owned as one value."""
    return [(name, inner) for name, inner in struct_fields(shape).items() if inner.kind != LEAF]


def _any_parts(shape: Shape, members: dict[str, Any]) -> list[tuple[str, Shape]]:
    """The same of those members that an object has, where a struct takes any."""
    return [(name, inner) for name in members if (inner := child_shape(shape, name)).kind != LEAF]


@cache
def _parts(model: type[Model]) -> dict[str, Shape]:
    """Attribute -> shape, of each field that is not owned as one value, or that a new object may leave empty."""
    shapes = fields_of(model)
    parts = {field.attribute: shapes[field.name] for field in fieldtypes.walk_fields(model)}
    return {name: shape for name, shape in parts.items() if shape.kind != LEAF or shape.zero == {}}
