# ruff: noqa: E501
"""A CustomResourceDefinition is held to upstream's rules, with upstream's messages."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from apimachinery.errors import BadRequest
from apiserver.apiextensions.schema import check_definition, definition_warnings
from kubeapi.apiextensions._schema import decode_schema

Json = dict[str, Any]


def crd(schema: Any = None, **spec: Any) -> Json:
    """A definition with a version v1, of this schema below `spec.x`."""
    root = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"x": schema or {"type": "string"}}}},
    }
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": root}}
    return {
        "metadata": {"name": "xs.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "xs", "singular": "x", "kind": "X", "listKind": "XList"},
            "versions": [version],
            "conversion": {"strategy": "None"},
            **spec,
        },
        "status": {"storedVersions": ["v1"]},
    }


def texts(definition: Json, old: Json | None = None) -> list[str]:
    return [str(error) for error in check_definition(definition, old)]


def at_x(schema: Any) -> list[str]:
    """The faults of a schema, with its path cut off."""
    prefix = "spec.validation.openAPIV3Schema.properties[spec].properties[x]"
    return [text.removeprefix(prefix).removeprefix(".") for text in texts(crd(schema))]


def test_a_plain_definition_is_fine() -> None:
    assert texts(crd()) == []


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "object", "properties": {"a": {"type": "array"}}}, ["properties[a].items: Required value: must be specified"]),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}, []),
        ({"allOf": [{"anyOf": [{"type": "integer"}, {"type": "string"}]}, {"pattern": "a"}], "x-kubernetes-int-or-string": True}, []),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}], "x-kubernetes-int-or-string": True},
         ["anyOf[0].type: Forbidden: must be empty to be structural", "anyOf[1].type: Forbidden: must be empty to be structural"]),
        ({"type": "string", "pattern": "(?=a)"},
         ["pattern: Invalid value: \"(?=a)\": must be a valid regular expression, but isn't: error parsing regexp: invalid or unsupported Perl syntax: `(?=`"]),
        ({"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"kind": {"type": "integer"}}},
         ['properties[kind].type: Invalid value: "integer": must be string']),
        ({"x-kubernetes-int-or-string": True, "x-kubernetes-preserve-unknown-fields": True},
         ["x-kubernetes-preserve-unknown-fields: Invalid value: true: must be false if x-kubernetes-int-or-string is true"]),
        ({"type": "array", "items": {"type": "string", "nullable": True}, "x-kubernetes-list-type": "set"},
         ["items.nullable: Forbidden: cannot be nullable when x-kubernetes-list-type is set"]),
        ({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"]},
         ["items.type: Invalid value: \"string\": must be object if parent array's x-kubernetes-list-type is map"]),
        ({"type": "object", "additionalProperties": {"type": "string"}, "default": {"a": 1}},
         ['default.a: Invalid value: "integer": a in body must be of type string: "integer"']),
        ({"type": "object", "properties": {"metadata": {"type": "object"}}, "anyOf": [{"properties": {"metadata": {}}}]},
         ["anyOf[0].properties[metadata]: Forbidden: must not be specified in a nested context"]),
    ],
)  # fmt: skip
def test_schema(schema: Json, expected: list[str]) -> None:
    assert at_x(schema) == expected


def test_fields_of_the_roots_combinations_are_properties_too() -> None:
    definition = crd()
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["oneOf"] = [{"properties": {"y": {"minimum": 1}}}]
    root = "spec.validation.openAPIV3Schema"
    assert texts(definition) == [
        f"{root}.properties[y]: Required value: because it is defined in {root}.oneOf[0].properties[y]"
    ]


def test_the_root_with_a_status_subresource_restricts_no_whole_objects() -> None:
    definition = crd()
    version = definition["spec"]["versions"][0]
    version["subresources"] = {"status": {}}
    assert texts(definition) == []
    version["schema"]["openAPIV3Schema"]["maxProperties"] = 5
    assert "only [Description Type" in texts(definition)[0]


def test_versions_that_differ_are_named_each() -> None:
    definition = crd()
    second = copy.deepcopy(definition["spec"]["versions"][0]) | {"name": "v2", "storage": False}
    second["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["x"] = {"type": "array"}
    definition["spec"]["versions"].append(second)
    path = "spec.versions[1].schema.openAPIV3Schema.properties[spec].properties[x]"
    assert texts(definition) == [f"{path}.items: Required value: must be specified"]


def test_a_group_of_kubernetes_needs_approval() -> None:
    definition = crd(group="x.k8s.io")
    definition["metadata"] = {"name": "xs.x.k8s.io"}
    assert "must have approval annotation" in texts(definition)[0]
    for good in ("unapproved, for a test", "https://example.com/approved"):
        definition["metadata"]["annotations"] = {"api-approved.kubernetes.io": good}
        assert texts(definition) == []
    definition["metadata"]["annotations"] = {"api-approved.kubernetes.io": "yes"}
    assert texts(definition, definition) == [], "an old one stays as it is"


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        ({}, ["spec.conversion.webhookClientConfig: Required value: exactly one of url or service is required"]),
        ({"url": "https://a.example/b"}, []),
        ({"url": "http://u@a?q#f"}, ["url: Invalid value", "url: Invalid value", "url: Invalid value", "url: Invalid value"]),
        ({"service": {"name": "a", "namespace": "b", "port": 0}}, ["service.port: Invalid value: 0: port is not valid"]),
    ],
)  # fmt: skip
def test_conversion_webhook(client: Json, expected: list[str]) -> None:
    webhook = {"clientConfig": client, "conversionReviewVersions": ["v1"]}
    found = texts(crd(conversion={"strategy": "Webhook", "webhook": webhook}))
    assert len(found) == len(expected)
    for text, part in zip(found, expected, strict=True):
        assert part in text


def test_review_versions() -> None:
    webhook = {"clientConfig": {"url": "https://a"}, "conversionReviewVersions": ["v2", "v2"]}
    assert texts(crd(conversion={"strategy": "Webhook", "webhook": webhook})) == [
        'spec.conversion.conversionReviewVersions[1]: Invalid value: "v2": duplicate version',
        'spec.conversion.conversionReviewVersions: Invalid value: ["v2","v2"]: must include at least one of v1, v1beta1',
    ]


def test_what_never_changes() -> None:
    old = crd()
    old["status"]["conditions"] = [{"type": "Established", "status": "True"}]
    names = {"plural": "ys", "singular": "x", "kind": "Y", "listKind": "YList"}
    assert [text.partition(":")[0] for text in texts(crd(group="b.com", scope="Cluster", names=names), old)] == [
        "spec.scope",
        "spec.names.kind",
        "spec.group",
        "spec.names.plural",
    ]


def test_schemas_are_bounded_in_depth() -> None:
    deep: Json = {"type": "string"}
    for _ in range(150):
        deep = {"not": deep}
    assert "nested more than 100 levels" in texts(crd(deep))[0]
    for _ in range(100):
        deep = {"not": deep}
    with pytest.raises(BadRequest):
        decode_schema(deep, "schema")


def test_patterns_are_bounded_together() -> None:
    many = {f"p{index}": {"type": "string", "pattern": f"x{index}{{1,900}}"} for index in range(500)}
    found = texts(crd({"type": "object", "properties": many}))
    assert len(found) == 1
    assert "patterns take more than" in found[0]


def test_a_schema_is_kept_in_one_form() -> None:
    schema = {"type": "object", "nullable": False, "required": [], "default": None, "nope": 1, "minLength": 0,
              "properties": {"a": {"items": {"x": 1}, "title": ""}}, "x-kubernetes-validations": [{"rule": "", "y": 1}]}  # fmt: skip
    assert decode_schema(schema, "s") == ["s.nope", "s.properties[a].items.x", "s.x-kubernetes-validations[0].y"]
    assert schema == {
        "type": "object",
        "minLength": 0,
        "properties": {"a": {"items": {}}},
        "x-kubernetes-validations": [{}],
    }


@pytest.mark.parametrize(
    "schema",
    [{"type": 5}, {"properties": []}, {"properties": {"a": 5}}, {"items": [5]}, {"allOf": {}}, {"maxLength": 1.5},
     {"required": [1]}, {"additionalProperties": 5}, {"enum": {}}, {"nullable": "x"}, {"not": []}],
)  # fmt: skip
def test_a_field_of_the_wrong_type_is_refused(schema: Json) -> None:
    with pytest.raises(BadRequest, match="is expected in s"):
        decode_schema(schema, "s")


def test_unknown_formats_are_warned_of() -> None:
    assert definition_warnings(crd({"type": "string", "format": "nope"})) == ['unrecognized format "nope"']
    assert definition_warnings(crd({"type": "string", "format": "date-time"})) == []
