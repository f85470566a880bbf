"""Metadata, unknown fields, YAML and bodies of the wrong kind."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from apimachinery.errors import BadRequest
from apimachinery.fields.unknownfields import unknown_fields
from apimachinery.meta import Object, ObjectMeta, OwnerReference
from apimachinery.resource import Resource
from apiserver.apiextensions.objects import CustomSchema, CustomStrategy
from apiserver.codec.body import decode_object, yaml_to_json
from apiserver.codec.fieldvalidation import duplicate_fields, field_faults
from apiserver.registry.validation import (
    MAX_ANNOTATIONS_BYTES,
    drop_repeated_owners,
    validate_metadata,
    validate_metadata_update,
)
from kubeapi.core.configmap import RESOURCE as CONFIGMAPS
from kubeapi.core.pod.resource import RESOURCE as PODS

THINGS: Resource[Object] = Resource(kind="Thing", plural="things", model=Object)
OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u"}


def fields(**meta: Any) -> list[str]:
    obj = Object(metadata=ObjectMeta(**{"name": "x", "namespace": "n"} | meta))
    return [error.field for error in validate_metadata(obj, THINGS)]


def test_good_metadata() -> None:
    owners = [OwnerReference(**OWNER, controller=True), OwnerReference(**OWNER)]  # type: ignore[arg-type]
    annotations = {"Example.COM/Any": "x" * 1000}
    finalizers = ["orphan", "a.b/c"]
    labels = {"a": "", "b.c/d": "E_f-0"}
    assert fields(labels=labels, annotations=annotations, ownerReferences=owners, finalizers=finalizers) == []


@pytest.mark.parametrize(
    ("meta", "field"),
    [
        ({"name": None}, "metadata.name"),
        ({"name": "A"}, "metadata.name"),
        ({"name": "a%b"}, "metadata.name"),
        ({"namespace": "a.b"}, "metadata.namespace"),
        ({"labels": {"a/b/c": ""}}, "metadata.labels"),
        ({"labels": {"a": "x" * 64}}, "metadata.labels"),
        ({"annotations": {"": ""}}, "metadata.annotations"),
        ({"annotations": {"a": "x" * MAX_ANNOTATIONS_BYTES}}, "metadata.annotations"),
        ({"generation": -1}, "metadata.generation"),
        ({"finalizers": ["unqualified"]}, "metadata.finalizers[0]"),
        ({"finalizers": ["a/b", "orphan", "foregroundDeletion"]}, "metadata.finalizers"),
        ({"ownerReferences": [OwnerReference(**OWNER | {"uid": ""})]}, "metadata.ownerReferences.uid"),
        ({"ownerReferences": [OwnerReference(**OWNER | {"name": ""})]}, "metadata.ownerReferences.name"),
        ({"ownerReferences": [OwnerReference(**OWNER | {"kind": ""})]}, "metadata.ownerReferences.kind"),
        ({"ownerReferences": [OwnerReference(**OWNER | {"apiVersion": "a/b/c"})]},
         "metadata.ownerReferences.apiVersion"),
        ({"ownerReferences": [OwnerReference(**OWNER | {"apiVersion": "v1", "kind": "Event"})]},
         "metadata.ownerReferences"),
        ({"ownerReferences": [OwnerReference(**OWNER, controller=True)] * 2}, "metadata.ownerReferences"),
    ],
)  # fmt: skip
def test_each_fault_of_metadata_is_named(meta: dict[str, Any], field: str) -> None:
    assert field in fields(**meta)


def test_what_is_wrong_with_owners_is_shown() -> None:
    owners = [OwnerReference(**OWNER | {"name": name}, controller=True) for name in ("a", "b", "c")]  # type: ignore[arg-type]
    shown = ",".join(
        f'{{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"{name}","uid":"u","controller":true}}' for name in "abc"
    )
    text = 'Only one reference can have Controller set to true. Found "true" in references for ReplicaSet/a and '
    obj = Object(metadata=ObjectMeta(name="x", ownerReferences=owners))
    assert [error.message for error in validate_metadata(obj, THINGS)] == [
        f"Invalid value: [{shown}]: {text}ReplicaSet/{name}" for name in "bc"
    ]


def test_equal_owners_are_dropped() -> None:
    one, other = OwnerReference(**OWNER), OwnerReference(**OWNER | {"uid": "v"})
    meta = ObjectMeta(ownerReferences=[one, other, one, other, one])
    (warning,) = drop_repeated_owners(meta)
    assert warning.endswith("duplicate UID(s) observed: u, v")
    assert meta.ownerReferences == [one, other]
    assert drop_repeated_owners(meta) == ()


def test_what_is_immutable() -> None:
    old = ObjectMeta(name="x", namespace="n", uid="u", creationTimestamp="2026-01-01T00:00:00Z")
    assert validate_metadata_update(old.model_copy(update={"labels": {"a": "b"}}), old) == []
    for field, value in (("name", "y"), ("namespace", "m"), ("uid", "v"), ("deletionGracePeriodSeconds", 5)):
        errors = validate_metadata_update(old.model_copy(update={field: value}), old)
        assert [error.field for error in errors] == [f"metadata.{field}"]


def test_unknown_fields_are_found_at_any_depth() -> None:
    document = {
        "metadata": {"name": "p", "labels": {"anything": "x"}, "colour": 1},
        "spec": {
            "zork": {},
            "containers": [
                {"name": "c"},
                {"name": "d", "env": [{"name": "A", "valu": "1"}], "livenessProbe": {"x": 1}},
            ],
            "nodeSelector": {"any": "key"},
            "affinity": None,
        },
        "extra": 1,
    }
    assert unknown_fields(PODS.model, document) == [
        f'unknown field "{path}"'
        for path in (
            "metadata.colour", "spec.zork", "spec.containers[1].env[0].valu", "spec.containers[1].livenessProbe.x",
            "extra",
        )
    ]  # fmt: skip
    assert unknown_fields(PODS.model, {"spec": {"containers": "not a list", "volumes": [5, None]}}) == []


def test_duplicate_fields_are_found_at_any_depth() -> None:
    body = b'{"a":{"f":1},"b":{"c":[{"d":1,"d":2}]},"a":{"e":1,"e":1,"f":1}}'
    assert duplicate_fields(body) == [
        'duplicate field "b.c[0].d"', 'duplicate field "a"', 'duplicate field "a.e"',
    ]  # fmt: skip


def test_faults_are_told_in_the_order_of_the_body() -> None:
    body = b'{"metadata":{"x":1},"spec":{"hostPID":true,"y":1,"hostPID":true,"z":1}}'
    unknown = unknown_fields(PODS.model, orjson.loads(body))
    assert field_faults(body, unknown) == [
        'unknown field "metadata.x"', 'unknown field "spec.y"', 'duplicate field "spec.hostPID"',
        'unknown field "spec.z"',
    ]  # fmt: skip


def test_custom_resources_take_finalizers_without_a_domain() -> None:
    custom: Resource[Object] = Resource(
        kind="Thing",
        plural="things",
        model=Object,
        strategy=CustomStrategy(CustomSchema(b"{}", "v1", "a.example/v1", by_webhook=False), has_status=True),
    )
    obj = Object(metadata=ObjectMeta(name="x", finalizers=["test-finalizer", "not good"]))
    assert [error.field for error in validate_metadata(obj, custom)] == ["metadata.finalizers"]


YAML: list[tuple[str, Any]] = [
    ("a: 1\nb: [x, 'y']", {"a": 1, "b": ["x", "y"]}),
    ("a: 2026-01-01\nb: 2026-01-01T10:00:00Z", {"a": "2026-01-01", "b": "2026-01-01T10:00:00Z"}),
    ("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}", {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}),
    ("a: ~\nb: true\nc: 1.5\nd: 0o17", {"a": None, "b": True, "c": 1.5, "d": 15}),
    ("1: a\ntrue: b", {"1": "a", "true": "b"}),
    ("---\na: 1\n", {"a": 1}),
    ("a: 22:22\nb: 2001-01-01\nc: 0x10\nd: !!str 1\ne: yes\nf: '<<'", {
        "a": "22:22", "b": "2001-01-01", "c": 16, "d": "1", "e": True, "f": "<<"}),
    ("x: &x {p: 1, q: 2}\na: {q: 3, <<: [*x, {r: 4, p: 5}]}\nb: {<<: *x, q: 6}",
     {"x": {"p": 1, "q": 2}, "a": {"p": 1, "q": 3, "r": 4}, "b": {"p": 1, "q": 6}}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), YAML)
def test_yaml_is_read_as_json_has_it(text: str, expected: Any) -> None:
    assert orjson.loads(yaml_to_json(text.encode()).json) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a: [", "a: 1\n---\nb: 1", "a: !!python/name:os.system x", "\t", "a: *none", "&a [*a]",
        "a: " + "[" * 2000 + "]" * 2000, "[" * 50_000, "? [1, 2]\n: x", "a: 99999999999999999999999999",
        "a: .inf", "a: .nan", "a: !foo b", "a: !!set {b}", "a: !!binary aGk=", "a: {<<: 1}", "a: " + "9" * 10_000,
        "\n".join(["l0: &l0 {a: 1}"] + [f"l{n}: &l{n} {{<<: [{', '.join([f'*l{n - 1}'] * 9)}]}}" for n in range(1, 9)]),
    ],
)  # fmt: skip
def test_bad_yaml_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="error converting YAML to JSON"):
        yaml_to_json(text.encode())


def test_kind_and_version_are_filled_in_and_checked() -> None:
    obj = decode_object(CONFIGMAPS, b'{"metadata":{"name":"c"}}')
    assert (obj.kind, obj.apiVersion) == ("ConfigMap", "v1")
    assert decode_object(CONFIGMAPS, b"null").metadata.name is None
    with pytest.raises(BadRequest, match='Secret in version "v1" cannot be handled as a ConfigMap'):
        decode_object(CONFIGMAPS, b'{"kind":"Secret","apiVersion":"v1"}')
    with pytest.raises(BadRequest, match="does not match the expected API version"):
        decode_object(CONFIGMAPS, b'{"apiVersion":"v2"}')


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"kind":"ConfigMap","apiVersion":"v1","data":{"a":1}}', 'ConfigMap in version "v1" cannot be handled'),
        (b'{"data":{"a":1}}', 'data.a'),
        (b"{", "invalid JSON"),
        (b"", "unexpected end of JSON input (<empty>)"),
        (b"[1]", "the object provided is unrecognized"),
    ],
)  # fmt: skip
def test_what_does_not_decode_is_told_by_field(body: bytes, said: str) -> None:
    with pytest.raises(BadRequest) as caught:
        decode_object(CONFIGMAPS, body)
    assert said in caught.value.message
