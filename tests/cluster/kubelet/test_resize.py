"""In-place resize on a real node: the kernel's limits follow the pod's, without a restart or with one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apimachinery.quantity import cpu_millis
from mini_cluster.pytest_plugin import ClusterHandle
from tests.kits.client.commandline import CommandLine
from tests.kits.client.kubectlversions import KUBECTLS
from tests.kits.eventually import eventually
from tests.kits.machine.podgroups import group_limit
from tests.kits.manifests import container, pod

pytestmark = [pytest.mark.cluster, pytest.mark.skipif(not KUBECTLS, reason="needs a real kubectl")]

SMALL = {"requests": {"cpu": "100m", "memory": "32Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}}
LARGE = {"requests": {"cpu": "200m", "memory": "32Mi"}, "limits": {"cpu": "400m", "memory": "128Mi"}}
FILES = {
    "memory": "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max",
    "cpu": "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cat /sys/fs/cgroup/cpu.max",
}
SECONDS = 60.0


@pytest.fixture
def kubectl(cluster: ClusterHandle, namespace: str, image: str) -> CommandLine:
    """The newest: `--subresource resize` is known since 1.32."""
    return CommandLine(cluster.kubeconfig, namespace, str(KUBECTLS[""]))


def run_pod(kubectl: CommandLine, resources: dict[str, Any], command: str = "sleep 100000", **fields: Any) -> None:
    kubectl.apply(pod("x", container("sh", "-c", command, resources=resources, **fields)))
    ready = kubectl.try_run("wait", "--for=condition=Ready", "pod/x", "--timeout=120s")
    assert ready.returncode == 0, kubectl.run("get", "pod", "x", "-o", "yaml") + kubectl.run("get", "events")


def resize(kubectl: CommandLine, resources: dict[str, Any]) -> None:
    patch = {"spec": {"containers": [{"name": "app", "resources": resources}]}}
    kubectl.run("patch", "pod", "x", "--subresource", "resize", "--patch", json.dumps(patch))


def reached(kubectl: CommandLine, resources: dict[str, Any], restarts: int = 0) -> None:
    """Waits until the status says so, with no trace of a resize under way."""

    def look() -> bool:
        status = kubectl.get("pod", "x")["status"]
        app = status["containerStatuses"][0]
        conditions = {item["type"] for item in status["conditions"]}
        done = app["resources"] == resources and app["restartCount"] == restarts and "running" in app["state"]
        return done and not conditions & {"PodResizePending", "PodResizeInProgress"}

    eventually(look, f"resources {resources}, {restarts} restarts", SECONDS)


def kernel(kubectl: CommandLine, what: str) -> str:
    return kubectl.run("exec", "x", "--", "sh", "-c", FILES[what]).split()[0]


def condition(kubectl: CommandLine, kind: str) -> dict[str, Any] | None:
    conditions = kubectl.get("pod", "x")["status"]["conditions"]
    return next((item for item in conditions if item["type"] == kind), None)


def test_limits_change_under_a_running_container(kubectl: CommandLine, cluster: ClusterHandle) -> None:
    run_pod(kubectl, SMALL)
    bound, layout = kubectl.get("pod", "x"), cluster.cluster.layout
    assert (kernel(kubectl, "memory"), kernel(kubectl, "cpu")) == (str(64 << 20), "20000")
    resize(kubectl, LARGE)
    reached(kubectl, LARGE)
    assert (kernel(kubectl, "memory"), kernel(kubectl, "cpu")) == (str(128 << 20), "40000")
    assert (group_limit(layout, bound, "memory"), group_limit(layout, bound, "cpu")) == (str(128 << 20), "40000")
    resize(kubectl, SMALL)
    reached(kubectl, SMALL)
    assert kernel(kubectl, "memory") == str(64 << 20)
    assert (group_limit(layout, bound, "memory"), group_limit(layout, bound, "cpu")) == (str(64 << 20), "20000")
    found = kubectl.get("pod", "x")
    assert found["metadata"]["generation"] == found["status"]["observedGeneration"] == 3
    for reason in ("ResizeStarted", "ResizeCompleted"):
        eventually(lambda reason=reason: told(kubectl, reason) == 2, f"two events {reason}", SECONDS)


def told(kubectl: CommandLine, reason: str) -> int:
    return sum(item.get("count", 1) for item in kubectl.items("events") if item["reason"] == reason)


def test_a_container_that_wants_a_restart_gets_one(kubectl: CommandLine) -> None:
    policy = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
    run_pod(kubectl, SMALL, "trap 'exit 0' TERM; sleep 100000 & wait", resizePolicy=policy)
    resize(kubectl, LARGE)
    reached(kubectl, LARGE, restarts=1)
    assert kernel(kubectl, "memory") == str(128 << 20)


def test_what_the_node_does_not_have_stays_pending(kubectl: CommandLine) -> None:
    run_pod(kubectl, SMALL)
    resize(kubectl, {"requests": {"cpu": "900"}, "limits": {"cpu": "900"}})
    pending = eventually(lambda: condition(kubectl, "PodResizePending"), "the node says no", SECONDS)
    assert (pending["reason"], pending["observedGeneration"]) == ("Infeasible", 2)
    assert pending["message"].startswith("Node didn't have enough capacity: cpu, requested: 900000, capacity: ")
    resize(kubectl, SMALL)
    reached(kubectl, SMALL)


def test_what_others_hold_is_given_once_they_are_gone(kubectl: CommandLine) -> None:
    run_pod(kubectl, SMALL)
    name = kubectl.get("pod", "x")["spec"]["nodeName"]
    kubectl.apply(pod("other", container(resources={"requests": {"cpu": "100m"}}), nodeName=name))
    kubectl.run("wait", "--for=condition=Ready", "pod/other", "--timeout=120s")
    nearly_all = f"{cpu_millis(kubectl.get('node', name)['status']['allocatable']['cpu']) - 50}m"
    wanted = {field: SMALL[field] | {"cpu": nearly_all} for field in ("requests", "limits")}
    resize(kubectl, wanted)
    pending = eventually(lambda: condition(kubectl, "PodResizePending"), "the node has no room", SECONDS)
    assert pending["reason"] == "Deferred"
    assert pending["message"].startswith("Node didn't have enough resource: cpu, requested: ")
    kubectl.run("delete", "pod", "other")
    reached(kubectl, wanted)
    kubectl.run("delete", "pod", "x")  # which holds a node: the next test shall find it free


def test_a_limit_below_what_is_used_is_refused(kubectl: CommandLine) -> None:
    roomy = {**LARGE, "limits": {"cpu": "400m", "memory": "256Mi"}}  # a shell that reads much holds it three times
    run_pod(
        kubectl, roomy, "x=$(busybox head -c 40000000 /dev/zero | busybox tr '\\0' a); echo grown; sleep 1000 & wait"
    )
    eventually(lambda: "grown" in kubectl.run("logs", "x"), "the container uses memory", SECONDS)
    resize(kubectl, {"limits": {"memory": "32Mi"}})
    progress = eventually(lambda: condition(kubectl, "PodResizeInProgress"), "the kubelet tries", SECONDS)
    assert progress["reason"] == "Error"
    said = (
        'cannot decrease memory limits: attempting to set container "app" memory limit (33554432) below current usage'
    )
    assert progress["message"].startswith(said)
    assert kernel(kubectl, "memory") == str(256 << 20)
    resize(kubectl, roomy)
    reached(kubectl, roomy)


def test_an_ordinary_update_cannot_resize(kubectl: CommandLine) -> None:
    run_pod(kubectl, SMALL)
    patch = json.dumps({"spec": {"containers": [{"name": "app", "resources": LARGE}]}})
    assert "pod updates may not change fields" in kubectl.fails("patch", "pod", "x", "--patch", patch)
    removed = json.dumps({"spec": {"containers": [{"name": "app", "resources": {"limits": {"cpu": None}}}]}})
    said = kubectl.fails("patch", "pod", "x", "--subresource", "resize", "--patch", removed)
    assert "spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed" in said
