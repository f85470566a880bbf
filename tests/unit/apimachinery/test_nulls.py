"""What null means in each place of an object."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from apimachinery.errors import BadRequest
from apimachinery.model import Model, decode, to_dict
from apimachinery.quantity import Quantity


class Part(Model):
    name: str | None = None
    parts: list[Part] | None = None  # a type that refers to itself has a schema with definitions


class Thing(Model):
    size: int = 7
    texts: dict[str, str] | None = None
    amounts: dict[str, Quantity] | None = None
    numbers: list[int] | None = None
    arguments: list[str] | None = None
    parts: list[Part] | None = None
    lists: dict[str, list[str]] | None = None
    anything: Any = None


@pytest.mark.parametrize(
    ("given", "decoded"),
    [
        ({"size": None}, {"size": 7}),
        ({"texts": {"a": None, "b": "x"}, "size": None}, {"texts": {"a": "", "b": "x"}, "size": 7}),
        ({"amounts": {"cpu": None}}, {"amounts": {"cpu": "0"}, "size": 7}),
        ({"numbers": [1, None]}, {"numbers": [1, 0], "size": 7}),
        ({"arguments": [None]}, {"arguments": [""], "size": 7}),
        ({"parts": [{"parts": [None, {"name": None}]}]}, {"parts": [{"parts": [{}, {}]}], "size": 7}),
        ({"lists": {"a": None, "b": [None]}}, {"lists": {"a": [], "b": [""]}, "size": 7}),
        ({"anything": {"a": None}, "size": None}, {"anything": {"a": None}, "size": 7}),
        ({"unknown": None, "size": None}, {"size": 7}),
    ],
)
def test_null_is_an_absent_field_and_an_empty_item(given: dict[str, Any], decoded: dict[str, Any]) -> None:
    assert to_dict(decode(Thing, orjson.dumps(given))) == decoded


def test_a_wrong_type_beside_a_null_is_named() -> None:
    with pytest.raises(BadRequest, match='in field "texts"'):
        decode(Thing, b'{"size": null, "texts": []}')
