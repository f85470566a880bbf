"""The one walk over the annotations of models."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Field

from apimachinery.fields.fieldtypes import FieldType, fields_of, type_of
from apimachinery.meta import ObjectMeta
from apimachinery.model import Atomic, IntOrString, ListMapKeys, MergeKey, Model, Required


class Item(Model):
    name: str = ""


class Example(Model):
    count: int | None = None
    items: Annotated[list[Item], MergeKey("name"), ListMapKeys("name", "port")] | None = None
    by_name: dict[str, list[str]] = Field(default_factory=dict, alias="byName")
    item: Annotated[Item, Required()] = Field(default_factory=Item)
    port: IntOrString = 0
    free: Any = None


def test_fields_have_their_names_on_the_wire_and_their_forms() -> None:
    fields = fields_of(Example)
    forms = {name: field.type.form for name, field in fields.items()}
    assert forms == {
        "count": "scalar", "items": "list", "byName": "map", "item": "object", "port": "int-or-string", "free": "any",
    }  # fmt: skip
    assert fields["byName"].attribute == "by_name"
    assert fields["count"].type == FieldType("scalar", int, optional=True)
    assert [name for name, field in fields.items() if field.type.optional] == ["count", "items"]


def test_models_are_found_inside_lists_and_maps() -> None:
    fields = fields_of(Example)
    assert fields["items"].type.inner_model is fields["item"].type.inner_model is Item
    assert fields["byName"].type.inner_model is None
    assert fields_of(ObjectMeta)["ownerReferences"].type.inner_model is not None


def test_marks_are_found_inside_and_outside_of_optional_types() -> None:
    inside, outside = Annotated[list[str], Atomic()] | None, Annotated[list[str] | None, Atomic()]
    assert type_of(inside).mark(Atomic) is not None
    assert type_of(outside).mark(Atomic) is not None
    keys = fields_of(Example)["items"].type.mark(ListMapKeys)
    assert keys is not None
    assert keys.keys == ("name", "port")


def test_the_mark_nearest_to_the_field_counts() -> None:
    mark = type_of(Annotated[Annotated[str, Required()], Required(False)]).mark(Required)
    assert mark is not None
    assert mark.value is False


@pytest.mark.parametrize("hint", [bytes, set[str], int | bool, tuple[str, ...]])
def test_other_types_are_refused(hint: Any) -> None:
    with pytest.raises(TypeError, match="no API type"):
        type_of(hint)
