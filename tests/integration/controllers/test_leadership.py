"""Leaders that are stopped in the middle of their work, and go on when another leads: nothing is done twice."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.eventually import eventually
from tests.kits.node.hollownode import HollowNode
from tests.kits.process import Daemon, controller_manager, scheduler

pytestmark = pytest.mark.slow

ELECTION = (
    "--leader-elect-lease-duration=4s", "--leader-elect-renew-deadline=3s", "--leader-elect-retry-period=300ms",
)  # fmt: skip
PODS = 100  # that are to come when the leader is stopped
NODES, PODS_OF_NODE = 10, 10
SPARE_PODS = 10


@contextmanager
def rivals(*daemons: Daemon) -> Iterator[None]:
    """Runs daemons of which a test stops one: who has lost the Lease ends with an error, as it should."""
    try:
        for daemon in daemons:
            daemon.start()
        eventually(lambda: any(daemon.leads for daemon in daemons))
        yield
    finally:
        for daemon in daemons:
            daemon.kill()


def stop_the_leader(first: Daemon, second: Daemon, is_done: Callable[[], bool]) -> None:
    """Lets the other one lead and finish the work before the leader goes on, where it stood."""
    leader, other = (first, second) if first.leads else (second, first)
    leader.signal(signal.SIGSTOP)
    eventually(lambda: other.leads)
    eventually(is_done)
    leader.signal(signal.SIGCONT)
    eventually(lambda: not leader.running)


def post(api: ApiServer, path: str, body: dict[str, Any]) -> None:
    answer = api.http.post(path, json=body)
    assert answer.status_code == 201, answer.text


def test_a_manager_that_was_stopped_makes_no_pod_too_many(api: ApiServer, namespace: str, tmp_path: Path) -> None:
    flags = ("--leader-elect", *ELECTION, "--controllers=replicaset-controller")
    first, second = (controller_manager(api.url, tmp_path / name, *flags) for name in ("1", "2"))
    labels = {"app": "w"}
    pod = {"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": "x"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": PODS, "selector": {"matchLabels": labels}, "template": template}

    def count() -> int:
        return len(api.http.get(f"/api/v1/namespaces/{namespace}/pods").json()["items"])

    with HollowNode(api, namespace, f"hollow-{namespace}") as hollow, rivals(first, second):
        path = f"/apis/apps/v1/namespaces/{namespace}/replicasets"
        post(api, path, {"metadata": {"name": "w"}, "spec": spec})
        eventually(lambda: count() > 0)
        stop_the_leader(first, second, lambda: count() == PODS)
        assert (hollow.peak, count()) == (PODS, PODS)


def test_a_scheduler_that_was_stopped_fills_no_node_too_full(api: ApiServer, namespace: str, tmp_path: Path) -> None:
    first, second = (scheduler(api.url, tmp_path / name, *ELECTION) for name in ("1", "2"))
    path = f"/api/v1/namespaces/{namespace}/pods"
    merge = {"content-type": "application/merge-patch+json"}
    for number in range(NODES):
        post(api, "/api/v1/nodes", {"metadata": {"name": f"{namespace}-{number}", "labels": {"pool": namespace}}})
        node = f"/api/v1/nodes/{namespace}-{number}"
        assert api.http.patch(node, json={"spec": {"taints": None}}, headers=merge).status_code == 200
        room = {"status": {"allocatable": {"pods": str(PODS_OF_NODE), "cpu": "100"}}}
        assert api.http.patch(f"{node}/status", json=room, headers=merge).status_code == 200

    def placed() -> Counter[str]:
        return Counter(pod["spec"].get("nodeName", "") for pod in api.http.get(path).json()["items"])

    with rivals(first, second):
        for number in range(NODES * PODS_OF_NODE + SPARE_PODS):
            spec = {"nodeSelector": {"pool": namespace}, "containers": [{"name": "c", "image": "x"}]}
            post(api, path, {"metadata": {"name": f"p{number}"}, "spec": spec})
            if number == NODES * PODS_OF_NODE // 2:
                (first if first.leads else second).signal(signal.SIGSTOP)
        stop_the_leader(first, second, lambda: placed()[""] == SPARE_PODS)
        assert set(placed().values()) == {PODS_OF_NODE, SPARE_PODS}
        assert placed()[""] == SPARE_PODS
