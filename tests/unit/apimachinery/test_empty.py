"""Empty values of fields, on the way from a body to the wire."""

from typing import Any

import orjson
import pytest

from apimachinery.errors import BadRequest
from apimachinery.model import Model, decode, encode
from kubeapi.apps.controllerrevision import ControllerRevision
from kubeapi.apps.deployment import Deployment
from kubeapi.autoscaling.scale import Scale
from kubeapi.core.configmap import ConfigMap
from kubeapi.core.persistentvolumeclaim.model import PersistentVolumeClaimSpec
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container, PodSpec
from kubeapi.core.pod.status import PodCondition
from kubeapi.core.service.model import Service
from kubeapi.discovery.endpointslice import EndpointSlice


def on_the_wire(model: type[Model], document: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = orjson.loads(encode(decode(model, orjson.dumps(document))))
    return result


def test_empty_values_are_absent() -> None:
    container = {
        "args": [],
        "env": [{"name": "A", "value": ""}],
        "resources": {"limits": {}, "requests": {}},
        "readinessProbe": {"initialDelaySeconds": 0},
        "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": False}],
        "stdin": False,
    }
    written = on_the_wire(Container, {"name": "c", "image": "", **container})
    assert written.keys().isdisjoint({"image", "args", "stdin"})
    assert written["env"] == [{"name": "A"}]
    assert written["resources"] == {}
    assert "initialDelaySeconds" not in written["readinessProbe"]
    assert written["volumeMounts"] == [{"name": "v", "mountPath": "/v"}]


def test_metadata_has_no_empty_maps_and_lists() -> None:
    meta = {"name": "x", "labels": {}, "annotations": {}, "finalizers": [], "ownerReferences": [], "generation": 0}
    written = on_the_wire(ConfigMap, {"metadata": meta, "data": {}, "binaryData": {}})
    assert written == {"metadata": {"name": "x"}}


@pytest.mark.parametrize(
    ("model", "document"),
    [
        (PodSpec, {"securityContext": {}, "enableServiceLinks": False, "terminationGracePeriodSeconds": 0}),
        (PodSpec, {"volumes": [{"name": "v", "emptyDir": {}}], "runtimeClassName": "", "priority": 0}),
        (PersistentVolumeClaimSpec, {"storageClassName": ""}),
        (Container, {"name": "", "securityContext": {"runAsUser": 0, "privileged": False, "capabilities": {}}}),
        (ConfigMap, {"immutable": False, "data": {"key": ""}}),
        (ControllerRevision, {"data": {}}),
    ],
)
def test_zeros_of_pointers_and_empty_objects_stay(model: type[Model], document: dict[str, Any]) -> None:
    written = on_the_wire(model, document)
    assert {name: written[name] for name in document} == document


def test_an_empty_name_of_a_reference_is_left_out() -> None:
    references = {"imagePullSecrets": [{"name": ""}, {"name": "s"}, {}]}
    assert on_the_wire(PodSpec, references)["imagePullSecrets"] == [{}, {"name": "s"}, {}]
    assert on_the_wire(Scale, {"spec": {"replicas": 0}})["spec"] == {}


def test_an_empty_value_is_defaulted_as_an_absent_one_is() -> None:
    probe = {"periodSeconds": 0, "failureThreshold": 0}
    spec = {"restartPolicy": "", "containers": [{"name": "c", "ports": [{"protocol": ""}], "livenessProbe": probe}]}
    written = on_the_wire(Pod, {"spec": spec})["spec"]
    assert written["restartPolicy"] == "Always"
    assert written["containers"][0]["ports"][0]["protocol"] == "TCP"
    assert written["containers"][0]["livenessProbe"]["periodSeconds"] == 10
    assert on_the_wire(Service, {"spec": {"type": "", "sessionAffinity": ""}})["spec"]["type"] == "ClusterIP"
    assert on_the_wire(Deployment, {"spec": {"replicas": 0}})["spec"]["replicas"] == 0, "a pointer"


def test_times_and_lists_that_the_original_always_writes_are_null() -> None:
    condition = {"type": "Ready", "status": "True"}
    null_times = {"lastProbeTime": None, "lastTransitionTime": None}
    for given in (condition, {**condition, **null_times}):
        assert on_the_wire(PodCondition, given) == {**condition, **null_times}
    times = {"lastProbeTime": "2026-01-31T10:00:00Z", "lastTransitionTime": "2026-01-31T10:00:00Z"}
    assert on_the_wire(PodCondition, {**condition, **times}) == {**condition, **times}
    assert on_the_wire(EndpointSlice, {"addressType": "IPv4", "endpoints": []})["endpoints"] is None
    endpoints = [{"addresses": ["10.0.0.1"], "conditions": {}}]
    assert on_the_wire(EndpointSlice, {"addressType": "IPv4", "endpoints": endpoints})["endpoints"] == endpoints
    with pytest.raises(BadRequest, match="RFC 3339"):
        decode(PodCondition, b'{"lastProbeTime": ""}')


@pytest.mark.parametrize("model", [Pod, Deployment])
def test_a_model_that_several_fields_hold_has_the_rule_once(model: type[Model]) -> None:
    """Otherwise each of them would make decoding slower."""
    decode(Container, b"{}")
    model.model_rebuild(force=True)
    text = repr(model.__pydantic_validator__)
    assert "function-after[_none_if_empty()" in text
    assert "function-after[_none_if_empty(), function-after[_none_if_empty()" not in text
