"""Worker hosts come when pods fit nowhere, and go when nobody needs them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mini_cluster.cluster.cloud import CLOUD_CONTROLLER_MANAGER, CLUSTER_AUTOSCALER
from mini_cluster.cluster.state import HostGroup
from mini_cluster.launcher import Cluster
from tests.kits.client.commandline import CommandLine
from tests.kits.eventually import eventually
from tests.kits.manifests import deployment, service

pytestmark = pytest.mark.cluster

UNNEEDED_SECONDS = 3.0
PAUSE = {"name": "app", "image": "registry.k8s.io/pause:3.10", "imagePullPolicy": "Never"}  # every host has made it


@pytest.fixture
def scaled(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of one worker host, which may become two."""
    cluster = Cluster(tmp_path / "scaled", owner_pid=os.getpid())
    try:
        cluster.up(groups=[HostGroup("workers", 1, 2)], unneeded_seconds=UNNEEDED_SECONDS, api_port=None)
        yield cluster
    finally:
        cluster.down(purge=True)


@pytest.mark.slow
def test_a_host_comes_with_the_pods_that_need_it_and_goes_with_them(scaled: Cluster) -> None:
    mk = CommandLine(scaled.layout.kubeconfig, "default")

    def running() -> set[str]:
        """The nodes on which all pods run."""
        pods = mk.items("pods")
        ran = all(item["status"].get("phase") == "Running" for item in pods)
        return {item["spec"]["nodeName"] for item in pods} if ran else set()

    def reasons(*names: str) -> list[str]:
        return [item["reason"] for item in mk.items("events", "-A") if item["reason"] in names]

    first = mk.get("node", "worker-1")
    assert first["spec"]["providerID"] == f"local://{scaled.layout.key}/worker-1"
    assert first["metadata"]["labels"]["node.kubernetes.io/instance-type"] == "worker-host"
    mk.apply(service("front", type="LoadBalancer"))
    eventually(lambda: _addresses(mk.get("service", "front")), "an address for the LoadBalancer")

    cpus = os.cpu_count() or 1
    most = PAUSE | {"resources": {"requests": {"cpu": f"{600 * cpus}m"}}}
    mk.apply(deployment("web", 2, most))
    eventually(lambda: running() == {"worker-1", "worker-2"}, "a second host with a pod", 120)
    assert reasons("TriggeredScaleUp")
    status = mk.get("-n", "kube-system", "configmap", "cluster-autoscaler-status")["data"]["status"]
    assert "name: workers" in status

    mk.run("scale", "deployment/web", "--replicas=1")
    eventually(lambda: len(scaled.state().nodes) == 1, "the end of a host", 120)
    eventually(lambda: len(mk.items("nodes")) == 1, "the end of its node", 120)
    eventually(lambda: running() and len(mk.items("pods")) == 1, "the pod that is left")
    eventually(lambda: "ScaleDown" in reasons("ScaleDown"), "the event of the removal")
    mk.run("delete", "service", "front")
    for daemon in (CLOUD_CONTROLLER_MANAGER, CLUSTER_AUTOSCALER):
        _, _, worked = scaled.layout.log(daemon).read_text().partition(" leading ")
        assert worked, f"{daemon} never led"
        assert [line for line in worked.splitlines() if "cannot" in line or "Unauthorized" in line] == []


def _addresses(obj: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = obj["status"]["loadBalancer"].get("ingress") or []
    return found
