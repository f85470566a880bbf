"""The disk of a host's engine is full: who filled it is evicted, new pods are refused, and all others live on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mini_cluster.pytest_plugin import ClusterHandle
from tests.kits.client.commandline import CommandLine
from tests.kits.eventually import eventually
from tests.kits.manifests import container, pod

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

NODE = "worker-2"
SIZE = "size=128m"
UNTIL_FULL = "n=0; while echo tick >/tick$n; do n=$((n+1)); sleep 0.1; done; exit 7"
FILL = "cat /dev/zero >/fill; sleep 100000"
SECONDS = 90.0


@pytest.fixture
def small_disk(cluster: ClusterHandle, image: str, small_archive: Path) -> Iterator[None]:
    """The host comes back with an empty, small disk for its engine, and afterwards with its own."""
    root = cluster.cluster.layout.node(NODE).docker_root
    cluster.stop_node(NODE)
    subprocess.run(["mount", "-t", "tmpfs", "-o", SIZE, "small", root], check=True)
    try:
        cluster.start_node(NODE)
        cluster.load_archive(small_archive)
        yield
    finally:
        cluster.stop_node(NODE)  # which unmounts all that lies below the host's folder
        cluster.start_node(NODE)


@pytest.mark.usefixtures("small_disk")
def test_who_fills_the_disk_is_evicted_and_the_others_go_on(cluster: ClusterHandle, mk: CommandLine) -> None:
    kubelet = cluster.pid(f"kubelet-{NODE}")
    mk.apply(pod("modest", nodeName=NODE))
    mk.apply(pod("brief", container("sh", "-c", UNTIL_FULL), nodeName=NODE, restartPolicy="Never"))
    mk.run("wait", "--for=condition=Ready", "pods", "--all", "--timeout=120s")
    mk.apply(pod("greedy", container("sh", "-c", FILL), nodeName=NODE))
    greedy = eventually(lambda: failed(mk, "greedy"), "the pod that fills the disk is evicted", SECONDS)
    assert greedy["reason"] == "Evicted"
    assert greedy["message"].startswith("The node was low on resource: ephemeral-storage.")
    brief = eventually(lambda: failed(mk, "brief"), "what ends by itself on a full disk is noticed", SECONDS)
    assert "reason" not in brief
    assert [item["state"]["terminated"]["exitCode"] for item in brief["containerStatuses"]] == [7]
    mk.apply(pod("late", nodeName=NODE))
    late = eventually(lambda: failed(mk, "late"), "a new pod is refused", SECONDS)
    assert late["message"] == "Pod was rejected: The node had condition: [DiskPressure]. "
    write = ("exec", "modest", "--", "sh", "-c", "echo room >/file")
    eventually(lambda: mk.try_run(*write).returncode == 0, "there is room again", SECONDS)
    (status,) = mk.get("pod", "modest")["status"]["containerStatuses"]
    assert (status["ready"], status["restartCount"]) == (True, 0)
    (ended,) = mk.get("pod", "greedy")["status"]["containerStatuses"]
    assert ended["state"]["terminated"]["exitCode"] == 137
    assert cluster.pid(f"kubelet-{NODE}") == kubelet


def failed(mk: CommandLine, name: str) -> dict[str, Any] | None:
    status: dict[str, Any] = mk.get("pod", name)["status"]
    return status if status.get("phase") == "Failed" else None
