"""Walks the annotations of models, for field validation, patches, ownership, OpenAPI and protobuf alike.

`Annotated[list[Container], MergeKey("name")] | None` becomes a LIST of OBJECTs with one mark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from apimachinery.model import Model

Form = Literal["scalar", "int-or-string", "object", "list", "map", "any"]
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class OwnFields:
    """Marks a field whose fields no model has: `unknown(value, path)` returns the paths of those that it can't have,
    and may change the value."""

    unknown: Callable[[Any, str], list[str]]


@dataclass(frozen=True, slots=True)
class Message:
    """Marks an object without a model that has a message of its own in protobuf."""

    name: str


@dataclass(frozen=True, slots=True)
class FieldType:
    """The type of a field, or of an item of a list or map.

    `python` is the class of a scalar (str, int, float, bool) and `model` that of an object; `item` is the type of what
    a list or map holds. `marks` are the annotations of the type itself, outer ones last.
    """

    form: Form
    python: type | None = None
    model: type[Model] | None = None
    item: FieldType | None = None
    marks: tuple[Any, ...] = ()
    optional: bool = False

    def mark(self, cls: type[K]) -> K | None:
        """Returns the mark of this class that stands nearest to the field."""
        return next((mark for mark in reversed(self.marks) if isinstance(mark, cls)), None)

    @property
    def inner_model(self) -> type[Model] | None:
        """The model of an object, or of the objects in a list or map."""
        return self.item.inner_model if self.item is not None else self.model


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    """The name on the wire."""
    attribute: str
    type: FieldType
    default: Any


@cache
def fields_of(model: type[Model]) -> dict[str, Field]:
    """Wire name -> field, in the order of the model."""
    return {field.name: field for field in walk_fields(model)}


def walk_fields(model: type[Model]) -> Iterator[Field]:
    """Yields the fields without caching them, for callers that ask once."""
    for attribute, info in model.model_fields.items():
        hint = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
        yield Field(info.alias or attribute, attribute, type_of(hint), info.default)


def type_of(hint: Any, marks: tuple[Any, ...] = (), optional: bool = False) -> FieldType:
    """Raises: TypeError for an annotation that no API type uses."""
    origin = get_origin(hint)
    if origin is Annotated:
        return type_of(hint.__origin__, (*hint.__metadata__, *marks), optional)
    if origin in (Union, UnionType):
        members = [member for member in get_args(hint) if member is not NoneType]
        optional = optional or len(members) < len(get_args(hint))
        return type_of(members[0], marks, optional) if len(members) == 1 else _mixed(members, marks, optional)
    if origin is list:
        return FieldType("list", item=type_of(get_args(hint)[0]), marks=marks, optional=optional)
    if origin is dict:
        return FieldType("map", item=type_of(get_args(hint)[1]), marks=marks, optional=optional)
    if hint is Any or hint is object:
        return FieldType("any", marks=marks, optional=optional)
    if isinstance(hint, type):
        if issubclass(hint, Model):
            return FieldType("object", model=hint, marks=marks, optional=optional)
        if hint in (str, int, float, bool):
            return FieldType("scalar", python=hint, marks=marks, optional=optional)
    raise TypeError(f"no API type has a field of type {hint!r}")


def _mixed(members: list[Any], marks: tuple[Any, ...], optional: bool) -> FieldType:
    if {type_of(member).python for member in members} != {int, str}:
        raise TypeError(f"no API type has a field of type {members!r}")
    return FieldType("int-or-string", marks=marks, optional=optional)
