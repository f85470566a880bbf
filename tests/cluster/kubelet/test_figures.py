"""What a node's containers use, in all the places where people and programs look, from real control groups."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apimachinery.quantity import byte_count, cpu_millis
from mini_cluster.pytest_plugin import ClusterHandle
from tests.kits.client.commandline import CommandLine
from tests.kits.client.kubectlversions import KUBECTLS
from tests.kits.eventually import eventually

pytestmark = pytest.mark.skipif(not KUBECTLS, reason="no kubectl on this machine")

NAMESPACE = "figures"
VERSIONS = [version for version in ("1.27", "1.33") if version in KUBECTLS] or [""]
FILL = "for name in scratch fast; do dd if=/dev/zero of=/$name/file bs=1024 count=200; done; sleep 10000"
BUSY = "while true; do :; done"
SPEC = {
    "terminationGracePeriodSeconds": 0,
    "volumes": [{"name": "scratch", "emptyDir": {}}, {"name": "fast", "emptyDir": {"medium": "Memory"}}],
    "containers": [
        {
            "name": "busy",
            "command": ["sh", "-c", f"dd if=/dev/zero of=/written bs=1024 count=100; {BUSY}"],
            "resources": {"limits": {"cpu": "100m", "memory": "64Mi", "ephemeral-storage": "100Mi"}},
        },
        {
            "name": "idle",
            "command": ["sh", "-c", FILL],
            "volumeMounts": [{"name": name, "mountPath": f"/{name}"} for name in ("scratch", "fast")],
        },
    ],
}


@pytest.fixture(scope="module")
def kubectl(cluster: ClusterHandle, image: str) -> Iterator[CommandLine]:
    """kubectl in a namespace with the pod "web", one of whose containers uses all the CPU that it may, and "greedy"."""
    root = CommandLine(cluster.kubeconfig, NAMESPACE, str(KUBECTLS[VERSIONS[-1]]))
    root.run("create", "namespace", NAMESPACE)
    containers = [{**container, "image": image} for container in SPEC["containers"]]  # type: ignore[attr-defined]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "labels": {"app": "web"}}}
    greedy = {"name": "greedy", "image": image, "command": ["sh", "-c", "head -c 5000000 /dev/zero >/big; sleep 10000"]}
    greedy["resources"] = {"limits": {"ephemeral-storage": "1Mi"}}
    root.apply(
        {**pod, "spec": {**SPEC, "containers": containers}},
        {**pod, "metadata": {"name": "greedy"}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [greedy]}},
    )
    root.run("wait", "--for=condition=Ready", "pod/web", "--timeout=60s")
    yield root
    root.run("delete", "namespace", NAMESPACE, "--wait=false")


def top(kubectl: CommandLine, *args: str) -> list[list[str]]:
    """The rows of `kubectl top` without the heading; none while nothing is measured."""
    result = kubectl.try_run("top", *args, "--no-headers")
    return [line.split() for line in result.stdout.splitlines()] if result.returncode == 0 else []


@pytest.mark.parametrize("version", VERSIONS)
def test_top_shows_pods_and_nodes(version: str, kubectl: CommandLine, cluster: ClusterHandle) -> None:
    client = CommandLine(cluster.kubeconfig, NAMESPACE, str(KUBECTLS[version]))

    def containers() -> dict[str, int]:
        return {row[1]: cpu_millis(row[2]) for row in top(client, "pod", "-l", "app=web", "--containers")}

    found = eventually(lambda: (seen := containers()) and seen.get("busy", 0) > 50 and seen, "the busy container shows")
    assert found["busy"] <= 150  # its limit is 100m
    assert found["idle"] < 50
    assert top(client, "pod", "-l", "app=web", "--sort-by=memory", "--sum")[0][0] == "web"
    metrics = json.loads(client.run("get", "--raw", f"/apis/metrics.k8s.io/v1beta1/namespaces/{NAMESPACE}/pods/web"))
    assert all(0 < byte_count(item["usage"]["memory"]) < 64 << 20 for item in metrics["containers"])
    node = client.get("pod", "web")["spec"]["nodeName"]
    assert node in [row[0] for row in top(client, "node", "--sort-by=memory")]


def raw(kubectl: CommandLine, path: str) -> str:
    node = kubectl.get("pod", "web")["spec"]["nodeName"]
    return kubectl.run("get", "--raw", f"/api/v1/nodes/{node}/proxy/{path}")


def test_the_summary_has_cpu_memory_network_and_disk(kubectl: CommandLine) -> None:
    def pod() -> Any:
        pods = json.loads(raw(kubectl, "stats/summary"))["pods"]
        return next((item for item in pods if item["podRef"]["name"] == "web"), None)

    def measured() -> Any:
        seen = pod()
        # The pod's limit on ephemeral storage has it measured every ten seconds.
        used = (seen or {}).get("ephemeral-storage", {}).get("usedBytes", 0)
        return seen if used >= 300 << 10 and "volume" in seen else None

    found = eventually(measured, "disk use is measured")
    assert found["cpu"]["usageCoreNanoSeconds"] > 0
    assert found["network"]["name"] == "eth0"
    assert found["process_stats"]["process_count"] >= 3
    containers = {item["name"]: item for item in found["containers"]}
    assert containers["busy"]["memory"]["availableBytes"] <= 64 << 20
    assert containers["busy"]["rootfs"]["usedBytes"] >= 100 << 10
    volumes = {item["name"]: item for item in found["volume"]}
    assert all(volumes[name]["usedBytes"] >= 200 << 10 for name in ("scratch", "fast"))
    assert found["ephemeral-storage"]["usedBytes"] < 500 << 10  # what is in memory does not count


def test_metrics_have_the_labels_of_dashboards(kubectl: CommandLine) -> None:
    where = f'namespace="{NAMESPACE}",pod="web"'
    resource = raw(kubectl, "metrics/resource")
    assert re.search(rf'^container_memory_working_set_bytes{{container="busy",{where}}} \d+ \d+$', resource, re.M)
    assert "resource_scrape_error 0" in resource
    cadvisor = raw(kubectl, "metrics/cadvisor")
    for name, container in (
        ("container_cpu_usage_seconds_total", "busy"),
        ("container_cpu_cfs_throttled_seconds_total", "busy"),
        ("container_memory_working_set_bytes", "idle"),
        ("container_processes", "busy"),
        ("container_file_descriptors", "busy"),
        ("container_sockets", "idle"),
        ("container_network_receive_bytes_total", ""),
    ):
        series = rf'^{name}{{container="{container}",[^}}]*{where}}} [0-9.e+-]+ \d+$'
        assert re.search(series, cadvisor, re.M), name
    limit = rf'^container_spec_memory_limit_bytes{{container="busy",[^}}]*}} {64 << 20} '
    assert re.search(limit, cadvisor, re.M)
    assert json.loads(raw(kubectl, "configz"))["kubeletconfig"]["evictionHard"]["memory.available"] == "100Mi"


def test_a_pod_that_writes_more_than_its_limit_is_evicted(kubectl: CommandLine) -> None:
    status = eventually(lambda: (pod := kubectl.get("pod", "greedy")["status"])["phase"] == "Failed" and pod, "its end")
    message = "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. "
    assert (status["reason"], status["message"]) == ("Evicted", message)
    told = ("get", "events", "--field-selector=involvedObject.name=greedy")
    eventually(lambda: "Evicted" in kubectl.run(*told), "the event, which is written later")
    (container,) = status["containerStatuses"]
    assert container["state"]["terminated"]["exitCode"] == 137


def test_mini_kubectl_shows_the_same(kubectl: CommandLine, cluster: ClusterHandle) -> None:
    mini = CommandLine(cluster.kubeconfig, NAMESPACE, str(Path(sys.executable).parent / "mini-kubectl"))
    assert [row[1] for row in top(mini, "pod", "web", "--containers", "--sort-by=cpu")] == ["busy", "idle"]
    node = kubectl.get("pod", "web")["spec"]["nodeName"]
    assert node in [row[0] for row in top(mini, "node")]
