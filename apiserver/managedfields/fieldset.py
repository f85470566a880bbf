"""Sets of field paths, in the very form of `fieldsV1`: a tree whose keys are path elements.

{"f:spec": {"f:containers": {'k:{"name":"a"}': {".": {}, "f:image": {}}}}}

A node without content, or with ".", is a member itself; any other only leads to its children. The root is never a
member: {} is the empty set. Sets are shared and never changed in place; an operation that changes nothing returns its
first argument, so that callers see it by `is`.
Source: Kubernetes documentation, "Server-Side Apply"; API reference, "FieldsV1".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

FieldSet = dict[str, Any]
Path = tuple[str, ...]

SELF = "."
MEMBER: FieldSet = {}
MAX_DEPTH = 200  # of a set a client sends; no model is half as deep

_INDEX = re.compile("-?[0-9]{1,19}")


class MalformedSet(ValueError):
    """The `fieldsV1` of a client is not a set of fields."""


def field(name: str) -> str:
    return "f:" + name


def is_member(node: FieldSet) -> bool:
    return not node or SELF in node


def node_of(member: bool, children: FieldSet) -> FieldSet | None:
    """Makes the node of these children; None if nothing is left."""
    if not children:
        return MEMBER if member else None
    return {SELF: MEMBER, **children} if member else children


def union(a: FieldSet, b: FieldSet) -> FieldSet:
    if not b or a is b:
        return a
    if not a:
        return b
    added: FieldSet = {}
    for key, node in b.items():
        have = a.get(key)
        both = node if have is None else _union(have, node)
        if both is not have:
            added[key] = both
    return {**a, **added} if added else a


def _union(a: FieldSet, b: FieldSet) -> FieldSet:
    if not a:
        return a if not b else b if SELF in b else {SELF: MEMBER, **b}
    if not b:
        return a if SELF in a else {SELF: MEMBER, **a}
    return union(a, b)


def difference(a: FieldSet, b: FieldSet) -> FieldSet:
    """Returns the members of `a` that are not members of `b`."""
    if not a or not b:
        return a
    return _without(a, b, _difference) or {}


def recursive_difference(a: FieldSet, b: FieldSet) -> FieldSet:
    """Returns the members of `a` that are neither members of `b` nor below one."""
    if not a or not b:
        return a
    return _without(a, b, _recursive_difference) or {}


def _difference(a: FieldSet, b: FieldSet) -> FieldSet | None:
    if not is_member(b):
        return _without(a, b, _difference) if a else a
    if not is_member(a):
        return _without(a, b, _difference)
    rest = {key: node for key, node in a.items() if key != SELF}
    return _without(rest, b, _difference) if rest else None


def _recursive_difference(a: FieldSet, b: FieldSet) -> FieldSet | None:
    if is_member(b):
        return None
    return _without(a, b, _recursive_difference) if a else a


def _without(a: FieldSet, b: FieldSet, less: Any) -> FieldSet | None:
    """Subtracts the children of `b` from those of `a`, which has content; None if nothing is left."""
    changed: dict[str, FieldSet | None] = {}
    for key, node in a.items():
        other = b.get(key) if key != SELF else None
        if other is not None and (left := less(node, other)) is not node:
            changed[key] = left
    if not changed:
        return a
    rest = {key: left for key, node in a.items() if (left := changed.get(key, node)) is not None}
    return MEMBER if list(rest) == [SELF] else rest or None


def intersection(a: FieldSet, b: FieldSet) -> FieldSet:
    """Returns the members of both."""
    return _common(a, b) if a and b else {}


def _common(a: FieldSet, b: FieldSet) -> FieldSet:
    common: FieldSet = {}
    for key, node in a.items():
        other = b.get(key) if key != SELF else None
        if other is None:
            continue
        both = node_of(is_member(node) and is_member(other), _common(node, other))
        if both is not None:
            common[key] = both
    return common


def paths(fields: FieldSet, prefix: Path = ()) -> Iterator[Path]:
    """Yields every member, those of a level before those below them."""
    names = sorted(key for key in fields if key != SELF)
    for name in names:
        if is_member(fields[name]):
            yield (*prefix, name)
    for name in names:
        yield from paths(fields[name], (*prefix, name))


def path_text(path: Path) -> str:
    """Spells a path as messages show it: `.spec.containers[name="app"].image`."""
    return "".join(map(_element_text, path))


def _element_text(element: str) -> str:
    kind, text = element[:2], element[2:]
    if kind == "f:":
        return f".{text}"
    if kind == "v:":
        return f"[={text}]"
    if kind == "k:":
        keys = orjson.loads(text)
        return "[" + ",".join(f"{name}={orjson.dumps(keys[name]).decode()}" for name in sorted(keys)) + "]"
    return f"[{text}]"


def normal(value: Any, depth: int = 0) -> FieldSet:
    """Normalizes the spelling of a set that a client sent. Raises: MalformedSet."""
    if not isinstance(value, dict) or depth > MAX_DEPTH:
        raise MalformedSet("not a set of fields")
    fields: FieldSet = {}
    for key, node in value.items():
        if key == SELF:
            if depth:
                fields[SELF] = MEMBER
        else:
            fields[_normal_element(key)] = normal(node, depth + 1)
    return MEMBER if list(fields) == [SELF] else fields


def _normal_element(key: str) -> str:
    kind, text = key[:2], key[2:]
    if kind == "f:":
        return key
    if kind == "i:" and _INDEX.fullmatch(text):
        return key
    if kind in ("k:", "v:"):
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise MalformedSet(f"{key} holds no JSON") from None
        if kind == "v:" or isinstance(value, dict):
            return kind + orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    raise MalformedSet(f"{key} is not a path element")
