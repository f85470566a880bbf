"""Schemas of custom resources as OpenAPI v2 tells them, in JSON and in protobuf."""

from __future__ import annotations

from typing import Any

from apiserver.discovery.openapi.custom import object_schema
from apiserver.discovery.openapi.v2_protobuf import document_bytes

GVK = {"group": "tests.example", "version": "v1", "kind": "Thing"}
IDENTITY = {"kind": {"type": "string"}}


def told(schema: dict[str, Any]) -> dict[str, Any]:
    return object_schema(schema, IDENTITY, GVK, v3=False)


def test_limits_of_values_are_kept_and_combinations_are_not() -> None:
    limits = {"type": "string", "enum": ["a", "b"], "pattern": "a|b", "maxLength": 9}
    numbers = {"type": "number", "minimum": -1.5, "exclusiveMinimum": True, "multipleOf": 0.5}
    spec = {**limits, "anyOf": [{"pattern": "a"}], "x-kubernetes-validations": [{"rule": "true"}]}
    found = told({"type": "object", "properties": {"spec": spec, "size": numbers}, "not": {"required": ["x"]}})
    assert found["properties"] == {"spec": limits, "size": numbers, **IDENTITY}
    assert set(found) == {"type", "properties", "x-kubernetes-group-version-kind"}
    written = document_bytes({}, [], [("t", found)])
    for bit in (b"\x6a\x03a|b", b"\x58\x09", b"\x49\x00\x00\x00\x00\x00\x00\xf8\xbf", b"\x50\x01"):
        assert bit in written  # pattern, maxLength, minimum and exclusiveMinimum, by gnostic's numbers


def test_an_object_of_any_fields_names_none() -> None:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"a": {"type": "string"}}}
    assert told(schema) == {"type": "object", "x-kubernetes-group-version-kind": [GVK]}
    assert "a" in object_schema(schema, IDENTITY, GVK, v3=True)["properties"]
