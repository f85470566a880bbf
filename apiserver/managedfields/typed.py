"""Operations on plain JSON types along the shapes of their model: to sets of fields, compare, merge, remove."""

from __future__ import annotations

from typing import Any

import orjson

from apiserver.managedfields.fieldset import MEMBER, SELF, FieldSet, Path, field, is_member, path_text
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
    struct_fields,
)

Json = Any


class NotTyped(Exception):
    """An applied configuration has unknown fields, items without their keys, or repeated items."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(problems[0] if len(problems) == 1 else "errors:\n" + "\n".join(f"  {p}" for p in problems))


def element_of(item: Json, shape: Shape) -> str:
    """Returns the path element of a list's item. Raises: KeyError for an item that lacks a key."""
    if shape.kind == LIST_SET:
        return "v:" + orjson.dumps(item, option=orjson.OPT_SORT_KEYS).decode()
    keys = {}
    for name, default in shape.keys:
        value = item.get(name, default) if isinstance(item, dict) else None
        if value is None:
            raise KeyError(name)
        keys[name] = value
    return "k:" + orjson.dumps(keys).decode()


def by_element(items: list[Json], shape: Shape) -> dict[str, Json]:
    """Returns path element -> item of an object's list. Items that share an element are one value: the list of them.

    Raises: NotTyped for an item that lacks a key.
    """
    items_by_element: dict[str, Json] = {}
    for item in items:
        try:
            element = element_of(item, shape)
        except KeyError as key:
            raise NotTyped([_lacks_key(key)]) from None
        same = items_by_element.get(element)
        if same is None:
            items_by_element[element] = item
        elif isinstance(same, list):
            same.append(item)
        else:
            items_by_element[element] = [same, item]
    return items_by_element


def _items(value: Json) -> list[Json]:
    """Returns the items that share an element."""
    return value if isinstance(value, list) else [value]


# -- as sets


def applied_set(document: Json, shape: Shape) -> FieldSet:
    """Returns the fields that an applied configuration names. Raises: NotTyped."""
    problems: list[str] = []
    fields = _applied(document, shape, (), problems)
    if problems:
        raise NotTyped(problems)
    return fields or {}


def _applied(value: Json, shape: Shape, path: Path, problems: list[str]) -> FieldSet | None:
    """Returns the children of the node; None for a value that is owned as one."""
    if value is None or shape.kind == LEAF:
        return None
    if shape.kind in (LIST_MAP, LIST_SET):
        return _applied_items(value, shape, path, problems)
    if not isinstance(value, dict):
        if shape is not ANY_SHAPE:
            problems.append(f"{path_text(path)}: expected map, got {_type_name(value)}")
        return None
    if not value:
        return None
    declared = struct_fields(shape) if shape.kind == STRUCT else {}
    fields: FieldSet = {}
    for key, item in value.items():
        name = field(key)
        if key not in declared and shape.kind == STRUCT and shape.item is None:
            problems.append(f"{path_text((*path, name))}: field not declared in schema")
            continue
        children = _applied(item, child_shape(shape, key), (*path, name), problems)
        if children is None:
            fields[name] = MEMBER
        elif key not in declared:
            fields[name] = {SELF: MEMBER, **children} if children else MEMBER
        elif children:
            fields[name] = children
    return fields


def _applied_items(value: Json, shape: Shape, path: Path, problems: list[str]) -> FieldSet | None:
    if not isinstance(value, list):
        problems.append(f"{path_text(path)}: expected list, got {_type_name(value)}")
        return None
    fields: FieldSet = {}
    for index, item in enumerate(value):
        try:
            element = element_of(item, shape)
        except KeyError as key:
            problems.append(f"{path_text((*path, f'i:{index}'))}: {_lacks_key(key)}")
            continue
        if element in fields:
            problems.append(f"{path_text(path)}: duplicate entries for key {path_text((element,))}")
            continue
        children = _applied(item, shape.item or LEAF_SHAPE, (*path, element), problems)
        fields[element] = {SELF: MEMBER, **children} if children else MEMBER
    return fields


def _lacks_key(key: KeyError) -> str:
    name = orjson.dumps(key.args[0]).decode()
    return f"associative list with keys has an element that omits key field {name} (and doesn't have default value)"


def _type_name(value: Json) -> str:
    return {dict: "map", list: "list", str: "string", bool: "boolean"}.get(type(value), "number")


def whole_set(value: Json, shape: Shape) -> FieldSet:
    """Returns a node with everything in it, for a value that was added or removed."""
    children: FieldSet = {}
    if shape.kind == LEAF:
        return MEMBER
    if isinstance(value, dict) and shape.kind in (STRUCT, MAP):
        children = {field(key): whole_set(item, child_shape(shape, key)) for key, item in value.items()}
    elif isinstance(value, list) and shape.kind in (LIST_MAP, LIST_SET):
        inner = shape.item or LEAF_SHAPE
        children = {element: whole_set(item, inner) for element, item in by_element(value, shape).items()}
    return {SELF: MEMBER, **children} if children else MEMBER


def skeleton(shape: Shape) -> dict[str, Json]:
    """Returns what an object has before anything is set. Its first owner does not own that."""
    return {
        name: skeleton(inner) if inner.kind == STRUCT else inner.zero
        for name, inner in struct_fields(shape).items()
        if inner.zero is not None
    }


# -- compare


def compare(old: Json, new: Json, shape: Shape) -> tuple[FieldSet, FieldSet]:
    """Returns (added and changed fields, removed fields) between two objects. Raises: NotTyped."""
    changed: FieldSet = {}
    removed: FieldSet = {}
    _compare(old, new, shape, changed, removed)
    return changed, removed


def _compare(old: Json, new: Json, shape: Shape, changed: FieldSet, removed: FieldSet) -> bool:
    """Fills in the children. Returns True for a value that is owned as one and differs."""
    if shape.kind in (STRUCT, MAP) and isinstance(old, dict) and isinstance(new, dict):
        pairs = ((field(key), old.get(key), new.get(key), key) for key in (old | new))
        for name, before, after, key in pairs:
            if before != after:
                _compare_child(name, before, after, child_shape(shape, key), changed, removed)
        return False
    if shape.kind in (LIST_MAP, LIST_SET) and isinstance(old, list) and isinstance(new, list):
        inner = shape.item or LEAF_SHAPE
        befores, afters = by_element(old, shape), by_element(new, shape)
        for name in befores | afters:
            before, after = befores.get(name), afters.get(name)
            if before != after:
                _compare_child(name, before, after, inner, changed, removed)
        return False
    return True


def _compare_child(name: str, before: Json, after: Json, shape: Shape, changed: FieldSet, removed: FieldSet) -> None:
    if before is None:
        changed[name] = whole_set(after, shape)
    elif after is None:
        removed[name] = whole_set(before, shape)
    else:
        inner_changed: FieldSet = {}
        inner_removed: FieldSet = {}
        if _compare(before, after, shape, inner_changed, inner_removed):
            changed[name] = MEMBER
            return
        if inner_changed:
            changed[name] = inner_changed
        if inner_removed:
            removed[name] = inner_removed


# -- merge and remove


def merge(live: Json, config: Json, shape: Shape) -> Json:
    """Lays `config` over `live`; neither is changed."""
    if shape.kind == LEAF or live is None:
        return config
    if shape.kind in (LIST_MAP, LIST_SET):
        return _merge_lists(live, config or [], shape) if isinstance(live, list) else config
    if not isinstance(live, dict) or not isinstance(config, dict | None):
        return config
    result = dict(live)
    for key, value in (config or {}).items():
        result[key] = merge(live.get(key), value, child_shape(shape, key))
    return result


def _merge_lists(live: list[Json], config: list[Json], shape: Shape) -> list[Json]:
    """Puts items of both into the order of the configuration; the others keep their place among them."""
    live_items, config_items = by_element(live, shape), by_element(config, shape)
    coming = list(config_items)
    shared = [element for element in coming if element in live_items]
    result: list[Json] = []

    def take(last: str) -> None:
        """Takes the configuration's items up to `last`, or all of them for ""."""
        while coming:
            element = coming.pop(0)
            result.append(merge(live_items.get(element), config_items[element], shape.item or LEAF_SHAPE))
            if element == last:
                return

    for element, item in live_items.items():
        if element not in config_items:
            result += _items(item)
        elif shared and shared[0] == element:
            shared.pop(0)
            take(element)
    take("")
    return result


def remove(value: Json, fields: FieldSet, shape: Shape) -> Json:
    """Removes the members of `fields` and everything below them; None if nothing is left."""
    if not fields:
        return value
    if isinstance(value, dict) and shape.kind in (STRUCT, MAP):
        rest = {}
        for key, item in value.items():
            left = _removed(item, fields.get(field(key)), child_shape(shape, key))
            if left is not None:
                rest[key] = left
        return rest or None
    if isinstance(value, list) and shape.kind in (LIST_MAP, LIST_SET):
        inner = shape.item or LEAF_SHAPE
        lefts = (_removed(item, fields.get(name), inner) for name, item in by_element(value, shape).items())
        return [item for left in lefts if left is not None for item in _items(left)] or None
    return value


def _removed(item: Json, node: FieldSet | None, shape: Shape) -> Json:
    if node is None:
        return item
    return None if is_member(node) else remove(item, node, shape)


def with_structs(fields: FieldSet, shape: Shape) -> FieldSet:
    """Adds each struct's field that leads to a member, so that a struct is removed with its last field."""
    result: FieldSet = {}
    for key, node in fields.items():
        if key == SELF:
            result[SELF] = MEMBER
            continue
        name, named = key[2:], False
        if key.startswith("f:"):
            named = shape.kind == STRUCT and name in struct_fields(shape)
            inner = child_shape(shape, name)
        else:
            inner = shape.item or LEAF_SHAPE
        children = with_structs(node, inner)
        result[key] = {SELF: MEMBER, **children} if named and children else children
    return result
