"""How a model's fields are owned: field by field, item by item, or as one value. Read from the models, once each.

Source: Kubernetes documentation, "Server-Side Apply", "Merge strategy".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from apimachinery.model import Atomic, ListMapKeys, MergeKey, Model

LEAF, STRUCT, MAP, LIST_MAP, LIST_SET, FREE = "leaf", "struct", "map", "list-map", "list-set", "free"


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """`kind` LEAF is a scalar or anything owned as one; FREE has no schema: maps by key, all else as one.

    `model` is a STRUCT's, `item` the shape of what a map or list holds, `keys` name those of a LIST_MAP with their
    defaults (None without). `always` marks a struct that is there even when it is empty.
    """

    kind: str
    model: type[Model] | None = None
    item: Shape | None = None
    keys: tuple[tuple[str, Any], ...] = ()
    always: bool = False


_LEAF = Shape(LEAF)
_FREE = Shape(FREE)


@cache
def shape_of(model: type[Model]) -> Shape:
    return Shape(LEAF if model.map_type == "atomic" else STRUCT, model)


@cache
def fields_of(model: type[Model]) -> dict[str, Shape]:
    """Wire name -> shape."""
    return {info.alias or name: _field_shape(info) for name, info in model.model_fields.items()}


def _field_shape(info: FieldInfo) -> Shape:
    shape = _shape(info.annotation, tuple(info.metadata))
    always = shape.kind == STRUCT and isinstance(info.annotation, type)
    return replace(shape, always=True) if always else shape


def _shape(hint: Any, marks: tuple[Any, ...] = ()) -> Shape:
    origin = get_origin(hint)
    if origin is Annotated:
        inner, *more = get_args(hint)
        return _shape(inner, (*marks, *more))
    if origin in (Union, UnionType):
        members = [member for member in get_args(hint) if member is not NoneType]
        return _shape(members[0], marks) if len(members) == 1 else _LEAF
    if any(isinstance(mark, Atomic) for mark in marks):
        return _LEAF
    if origin is list:
        return _list_shape(get_args(hint)[0], marks)
    if origin is dict:
        return Shape(MAP, item=_shape(get_args(hint)[1]))
    if hint in (Any, object):
        return _FREE
    if isinstance(hint, type) and issubclass(hint, Model):
        return shape_of(hint)
    return _LEAF


def _list_shape(item: Any, marks: tuple[Any, ...]) -> Shape:
    keys: tuple[str, ...] | None = None
    for mark in marks:
        if isinstance(mark, ListMapKeys):
            keys = mark.keys
        elif isinstance(mark, MergeKey) and keys is None:
            keys = (mark.key,) if mark.key else ()
    if keys is None:
        return _LEAF
    inner = _shape(item)
    if not keys:
        return Shape(LIST_SET, item=inner)
    fields = inner.model.model_fields if inner.model is not None else {}
    return Shape(LIST_MAP, item=inner, keys=tuple((key, _default(fields.get(key))) for key in sorted(keys)))


def _default(info: FieldInfo | None) -> Any:
    """The model's own default, where it is a value."""
    return info.default if info is not None and info.default and isinstance(info.default, str | int) else None
