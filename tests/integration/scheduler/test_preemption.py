"""Preemption on a real API server and etcd. No kubelet runs: victims end when the test deletes them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.schedulercluster import Cluster, cluster_in
from tests.kits.eventually import eventually
from tests.kits.process import scheduler


@pytest.fixture
def cluster(api: ApiServer, namespace: str) -> Iterator[Cluster]:
    with cluster_in(api, namespace) as made:
        yield made


def going(cluster: Cluster) -> list[str]:
    return [item["metadata"]["name"] for item in cluster.pods() if item["metadata"].get("deletionTimestamp")]


def nominated_node(cluster: Cluster, name: str) -> str:
    return str(cluster.get(name)["status"].get("nominatedNodeName", ""))


def fill(cluster: Cluster, count: int, **more: Any) -> None:
    for number in range(count):
        cluster.pod(f"low-{number}", cpu="1", **more)
    eventually(lambda: cluster.placed().total() == count)


def test_a_preemptor_waits_for_its_victims_and_takes_their_place(
    api: ApiServer, cluster: Cluster, tmp_path: Path
) -> None:
    cluster.node("n1", cpu="2")
    high = cluster.priority_class(1000)
    with scheduler(api.url, tmp_path, "--leader-elect=false"):
        fill(cluster, 2)
        uid = cluster.pod("high", cpu="2", priorityClassName=high)["metadata"]["uid"]
        eventually(lambda: sorted(going(cluster)) == ["low-0", "low-1"])
        assert eventually(lambda: nominated_node(cluster, "high")) == "n1"
        cluster.pod("late", cpu="1", priorityClassName=high)
        message = eventually(lambda: cluster.condition("late"))["message"]
        assert message.endswith("1 Insufficient cpu."), message
        cluster.delete("low-0")
        assert "nodeName" not in cluster.get("high")["spec"]
        victim = cluster.get("low-1")
        condition = next(item for item in victim["status"]["conditions"] if item["type"] == "DisruptionTarget")
        assert (condition["status"], condition["reason"]) == ("True", "PreemptionByScheduler")
        assert condition["message"] == "default-scheduler: preempting to accommodate a higher priority pod"
        assert victim["metadata"]["deletionGracePeriodSeconds"] == 30
        cluster.delete("low-1")
        assert cluster.where("high") == "n1"
        assert "nominatedNodeName" not in cluster.get("high")["status"]
        events = eventually(lambda: [item for item in cluster.events("low-1") if item["reason"] == "Preempted"])
        assert [item["message"] for item in events] == [f"Preempted by pod {uid} on node n1"]
        assert (events[0]["action"], events[0]["related"]["uid"]) == ("Preempting", uid)
        assert "nodeName" not in cluster.get("late")["spec"]


def test_a_pod_of_a_class_that_never_preempts_waits(api: ApiServer, cluster: Cluster, tmp_path: Path) -> None:
    cluster.node("n1", cpu="1")
    name = f"never-{cluster.namespace}"
    body = {"metadata": {"name": name}, "value": 1000, "preemptionPolicy": "Never"}
    assert api.http.post("/apis/scheduling.k8s.io/v1/priorityclasses", json=body).status_code == 201
    with scheduler(api.url, tmp_path, "--leader-elect=false"):
        fill(cluster, 1)
        cluster.pod("polite", cpu="1", priorityClassName=name)
        message = eventually(lambda: cluster.condition("polite"))["message"]
        assert message.endswith("preemption: not eligible due to preemptionPolicy=Never.")
        cluster.pod("system", cpu="1", priorityClassName="system-node-critical")
        eventually(lambda: going(cluster))
        cluster.delete("low-0")
        assert cluster.where("system") == "n1"


def test_a_killed_scheduler_ends_its_preemptions_and_evicts_no_more_than_it_must(
    api: ApiServer, cluster: Cluster, tmp_path: Path
) -> None:
    """Killed after each preemptor comes, wherever it is then: before, between or after its evictions."""
    high = cluster.priority_class(1000)
    for number in range(4):
        cluster.node(f"n{number}", cpu="2")
    with scheduler(api.url, tmp_path, "--leader-elect=false") as process:
        fill(cluster, 8)
        for number in range(4):
            cluster.pod(f"high-{number}", cpu="2", priorityClassName=high)
            process.kill()
            process.start()
            if number % 2:
                eventually(lambda: going(cluster))
                process.kill()
                process.start()
        names = [f"high-{number}" for number in range(4)]

        def run() -> bool:
            """A preemptor that was cut off between its two evictions goes on when the first victim has ended."""
            for name in going(cluster):
                cluster.delete(name)
            return all("nodeName" in cluster.get(name)["spec"] for name in names)

        eventually(run)
        assert sorted(cluster.where(name) for name in names) == ["n0", "n1", "n2", "n3"]
        assert sorted(item["metadata"]["name"] for item in cluster.pods()) == names
