"""Cells of custom columns, by type and path."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.custom import CustomObject
from apimachinery.times import parse_time
from apiserver.apiextensions.columns import columns_of, fields_of

NOW = parse_time("2026-01-02T00:00:00Z")
OBJECT = CustomObject.model_validate(
    {
        "apiVersion": "tests.example/v1",
        "kind": "Widget",
        "metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app": "x"}},
        "spec": {
            "text": "red", "int": 3, "float": 2.5, "flag": True, "map": {"b": 1}, "time": "2026-01-01T23:59:30Z",
            "list": [{"name": "x", "value": 1}, {"name": "y", "value": 2}], "none": None, "dash-ed": 1,
        },
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "path", "cell"),
    [
        ("string", ".spec.text", "red"),
        ("string", ".spec.int", "3"),
        ("string", ".spec.map", '{"b":1}'),
        ("string", ".spec.flag", "true"),
        ("string", ".spec.missing.deeper", None),
        ("string", ".spec.none", None),
        ("string", ".spec.list[1].name", "y"),
        ("string", ".spec.list[9].name", None),
        ("string", '.spec.list[?(@.name=="y")].value', "2"),
        ("string", ".spec.list[*].name", "x"),
        ("string", ".metadata.labels.app", "x"),
        ("integer", ".spec.dash-ed", 1),
        ("integer", ".spec.int", 3),
        ("integer", ".spec.float", 2),
        ("integer", ".spec.text", None),
        ("integer", ".spec.flag", None),
        ("number", ".spec.float", 2.5),
        ("number", ".spec.text", None),
        ("boolean", ".spec.flag", True),
        ("boolean", ".spec.text", None),
        ("date", ".metadata.creationTimestamp", "24h"),
        ("date", ".spec.time", "30s"),
        ("date", ".spec.text", "<unknown>"),
        ("date", ".spec.int", None),
    ],
)
def test_a_cell_is_the_first_value_at_the_path_if_it_fits_the_type(kind: str, path: str, cell: Any) -> None:
    name, column = columns_of([{"name": "X", "type": kind, "jsonPath": path}])
    assert name.name == "Name"
    assert column.value(OBJECT, NOW) == cell


def test_a_kind_without_columns_shows_the_age() -> None:
    assert [column.name for column in columns_of([])] == ["Name", "Age"]


def test_selectable_fields_are_texts_and_empty_where_there_is_nothing() -> None:
    fields = fields_of([{"jsonPath": f".spec.{name}"} for name in ("text", "int", "flag", "missing")])
    assert {path: value(OBJECT) for path, value in fields.items()} == {
        "spec.text": "red",
        "spec.int": "3",
        "spec.flag": "true",
        "spec.missing": "",
    }
