"""The kernel holds a pod as a whole to its limits: its containers share a control group."""

from __future__ import annotations

import pytest

from mini_cluster.pytest_plugin import ClusterHandle
from tests.kits.client.commandline import CommandLine
from tests.kits.eventually import eventually
from tests.kits.machine.podgroups import group_limit
from tests.kits.manifests import container, pod

pytestmark = pytest.mark.cluster

SECONDS = 60.0
HOLD = (
    "busybox mkfifo /tmp/f; (busybox head -c 30000000 /dev/zero; sleep 100000) > /tmp/f & "
    "exec busybox tail -c 30000000 /tmp/f"
)
"""The container's own process holds 30 MB until somebody ends the other one."""


def test_containers_share_what_their_pod_may_have(cluster: ClusterHandle, mk: CommandLine) -> None:
    """Each alone fits into the pod's limit; both together do not, so one of them is killed."""
    containers = [container("sh", "-c", HOLD, name=name) for name in ("one", "two")]
    resources = {"limits": {"memory": "48Mi", "cpu": "1500m"}}
    mk.apply(pod("pair", *containers, resources=resources, restartPolicy="Never"))
    layout = cluster.cluster.layout
    bound = eventually(lambda: (it := mk.get("pod", "pair"))["spec"].get("nodeName") and it, "it is bound", SECONDS)
    memory = eventually(lambda: group_limit(layout, bound, "memory"), "the pod has a group", SECONDS)
    assert (memory, group_limit(layout, bound, "cpu")) == (str(48 << 20), "150000")

    def ends() -> list[str]:
        statuses = mk.get("pod", "pair")["status"].get("containerStatuses") or ()
        return [end["reason"] for item in statuses if (end := item["state"].get("terminated"))]

    assert eventually(ends, "one of the containers is killed", SECONDS)[0] == "OOMKilled"
    mk.run("delete", "pod", "pair", "--grace-period=1", "--wait=false")
    eventually(lambda: not group_limit(layout, bound, "memory"), "the group is gone", SECONDS)
