"""Bodies in Kubernetes' protobuf encoding."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apimachinery.errors import BadRequest, UnsupportedMediaType
from apimachinery.fields.fieldtypes import fields_of
from apimachinery.meta import DeleteOptions, Object
from apimachinery.model import Model
from apiserver.codec import protobuf
from kubeapi.resource._devices import Dropped
from tests.kits.net.protobuf import envelope, message


def read(api_version: str, kind: str, *fields: tuple[int, Any]) -> Any:
    return orjson.loads(protobuf.to_json(envelope(api_version, kind, message(*fields))))


META = message((1, "x"), (2, ""), (3, "n"), (8, b""), (11, message((1, "app"), (2, "web"))))


def test_maps_and_bytes() -> None:
    pair = message((1, "k"), (2, "v"))
    found = read(
        "v1", "ConfigMap", (1, META), (2, pair), (2, message((1, "empty"))), (3, message((1, "b"), (2, b"\xff")))
    )
    assert found == {
        "kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "x", "namespace": "n", "labels": {"app": "web"}},
        "data": {"k": "v", "empty": ""}, "binaryData": {"b": "/w=="},
    }  # fmt: skip


def test_an_object_of_no_model_travels_as_the_bytes_of_its_json() -> None:
    raw = message((1, b'{"spec":{"replicas":1}}'))
    found = read("apps/v1", "ControllerRevision", (1, META), (2, raw), (3, 5))
    assert (found["data"], found["revision"]) == ({"spec": {"replicas": 1}}, 5)
    with pytest.raises(BadRequest, match="not JSON"):
        read("apps/v1", "ControllerRevision", (1, META), (2, message((1, b"{"))))


def test_nested_messages_are_put_where_json_has_them() -> None:
    quantity = message((1, "100m"))
    resources = message((2, message((1, "cpu"), (2, quantity))))
    get = message((1, "/"), (2, message((1, 1), (3, "http"))))
    probe = message((1, message((2, get))), (2, 5), (3, 0), (7, 0))
    env = message((1, "A"), (3, message((3, message((1, message((1, "cm"))), (2, "key"), (3, 0))))))
    container = message((1, "c"), (2, "i"), (7, env), (8, resources), (10, probe), (16, 0))
    volume = message((1, "v"), (2, message((2, message((2, message((1, "1Gi"))))))))
    spec = message((1, volume), (2, container), (3, "Always"), (4, 0), (11, 0))
    found = read("v1", "Pod", (1, META), (2, spec))["spec"]
    assert found == {
        "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}],
        "containers": [
            {
                "name": "c", "image": "i", "resources": {"requests": {"cpu": "100m"}},
                "env": [
                    {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "key", "optional": False}}}
                ],
                "livenessProbe": {
                    "httpGet": {"path": "/", "port": "http"}, "initialDelaySeconds": 5,
                    "terminationGracePeriodSeconds": 0,
                },
            }
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 0,
    }  # fmt: skip


def test_numbers_that_may_be_text_and_negative_ones() -> None:
    rolling = message((1, message((1, 0), (2, 0))), (2, message((1, 1), (3, "25%"))))
    strategy = message((1, "RollingUpdate"), (2, rolling))
    found = read("apps/v1", "Deployment", (2, message((1, -1), (4, strategy))))["spec"]
    assert found == {
        "replicas": -1,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
    }


def test_times_travel_as_seconds_and_nanoseconds() -> None:
    lease = message((1, "me"), (2, 0), (4, message((1, 1_700_000_000), (2, 500_000_000))), (3, b""))
    found = read("coordination.k8s.io/v1", "Lease", (2, lease))["spec"]
    assert found == {
        "holderIdentity": "me", "leaseDurationSeconds": 0, "renewTime": "2023-11-14T22:13:20.500000Z",
    }  # fmt: skip
    found = read("v1", "ConfigMap", (1, message((1, "x"), (8, message((1, 1_700_000_000))))))["metadata"]
    assert found == {"name": "x", "creationTimestamp": "2023-11-14T22:13:20Z"}


def test_what_is_newer_is_left_out() -> None:
    assert read("v1", "ConfigMap", (1, META), (99, "x"), (98, 5))["metadata"]["name"] == "x"


def test_a_kind_that_is_not_known_is_another_media_type() -> None:
    for api_version, kind in (("v1", "Widget"), ("v9", "Pod"), ("", ""), ("apps/v1", "Pod")):
        with pytest.raises(UnsupportedMediaType):
            read(api_version, kind)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"k8s", protobuf.MAGIC[:3] + b"\x01",
        envelope("v1", "Pod", b"\x0a\xff"), envelope("v1", "Pod", b"\x0a"), envelope("v1", "Pod", b"\x08\x01"),
        envelope("v1", "Pod", b"\x0f"), envelope("v1", "Pod", b"\xff" * 20),
        envelope("v1", "ConfigMap", message((1, message((1, b"\xff"))))),
        envelope("v1", "ConfigMap", message((1, message((8, message((1, 2**62))))))),
        envelope("v1", "ConfigMap", message((4, "x"))),
    ],
)  # fmt: skip
def test_malformed_bytes_are_a_bad_request(body: bytes) -> None:
    with pytest.raises(BadRequest, match="not a valid protobuf object"):
        protobuf.to_json(body)


@given(st.sampled_from(sorted(protobuf.kinds())), st.binary())
def test_no_bytes_do_anything_else(kind: tuple[str, str], raw: bytes) -> None:
    with contextlib.suppress(BadRequest):
        orjson.loads(protobuf.to_json(envelope(*kind, raw)))


def test_a_field_of_another_wire_type_is_not_taken_for_an_unknown_one() -> None:
    with pytest.raises(BadRequest, match="wire type 2 for field immutable"):
        protobuf.to_json(envelope("v1", "ConfigMap", message((4, "x"))))


# Newer than the clients that send protobuf here, the server's own, or that of answers.
WITHOUT_NUMBER = {
    "ExternalMetricValue": {"metadata"},
    "NodeStatus": {"declaredFeatures"},
    "ObjectMeta": {"managedFields"},
    "PodStatus": {"allocatedResources", "extendedResourceClaimStatus", "resources"},
}


def names_of(fields: protobuf.NumberedFields) -> Iterator[str]:
    for field in fields.values():
        if field.members is not None:
            yield from names_of(field.members)
        else:
            yield field.name


def reached(model: type[Model], models: set[type[Model]]) -> set[type[Model]]:
    if model not in models:
        models.add(model)
        for name in names_of(protobuf.numbered_fields(model)):
            inner = fields_of(model)[name].type.inner_model
            if inner is not None:
                reached(inner, models)
    return models


def test_every_field_of_a_kind_that_is_sent_so_has_its_number() -> None:
    models: set[type[Model]] = set()
    for model in protobuf.kinds().values():
        reached(model, models)
    assert len(models) > 200
    for model in models:
        names = list(names_of(protobuf.numbered_fields(model)))
        assert len(set(names)) == len(names), model
        left_out = {"kind", "apiVersion"} if issubclass(model, Object | DeleteOptions) else set()
        if issubclass(model, Object) and model.__name__.endswith(("Review", "TokenRequest")):
            left_out.add("status")
        left_out |= {name for name, field in fields_of(model).items() if field.type.mark(Dropped)}
        assert set(fields_of(model)) - set(names) == left_out | WITHOUT_NUMBER.get(model.__name__, set()), model


def test_delete_options_come_in_every_version() -> None:
    for version in ("v1", "apps/v1", "rbac.authorization.k8s.io/v1", "meta.k8s.io/v1"):
        assert read(version, "DeleteOptions", (1, 5)) == {
            "kind": "DeleteOptions",
            "apiVersion": version,
            "gracePeriodSeconds": 5,
        }


def pairs(number: int, **values: bytes) -> list[tuple[int, Any]]:
    return [(number, message((1, key), (2, value))) for key, value in values.items()]


def test_a_schema_is_a_message_of_its_own() -> None:
    """Go's empty fields are sent too, and say nothing."""
    size = message((5, "integer"), (6, ""), (9, 10.0), (11, 0.5), (8, message((1, b"3"))), (16, 0), (18, 0))
    rule = message((1, "self.size > 0"), (2, "too small"), (6, 1))
    listed = message((5, "array"), (24, message((1, message((5, "string"))))), (41, "a"), (42, "set"))
    free = message((5, "object"), (30, message((1, 1))), (38, 1))
    closed = message((5, "object"), (30, message((1, 0), (2, message((5, "boolean"), (20, message((1, b"true"))))))))
    schema = message(
        (3, "r"),
        (5, "object"),
        *pairs(29, size=size, listed=listed, free=free, closed=closed),
        (23, "size"),
        (44, rule),
    )
    version = message((1, "v1"), (2, 1), (3, 1), (4, message((1, schema))))
    found = read("apiextensions.k8s.io/v1", "CustomResourceDefinition", (2, message((1, "x.io"), (7, version))))
    properties = {
        "size": {
            "type": "integer", "format": "", "maximum": 10, "minimum": 0.5, "default": 3,
            "maxItems": 0, "uniqueItems": False,
        },
        "listed": {
            "type": "array", "items": {"type": "string"},
            "x-kubernetes-list-map-keys": ["a"], "x-kubernetes-list-type": "set",
        },
        "free": {"type": "object", "additionalProperties": True, "x-kubernetes-preserve-unknown-fields": True},
        "closed": {"type": "object", "additionalProperties": {"type": "boolean", "enum": [True]}},
    }  # fmt: skip
    assert found["spec"]["versions"][0]["schema"]["openAPIV3Schema"] == {
        "$ref": "r",
        "type": "object",
        "properties": properties,
        "required": ["size"],
        "x-kubernetes-validations": [{"rule": "self.size > 0", "message": "too small", "optionalOldSelf": True}],
    }


def test_either_form_of_what_a_schema_may_hold() -> None:
    both = message((24, message((2, message((5, "string"))), (2, message((5, "integer"))))), (33, message()))
    either = pairs(32, a=message((2, "b"), (2, "c")), d=message((1, message((5, "string")))))
    version = message((4, message((1, both + message(*either)))))
    found = read("apiextensions.k8s.io/v1", "CustomResourceDefinition", (2, message((7, version))))
    assert found["spec"]["versions"][0]["schema"]["openAPIV3Schema"] == {
        "items": [{"type": "string"}, {"type": "integer"}],
        "additionalItems": False,
        "dependencies": {"a": ["b", "c"], "d": {"type": "string"}},
    }
