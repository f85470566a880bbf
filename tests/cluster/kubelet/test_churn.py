"""Pods that come and go leave nothing on their node: `make churn` has two hundred of them."""

from __future__ import annotations

import os
from typing import Any

import pytest

from mini_cluster.pytest_plugin import ClusterHandle
from tests.kits.client.commandline import CommandLine
from tests.kits.eventually import eventually
from tests.kits.machine.remains import added, traces
from tests.kits.manifests import configmap, container, pod

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

PODS = int(os.environ.get("CHURN_PODS", "6"))
WAVE = 20  # pods at one time
NODE = "worker-1"
SWEPT_SECONDS = 180.0  # what the engine did not let go at once is for the kubelet's housekeeping, every two minutes
MOUNTS = [{"name": name, "mountPath": f"/{name}"} for name in ("config", "memory", "disk", "token")]
TOKEN = {"serviceAccountToken": {"path": "token"}}
VOLUMES: list[dict[str, Any]] = [
    {"name": "config", "configMap": {"name": "settings"}},
    {"name": "memory", "emptyDir": {"medium": "Memory"}},
    {"name": "disk", "emptyDir": {}},
    {"name": "token", "projected": {"sources": [TOKEN]}},
]


def one(number: int) -> dict[str, Any]:
    port = {"containerPort": 80, "hostPort": 20000 + number}
    app = container("sleep", "100000", ports=[port], volumeMounts=MOUNTS, resources={"limits": {"memory": "32Mi"}})
    return pod(f"pod-{number}", app, initContainers=[container("true", name="init")], volumes=VOLUMES, nodeName=NODE)


def test_nothing_is_left_of_pods_that_came_and_went(cluster: ClusterHandle, mk: CommandLine) -> None:
    layout = cluster.cluster.layout
    mk.apply(configmap("settings", key="value"))
    before = traces(layout, NODE)
    for first in range(0, PODS, WAVE):
        mk.apply(*(one(number) for number in range(first, min(first + WAVE, PODS))))
        mk.run("wait", "--for=condition=Ready", "pods", "--all", "--timeout=120s")
        assert added(before, traces(layout, NODE)).keys() >= {"containers", "folders", "links", "mounts"}
        mk.run("delete", "pods", "--all")
    try:
        eventually(lambda: not added(before, traces(layout, NODE)), "nothing is left on the node", SWEPT_SECONDS)
    except AssertionError as error:
        error.add_note(f"left: {added(before, traces(layout, NODE))}")
        raise
