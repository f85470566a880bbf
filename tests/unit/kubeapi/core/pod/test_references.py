"""The objects that a pod names."""

from __future__ import annotations

from typing import Any

import pytest

from kubeapi.core.pod.references import environment_references, pod_references
from kubeapi.core.pod.resource import RESOURCE as PODS
from tests.kits.kinds import load


def spec(**members: Any) -> Any:
    containers = members.pop("containers", [{"name": "c", "image": "i"}])
    return load(PODS, {"metadata": {"name": "p"}, "spec": {"containers": containers, **members}})


SECRET, CONFIG_MAP, CLAIM = {("Secret", "s")}, {("ConfigMap", "m")}, {("PersistentVolumeClaim", "k")}
REF = {"secretRef": {"name": "s"}}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"secret": {"secretName": "s"}}, SECRET),
        ({"configMap": {"name": "m"}}, CONFIG_MAP),
        ({"projected": {"sources": [{"secret": {"name": "s"}}, {"configMap": {"name": "m"}}]}}, SECRET | CONFIG_MAP),
        ({"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}, set()),
        ({"persistentVolumeClaim": {"claimName": "k"}}, CLAIM),
        ({"ephemeral": {"volumeClaimTemplate": {"spec": {}}}}, {("PersistentVolumeClaim", "p-v")}),
        ({"azureFile": {"secretName": "s", "shareName": "x"}}, SECRET),
        ({"csi": {"driver": "d", "nodePublishSecretRef": {"name": "s"}}}, SECRET),
        ({"csi": {"driver": "d"}}, set()),
        ({"cephfs": {"monitors": [], **REF}}, SECRET),
        ({"cinder": {"volumeID": "x", **REF}}, SECRET),
        ({"flexVolume": {"driver": "d", **REF}}, SECRET),
        ({"iscsi": {"targetPortal": "t", "iqn": "i", "lun": 0, **REF}}, SECRET),
        ({"rbd": {"monitors": [], "image": "i", **REF}}, SECRET),
        ({"scaleIO": {"gateway": "g", "system": "s", **REF}}, SECRET),
        ({"storageos": REF}, SECRET),
        ({"hostPath": {"path": "/s"}}, set()),
    ],
)
def test_volumes(source: dict[str, Any], expected: set[tuple[str, str]]) -> None:
    pod = spec(volumes=[{"name": "v", **source}])
    assert pod_references(pod) == expected
    assert environment_references(pod.spec) == set()


@pytest.mark.parametrize("member", ["containers", "initContainers", "ephemeralContainers"])
def test_variables_of_every_container(member: str) -> None:
    container = {
        "name": "x",
        "image": "i",
        "envFrom": [{"secretRef": {"name": "s1"}}, {"configMapRef": {"name": "m1"}}],
        "env": [
            {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s2", "key": "k"}}},
            {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "m2", "key": "k"}}},
            {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "D", "value": "plain"},
        ],
    }
    expected = {("Secret", "s1"), ("Secret", "s2"), ("ConfigMap", "m1"), ("ConfigMap", "m2")}
    pod = spec(**{member: [container]})
    assert environment_references(pod.spec) == expected
    assert pod_references(pod) == expected


def test_pull_secrets_and_nameless_references() -> None:
    pod = spec(imagePullSecrets=[{"name": "s"}, {"name": ""}], volumes=[{"name": "v", "secret": {}}])
    assert pod_references(pod) == SECRET
