"""The ownership of a model's fields: field by field, item by item, or as one value. Read once from each model.

Source: Kubernetes documentation, "Server-Side Apply", "Merge strategy".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from apimachinery.fields import fieldtypes
from apimachinery.fields.fieldtypes import Field, FieldType
from apimachinery.model import Atomic, Granular, ListMapKeys, MergeKey, Model
from apimachinery.resource import Resource

LEAF, STRUCT, MAP, LIST_MAP, LIST_SET = "leaf", "struct", "map", "list-map", "list-set"


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """The form of a field. A LEAF is owned as one value; so is a field whose content has no schema.

    A STRUCT has a `model`, or `members` where its schema is known only at run time. `item` is the shape of the content
    of a map or list, or of further members where a struct takes any; `keys` are the keys of a LIST_MAP with their
    defaults or None. `zero` is what an object has there when nobody set it: None for nothing, {} for a struct.
    """

    kind: str
    model: type[Model] | None = None
    item: Shape | None = None
    keys: tuple[tuple[str, Any], ...] = ()
    zero: Any = None
    members: Mapping[str, Shape] | None = None


LEAF_SHAPE = Shape(LEAF)
ANY_SHAPE = Shape(MAP)
"""Content without a schema: each object is a map, anything else is one value."""
object.__setattr__(ANY_SHAPE, "item", ANY_SHAPE)
_ZEROS: dict[str, Any] = {"list": [], "map": {}, "object": {}}


@cache
def shape_of(model: type[Model]) -> Shape:
    return Shape(LEAF if model.map_type == "atomic" else STRUCT, model)


def root_shape(resource: Resource[Any]) -> Shape:
    """Returns the shape of a kind's objects: its schema's where it has one, else that of its model."""
    if resource.schema is not None:
        shape: Shape = resource.schema.merge_types()
        return shape
    model: type[Model] = resource.model
    return shape_of(model)


def struct_fields(shape: Shape) -> Mapping[str, Shape]:
    """Wire name -> shape."""
    return fields_of(shape.model) if shape.model is not None else shape.members or {}


def child_shape(shape: Shape, key: str) -> Shape:
    """Returns the shape of the value under a key of a map or struct."""
    further = shape.item or LEAF_SHAPE
    return struct_fields(shape).get(key, further) if shape.kind == STRUCT else further


@cache
def fields_of(model: type[Model]) -> dict[str, Shape]:
    """Wire name -> shape."""
    return {field.name: _field_shape(field) for field in fieldtypes.walk_fields(model)}


def _field_shape(field: Field) -> Shape:
    shape, kind = _shape(field.type), field.type
    if kind.optional:
        return shape
    if kind.python is not None:
        return replace(shape, zero=field.default) if field.default == kind.python() else shape
    return replace(shape, zero=_ZEROS.get(kind.form))


def _shape(kind: FieldType) -> Shape:
    if kind.mark(Atomic) is not None:
        return LEAF_SHAPE
    if kind.form == "list":
        return _list_shape(kind)
    if kind.item is not None:
        return Shape(MAP, item=_shape(kind.item)) if kind.item.form != "any" else LEAF_SHAPE
    if kind.model is not None:
        return Shape(STRUCT, kind.model) if kind.mark(Granular) is not None else shape_of(kind.model)
    return LEAF_SHAPE


def _list_shape(kind: FieldType) -> Shape:
    map_keys, merge_key = kind.mark(ListMapKeys), kind.mark(MergeKey)
    if kind.item is None or (map_keys is None and merge_key is None):
        return LEAF_SHAPE
    keys = map_keys.keys if map_keys is not None else (merge_key.key,) if merge_key and merge_key.key else ()
    item = _shape(kind.item)
    if not keys:
        return Shape(LIST_SET, item=item)
    fields = fieldtypes.fields_of(item.model) if item.model is not None else {}
    return Shape(LIST_MAP, item=item, keys=tuple((key, _default(fields.get(key))) for key in sorted(keys)))


def _default(field: Field | None) -> Any:
    """The model's own default, where it is a value."""
    return field.default if field is not None and isinstance(field.default, str | int) else None
