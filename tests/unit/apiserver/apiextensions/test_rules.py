"""Rules in CEL hold objects to more than a schema can say."""

from __future__ import annotations

import time
from typing import Any

import pytest

from apiserver.apiextensions.schema import check_definition, compile_schema

Json = dict[str, Any]
MARK = "x-kubernetes-validations"


def rule(text: str, **more: Any) -> list[Json]:
    return [{"rule": text, **more}]


def faults(schema: Json, new: Any, old: Any = None) -> list[str]:
    root = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"x": schema}}}}
    before = {"spec": {"x": old}} if old is not None else None
    return [str(error) for error in compile_schema(root).validate({"spec": {"x": new}}, before)]


MAP_LIST = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["k"],
    "items": {
        "type": "object",
        "properties": {"k": {"type": "string"}, "v": {"type": "integer", MARK: rule("self >= oldSelf")}},
    },
}


def test_transitions_compare_items_of_the_same_key() -> None:
    old = [{"k": "a", "v": 2}, {"k": "b", "v": 5}]
    assert faults(MAP_LIST, [{"k": "c", "v": 0}, {"k": "b", "v": 6}, {"k": "a", "v": 2}], old) == []
    assert faults(MAP_LIST, [{"k": "b", "v": 4}], old) == [
        "spec.x[0].v: Invalid value: 4: failed rule: self >= oldSelf"
    ]
    assert faults(MAP_LIST, old) == [], "there is nothing to compare with"


def test_an_optional_old_self_is_there_for_new_values_too() -> None:
    schema = {"type": "integer", MARK: rule("oldSelf.hasValue() || self == 1", optionalOldSelf=True)}
    assert faults(schema, 2) == ["spec.x: Invalid value: 2: failed rule: oldSelf.hasValue() || self == 1"]
    assert faults(schema, 1) == []
    assert faults(schema, 2, 1) == []


def test_a_broken_rule_about_what_did_not_change_is_let_through() -> None:
    item = {"type": "string", MARK: rule("self.startsWith('x')")}
    assert faults(item, "y", "y") == []
    assert faults(item, "z", "y") == ["spec.x: Invalid value: \"z\": failed rule: self.startsWith('x')"]
    items = {"type": "array", "items": item}
    assert faults(items, ["y"], ["y"]) == [], "the list as a whole did not change"
    assert len(faults(items, ["y", "y"], ["y"])) == 2, "items without keys have no counterparts"
    transition = {"type": "integer", MARK: rule("self != oldSelf")}
    assert len(faults(transition, 1, 1)) == 1


def test_messages() -> None:
    about = "'not ' + string(self)"
    schema = {"type": "integer", MARK: rule("self != 3", message=" three ", messageExpression=about)}
    assert faults(schema, 3) == ["spec.x: Invalid value: 3: not 3"]
    for useless in ("''", "'a\\nb'", "string(1 / (self - 3))"):
        schema[MARK][0]["messageExpression"] = useless
        assert faults(schema, 3) == ["spec.x: Invalid value: 3: three"]


def test_field_path_and_reason() -> None:
    schema = {
        "type": "object",
        "properties": {"m": {"type": "object", "additionalProperties": {"type": "integer"}}},
        MARK: rule("false", fieldPath=".m['a.b']", reason="FieldValueForbidden", message="no"),
    }
    assert faults(schema, {}) == ["spec.x.m[a.b]: Forbidden: no"]


def test_an_object_too_costly_is_refused_and_nothing_hangs() -> None:
    cross = "self.all(a, self.all(b, self.all(c, a + b + c > 0)))"
    schema = {"type": "array", "items": {"type": "integer"}, MARK: rule(cross) + rule("false")}
    found = faults(schema, [1] * 1000)
    assert len(found) == 1
    assert "actual cost limit exceeded" in found[0]


def test_rules_of_embedded_resources_know_their_identity() -> None:
    raw = {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}
    schema = {**raw, MARK: rule("self.kind == 'Pod' && self.metadata.name != ''")}
    assert faults(schema, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}) == []
    assert len(faults(schema, {"apiVersion": "v1", "kind": "Job", "metadata": {"name": "a"}})) == 1


def crd(schema: Json) -> Json:
    root = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"x": schema}}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": root}}
    names = {"plural": "xs", "singular": "x", "kind": "X", "listKind": "XList"}
    spec = {"group": "example.com", "scope": "Cluster", "names": names, "versions": [version], "conversion": {}}
    return {"metadata": {"name": "xs.example.com"}, "spec": spec, "status": {"storedVersions": ["v1"]}}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", MARK: rule("self.size() < 5", message=" ")}, "message: Invalid value"),
        ({"type": "string", MARK: rule("self.size()\n < 5")}, "must be specified if rule contains line breaks"),
        ({"type": "string", MARK: rule("true", messageExpression=" ")}, "must be non-empty if specified"),
        ({"type": "string", MARK: rule("true", optionalOldSelf=True)}, "may not be set if oldSelf is not used in rule"),
        ({"type": "string", MARK: rule("self.nope()")}, "compilation failed"),
        (
            {"type": "array", "maxItems": 3, "items": {"type": "integer", MARK: rule("self == oldSelf")}},
            "uncorrelatable",
        ),
        ({"type": "string", MARK: rule("true"), "default": "a", "maxLength": 0}, "default: Too long"),
        ({"type": "string", MARK: rule("self != 'a'"), "default": "a"}, 'default: Invalid value: "a": failed rule'),
    ],
)
def test_what_a_definition_may_not_say(schema: Json, expected: str) -> None:
    found = [str(error) for error in check_definition(crd(schema))]
    assert len(found) == 1, found
    assert expected in found[0]


def test_rules_that_take_long_to_compile_are_refused_without_a_look_at_them() -> None:
    long = rule("||".join(["self=='a'"] * 800)) * 300
    begin = time.perf_counter()
    (error,) = check_definition(crd({"type": "string", "maxLength": 5, MARK: long}))
    assert str(error) == "spec.versions: Forbidden: the rules have 2639400 characters, and may have 1000000"
    assert time.perf_counter() - begin < 1


def test_many_rules_are_bounded_by_their_cost_together() -> None:
    costly = rule("self.all(a, a.contains('x'))") * 60
    schema = {"type": "array", "maxItems": 10_000, "items": {"type": "string", "maxLength": 2000}, MARK: costly}
    found = [str(error) for error in check_definition(crd(schema))]
    assert "estimated rule cost total for entire OpenAPIv3 schema exceeds budget" in found[-1]
    old = crd(schema)
    old["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] = "before"
    assert len(found) == len(check_definition(crd(schema), old))
