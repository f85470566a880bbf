"""Objects are brought into the form of their schema, and held to it."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.errors import RequestEntityTooLarge
from apiserver.apiextensions.schema import compile_schema


def of(**properties: Any) -> Any:
    return compile_schema({"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}})


def faults(spec: Any, old: Any = None, **properties: Any) -> list[str]:
    before = {"spec": old} if old is not None else None
    return [str(error) for error in of(**properties).validate({"spec": spec}, before)]


CASES: list[tuple[str, dict[str, Any], Any, list[str]]] = [
    ("type", {"type": "integer"}, "x", ['"string": spec.x in body must be of type integer: "string"']),
    ("whole float", {"type": "integer"}, 2.0, []),
    ("boolean is no number", {"type": "number"}, True, ['"boolean": spec.x in body must be of type number: "boolean"']),
    ("int or string", {"x-kubernetes-int-or-string": True}, "80%", []),
    ("minimum", {"type": "integer", "minimum": 2}, 1, ["1: spec.x in body should be greater than or equal to 2"]),
    ("exclusive", {"type": "number", "maximum": 1e6, "exclusiveMaximum": True}, 1e6,
     ["1000000.0: spec.x in body should be less than 1e+06"]),
    ("multiple", {"type": "number", "multipleOf": 0.5}, 0.75, ["0.75: spec.x in body should be a multiple of 0.5"]),
    ("multiple of nothing", {"type": "number", "multipleOf": 0}, 0, ["0: spec.x in body should be a multiple of 0"]),
    ("pattern anywhere", {"type": "string", "pattern": "b"}, "abc", []),
    ("pattern", {"type": "string", "pattern": "^b"}, "abc", ["\"abc\": spec.x in body should match '^b'"]),
    ("closed", {"type": "object", "additionalProperties": False}, {"a": 1},
     ['"": spec.x.a in body is a forbidden property']),
    ("null in a list", {"type": "array", "items": {"type": "string"}}, [None],
     ['"null": spec.x[0] in body must be of type string: "null"']),
    ("nullable in a list", {"type": "array", "items": {"type": "string", "nullable": True}}, [None], []),
    ("true is not 1", {"enum": [1], "x-kubernetes-preserve-unknown-fields": True}, True, None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "schema", "value", "expected"), CASES, ids=[case[0] for case in CASES])
def test_value(name: str, schema: dict[str, Any], value: Any, expected: list[str] | None) -> None:
    found = faults({"x": value}, x=schema)
    if expected is None:
        assert found
    else:
        assert [text.partition("Invalid value: ")[2] for text in found] == expected


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date-time", ["2020-02-29T10:00:00Z", "2020-01-01t00:00:00.5+01:00"], ["2021-02-29T10:00:00Z", "2020-01-01"]),
        ("date", ["2020-02-29"], ["2021-02-29", "20200101"]),
        ("duration", ["1h30m", "-1.5s", "5 days", "0"], ["", "h", "5 fortnights"]),
        ("email", ["a@b", "A B <a@b.c>"], ["a", "a@", "@b"]),
        ("ipv4", ["10.0.0.1"], ["::1", "10.0.0.01"]),
        ("ipv6", ["::1"], ["10.0.0.1"]),
        ("cidr", ["10.0.0.0/8", "::/0"], ["10.0.0.0"]),
        ("uri", ["http://a/b", "/x", "urn:x"], ["a b", "", "x"]),
        ("uuid", ["123e4567-e89b-12d3-a456-426614174000", "123e4567e89b12d3a456426614174000"], ["123e4567"]),
        ("byte", ["YQ==", "YWFh"], ["YQ", "", "!"]),
        ("mac", ["00:00:5e:00:53:01", "0000.5e00.5301"], ["00:00:5e:00:53"]),
        ("isbn", ["0-306-40615-2", "978-0-306-40615-7"], ["0-306-40615-3", "978-0-306-40615-8", "²" * 13]),
        ("creditcard", ["4111 1111 1111 1111"], ["4111 1111 1111 1112"]),
        ("hostname", ["a.example.com"], ["-a", "a..b"]),
        ("hexcolor", ["#fff", "00ff00"], ["#ff"]),
        ("k8s-short-name", ["a-b"], ["a.b"]),
        ("k8s-long-name", ["a.b"], ["A.b"]),
        ("nobody-knows", ["x"], []),
    ],
)
def test_format(name: str, good: list[str], bad: list[str]) -> None:
    for text in good:
        assert faults({"x": text}, x={"type": "string", "format": name}) == []
    for text in bad:
        assert faults({"x": text}, x={"type": "string", "format": name}), text


def test_a_pattern_takes_linear_time() -> None:
    assert faults({"x": "a" * 100_000}, x={"type": "string", "pattern": "^(a+)+$b"})


def test_unknown_fields_are_dropped_except_where_they_are_kept() -> None:
    kept = {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"a": {"type": "object"}}}
    schema = of(kept=kept, list={"type": "array", "items": {"type": "object", "properties": {"y": {"type": "string"}}}})
    obj = {"metadata": {"name": "x", "nope": 1}, "no": 1,
           "spec": {"kept": {"b": 1, "a": {"c": 1}}, "list": [{"y": "", "z": 1}], "nope": {}}}  # fmt: skip
    assert schema.prune(obj) == ["metadata.nope", "no", "spec.kept.a.c", "spec.list[0].z", "spec.nope"]
    assert obj == {"metadata": {"name": "x"}, "spec": {"kept": {"b": 1, "a": {}}, "list": [{"y": ""}]}}


def test_defaults_are_copies_and_replace_nulls() -> None:
    schema = of(
        a={"type": "array", "items": {"type": "string"}, "default": []},
        b={"type": "string", "nullable": True, "default": "b"},
        c={"type": "string"},
        d={"type": "object", "default": {}, "properties": {"e": {"type": "integer", "default": 5}}},
        m={"type": "object", "additionalProperties": {"type": "integer", "default": 7}},
    )
    first: dict[str, Any] = {"spec": {"a": None, "b": None, "c": None, "m": {"x": None}}}
    schema.default(first)
    assert first == {"spec": {"a": [], "b": None, "d": {"e": 5}, "m": {"x": 7}}}
    first["spec"]["a"].append("x")
    second: dict[str, Any] = {"spec": {}}
    schema.default(second)
    assert second == {"spec": {"a": [], "b": "b", "d": {"e": 5}}}


def test_defaults_fill_no_more_than_a_body_may_have() -> None:
    """A megabyte of small items would have become gigabytes."""
    item = {"type": "object", "properties": {"text": {"type": "string", "default": "x" * 1000}}}
    schema = compile_schema({"type": "object", "properties": {"items": {"type": "array", "items": item}}})
    small: dict[str, Any] = {"items": [{} for _ in range(1000)]}
    schema.complete(small)
    assert all(len(each["text"]) == 1000 for each in small["items"])
    with pytest.raises(RequestEntityTooLarge, match="the defaults of its schema have more than 3145728 bytes"):
        schema.complete({"items": [{} for _ in range(300_000)]})


def test_what_did_not_change_may_stay_as_it_was() -> None:
    x = {"type": "string", "maxLength": 2}
    items = {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["k"],
        "items": {"type": "object", "properties": {"k": {"type": "string"}, "v": {"type": "integer", "minimum": 5}}},
    }
    old = {"x": "long", "items": [{"k": "a", "v": 1}]}
    assert (
        faults({"x": "long", "y": "new", "items": [{"k": "b", "v": 6}, {"k": "a", "v": 1}]}, old, x=x, items=items)
        == []
    )
    assert faults({"x": "longer", "items": [{"k": "a", "v": 2}]}, old, x=x, items=items) == [
        "spec.x: Too long: may not be more than 2 bytes",
        "spec.items[0].v: Invalid value: 2: spec.items[0].v in body should be greater than or equal to 5",
    ]
    assert faults({"x": True}, {"x": 1}, x={"type": "integer"}), "a change from 1 to true is one"


def test_repeated_items_may_stay_if_they_were_there() -> None:
    tags = {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}
    assert faults({"tags": ["a", "a", "a"]}, tags=tags) == ['spec.tags[1]: Duplicate value: "a"']
    assert faults({"tags": ["a", "a"]}, {"tags": ["b", "b"]}, tags=tags) == []


def test_an_embedded_resource_says_what_it_is() -> None:
    raw = {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}
    assert faults({"x": {"kind": "a b", "apiVersion": 1, "metadata": {"labels": {"a b": ""}}}}, x=raw)
    assert faults({"x": {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}}}, x=raw) == []
    assert faults({"x": {"kind": "Pod", "apiVersion": "v1", "metadata": {"labels": 5}}}, x=raw)


def test_status_alone() -> None:
    status = {"type": "object", "properties": {"n": {"type": "integer"}}}
    schema = compile_schema({"type": "object", "properties": {"spec": {"type": "string"}, "status": status}})
    assert [str(error) for error in schema.validate({"spec": 5, "status": {"n": "x"}}, status=True)] == [
        'status.n: Invalid value: "string": n in body must be of type integer: "string"'
    ]


def test_faults_that_name_many_values_are_told_as_long_as_they_say_little() -> None:
    names = [f"value-{number}" for number in range(2000)]
    listed = {"type": "array", "items": {"type": "string", "enum": names}}
    for old in (None, ["value-1"]):
        said = faults({"x": ["no"] * 300}, {"x": old} if old else None, x=listed)
        assert 1 < len(said) < 60
        assert said[0].startswith('spec.x[0]: Unsupported value: "no": supported values: "value-0", "value-1", ')
