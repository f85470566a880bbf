"""Types and values by OpenAPI schemas, and what expressions over them may cost."""

from __future__ import annotations

from typing import Any

import pytest

from kubecel import CompileError, Program, compile_expression
from kubecel.estimate import UNBOUND
from kubecel.schemas import converter, declared_type, escape

OBJECT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "a-b": {"type": "string"},
        "in": {"type": "integer"},
        "number": {"type": "number"},
        "time": {"type": "string", "format": "date-time"},
        "data": {"type": "string", "format": "byte"},
        "wait": {"type": "string", "format": "duration"},
        "either": {"x-kubernetes-int-or-string": True},
        "names": {"type": "array", "items": {"type": "string", "maxLength": 10}, "maxItems": 5},
        "set": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "ports": {
            "type": "array",
            "items": {"type": "object", "properties": {"port": {"type": "integer"}}},
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["port"],
        },
        "map": {"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 3},
        "all": {"type": "array", "items": {"type": "string"}},
        "open": {"x-kubernetes-preserve-unknown-fields": True},
        "pod": {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": {"type": "object"}}},
    },
}
VALUE = {
    "a-b": "x", "in": 1, "number": 1, "time": "2023-01-01T00:00:00Z", "data": "YQ==", "wait": "90s", "either": "80%",
    "names": ["a"], "set": ["a", "b"], "ports": [{"port": 1}, {"port": 2}], "map": {"k": 1}, "all": [],
    "pod": {"metadata": {"name": "p"}},
}  # fmt: skip


def compiled(text: str) -> Program:
    found = declared_type(OBJECT)
    assert found is not None
    return compile_expression(text, {"self": found, "oldSelf": found})


@pytest.mark.parametrize(
    "text",
    [
        "self.a__dash__b == 'x' && self.__in__ == 1 && self.number == 1.0",
        "self.time.getFullYear() == 2023 && self.data == b'a' && self.wait == duration('1m30s')",
        "type(self.either) == string && self.names.all(n, n.size() < 5) && self.map['k'] == 1",
        "self.set == ['b', 'a'] && self.set + ['a', 'c'] == ['a', 'b', 'c'] && ['b', 'a'] == self.set",
        "self.ports == [{'port': 2}, {'port': 1}].map(p, dyn(p)) || self.ports.size() == 2",
        "self.pod.metadata.name == 'p' && !has(self.pod.metadata.generateName)",
    ],
)
def test_values_have_their_types(text: str) -> None:
    convert = converter(OBJECT)
    assert convert is not None
    assert compiled(text).evaluate({"self": convert(VALUE)}) is True


@pytest.mark.parametrize("text", ["self.open == 1", "self.pod.metadata.labels == {}", "self.x", "self.map.k.y == 1"])
def test_what_the_schema_does_not_have_is_refused(text: str) -> None:
    with pytest.raises(CompileError, match=r"undefined field|does not support field selection"):
        compiled(text)


def test_an_object_without_special_values_is_its_own_value() -> None:
    assert converter({"type": "object", "properties": {"a": {"type": "integer"}}}) is None


@pytest.mark.parametrize(
    ("name", "escaped"),
    [("a.b/c", "a__dot__b__slash__c"), ("__x", "__underscores__x"), ("namespace", "__namespace__"), ("é", None)],
)
def test_names_are_escaped(name: str, escaped: str | None) -> None:
    assert escape(name) == escaped


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("self.number > 1.0", 3),
        ("self.names.all(n, n == 'a')", 2 + 1 + 5 * (3 + 1 + 1)),
        ("self.names.exists(n, n.startsWith(self.a__dash__b))", 2 + 1 + 5 * (4 + 1 + 2 + 314573)),
        ("self.map.all(k, self.map[k] > 0)", 2 + 1 + 3 * (3 + 5)),
        ("has(self.names)", 1),
    ],
)
def test_the_largest_cost_follows_the_bounds(text: str, most: int) -> None:
    assert compiled(text).largest_cost == most


def test_without_bounds_the_cost_is_that_of_the_largest_object() -> None:
    once = compiled("self.all.all(a, a != 'x')").largest_cost
    assert 1_000_000 < once < 10_000_000_000
    nested = compiled("self.all.all(a, self.all.all(b, self.all.all(c, a + b == c)))").largest_cost
    assert nested == UNBOUND or nested > 10**15


def test_an_evaluation_costs_no_more_than_the_estimate() -> None:
    program = compiled("self.names.all(n, n.startsWith('a')) && self.map.all(k, self.map[k] > 0)")
    _, cost = program.measure({"self": VALUE})
    assert 0 < cost <= program.largest_cost
