"""The autoscaler at work: what it asks of the cloud and writes to the API, and what it makes of failures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from apimachinery.errors import Conflict, TooManyRequests
from apimachinery.meta import LabelSelector
from apimachinery.text.yaml import read_document
from cloudprovider.interface import NodeGroup
from cluster_autoscaler.autoscaler import CLUSTER, CONTROLLER
from cluster_autoscaler.drainability import DrainRules
from cluster_autoscaler.expanders._expander import expanders
from cluster_autoscaler.groups import CANDIDATE_TAINT
from kubeapi.core.configmap import ConfigMap
from kubeapi.core.node import TO_BE_DELETED_TAINT, Node
from kubeapi.core.pod.model import Pod
from kubeapi.policy.poddisruptionbudget import PodDisruptionBudget
from scheduler.configuration.load import default_configuration
from tests.fakes.api import FakeApi, Running
from tests.fakes.clock import QuickClock
from tests.fakes.cloud import FakeCloud, FakeGroups
from tests.kits.control_plane.autoscaler import budget, node, pod

OPTIONS: dict[str, Any] = {
    "scan_interval": 10.0,
    "max_node_provision_time": 900.0,
    "expendable_pods_priority_cutoff": -10,
    "initial_node_group_backoff_duration": 300.0,
    "max_node_group_backoff_duration": 1800.0,
    "scale_down_enabled": True,
    "scale_down_unneeded_time": 60.0,
    "scale_down_unready_time": 120.0,
    "scale_down_delay_after_add": 30.0,
    "scale_down_delay_after_failure": 30.0,
    "scale_down_utilization_threshold": 0.5,
    "drain_rules": DrainRules(),
    "max_graceful_termination_sec": 600,
    "max_pod_eviction_time": 20.0,
    "namespace": "kube-system",
    "status_config_map_name": "cluster-autoscaler-status",
    "scheduler_config": default_configuration(),
}


class Bench:
    """One group of machines, and an autoscaler that looks when a test says so."""

    def __init__(self, least: int, most: int) -> None:
        self.clock = QuickClock()
        self.api = FakeApi(self.clock)
        self.cloud = FakeCloud()
        self.groups = FakeGroups(NodeGroup("workers", least, most))
        self.cloud.node_groups = self.groups
        chain = [expanders()["least-waste"]]
        self.running = Running(self.api, CONTROLLER, provider=self.cloud, expander=chain, **OPTIONS)
        self.work = asyncio.create_task(self.running.reconciler.work(self.running.queue))

    @property
    def events(self) -> list[str]:
        return self.running.recorder.events

    def reasons(self) -> list[str]:
        return [event.split()[1] for event in self.events]

    def nodes(self, *names: str) -> None:
        """Machines of the group, with a Ready node each."""
        members = frozenset(f"fake://{name}" for name in names)
        self.groups.groups["workers"] = replace(self.groups.groups["workers"], members=members)
        for name in names:
            self.api.put(node(name))

    async def look(self) -> None:
        """Looks, and lets what follows from it be done."""
        self.api.deliver()
        self.running.queue.add(CLUSTER)
        outcome = await self.running.step()
        assert not isinstance(outcome, Exception), outcome
        for _ in range(50):
            await asyncio.sleep(0)
            self.api.deliver()

    async def looks_after(self, seconds: float) -> None:
        self.clock.step(seconds)
        await self.look()

    def taints(self, name: str) -> list[str]:
        return [taint.key for taint in self.api.find(Node, name).spec.taints or ()]

    def status(self) -> Any:
        config = self.api.find(ConfigMap, "kube-system/cluster-autoscaler-status")
        return read_document(config.data["status"]).value


@pytest.fixture
async def bench() -> AsyncIterator[Callable[[int, int], Bench]]:
    made: list[Bench] = []

    def make(least: int = 1, most: int = 4) -> Bench:
        made.append(Bench(least, most))
        return made[-1]

    yield make
    for item in made:
        item.work.cancel()
        await asyncio.wait([item.work])


Make = Callable[..., Bench]


# Growth


async def test_a_machine_is_added_for_a_pod_that_fits_nowhere(bench: Make) -> None:
    b = bench()
    b.nodes("n1")
    b.api.put(pod("full", "4", on="n1"))
    b.api.put(pod("p", "2"))
    b.api.put(pod("big", "64"))
    await b.look()
    assert b.groups.added == ["workers"]
    assert b.events == [
        "Normal ScaledUpGroup Scale-up: setting group workers size to 2 instead of 1 (max: 4)",
        "Normal TriggeredScaleUp pod triggered scale-up: [{workers 1->2 (max: 4)}]",
        "Normal NotTriggerScaleUp pod didn't trigger scale-up: 1 Insufficient cpu",
    ]


async def test_why_no_group_helps_is_told_once(bench: Make) -> None:
    b = bench()
    b.nodes("n1")
    b.api.put(pod("big", "64"))
    for _ in range(3):
        await b.look()
    assert b.reasons() == ["NotTriggerScaleUp"]


async def test_no_second_machine_is_added_while_the_first_is_made(bench: Make) -> None:
    b = bench()
    b.nodes("n1")
    b.api.put(pod("full", "4", on="n1"))
    b.api.put(pod("p", "2"))
    finished = asyncio.Event()

    async def add_machine(group: str) -> None:
        b.groups.added.append(group)
        await finished.wait()

    b.groups.add_machine = add_machine  # type: ignore[method-assign]
    for _ in range(3):
        await b.look()
    assert b.groups.added == ["workers"]
    whole = b.status()
    assert whole["clusterWide"]["scaleUp"]["status"] == "InProgress"
    assert whole["nodeGroups"][0]["health"]["cloudProviderTarget"] == 2
    b.api.put(pod("q", "4"))
    await b.look()
    finished.set()
    await b.look()
    assert b.groups.added == ["workers", "workers"]


async def test_a_group_whose_machine_could_not_be_made_is_left_alone_for_a_time(bench: Make) -> None:
    b = bench()
    b.nodes("n1")
    b.api.put(pod("full", "4", on="n1"))
    b.api.put(pod("p", "2"))
    b.groups.failing = "no machine left"
    await b.look()
    assert b.events[-1] == "Warning FailedToScaleUpGroup Scale-up failed for group workers: no machine left"
    await b.look()
    assert b.events[-1].endswith("pod didn't trigger scale-up: 1 in backoff after failed scale-up")
    assert b.status()["nodeGroups"][0]["scaleUp"]["status"] == "Backoff"
    b.groups.failing = ""
    await b.looks_after(2 * OPTIONS["initial_node_group_backoff_duration"])
    assert b.groups.added == ["workers"]


# Shrinking


async def test_a_node_goes_once_it_has_been_unneeded_for_long_enough(bench: Make) -> None:
    b = bench()
    b.nodes("n1", "n2")
    b.api.put(pod("p", "3", on="n1"))
    await b.look()
    assert b.taints("n2") == [CANDIDATE_TAINT]
    assert b.status()["clusterWide"]["scaleDown"]["candidates"] == 1
    await b.looks_after(30)
    assert b.groups.removed == []
    await b.looks_after(31)
    assert b.groups.removed == ["n2"]
    assert TO_BE_DELETED_TAINT in b.taints("n2")
    assert b.events == [
        'Normal ScaleDownEmpty Scale-down: removing empty node "n2"',
        "Normal ScaleDown marked the node as toBeDeleted/unschedulable",
        "Normal ScaleDown node removed by cluster autoscaler",
    ]


async def test_a_node_that_is_needed_again_stays(bench: Make) -> None:
    b = bench()
    b.nodes("n1", "n2")
    b.api.put(pod("p", "3", on="n1"))
    await b.look()
    b.api.put(pod("q", "3", on="n2"))
    await b.looks_after(61)
    assert b.taints("n2") == []
    await b.api.delete(Pod, "q", "default")
    await b.looks_after(1)
    await b.looks_after(59)
    assert b.groups.removed == []


async def test_pods_move_before_their_node_goes(bench: Make) -> None:
    b = bench()
    b.nodes("n1", "n2")
    b.api.put(pod("p", "2", on="n1"))
    b.api.put(pod("q", "1", on="n2"))
    b.api.put(pod("agent", "100m", "DaemonSet", on="n2"))
    await b.look()
    await b.looks_after(61)
    assert b.groups.removed == ["n2"]
    assert sorted(item.name for item in b.api.all(Pod)) == ["agent", "p"]
    assert "Normal ScaleDown deleting pod for node scale down" in b.events
    assert "pods to reschedule: default/q" in b.events[0]


async def test_a_node_whose_pods_may_not_be_evicted_takes_pods_again(bench: Make) -> None:
    b = bench()
    b.nodes("n1", "n2")
    b.api.put(pod("p", "2", on="n1"))
    b.api.put(pod("q", "1", on="n2"))
    await b.look()

    def refuse(request: str) -> None:
        if request.endswith("eviction"):
            raise TooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.")

    b.api.before = refuse
    await b.looks_after(61)
    assert b.groups.removed == []
    assert b.taints("n2") == []
    assert b.events[-1].startswith(
        "Warning ScaleDownFailed failed to drain the node, aborting ScaleDown: failed to evict"
    )
    b.api.before = None
    await b.looks_after(1)
    await b.looks_after(61)
    assert b.groups.removed == ["n2"]


async def test_a_pod_that_came_in_place_of_another_holds_up_nothing(bench: Make) -> None:
    b = bench()
    b.nodes("n1", "n2")
    b.api.put(pod("p", "2", on="n1"))
    b.api.put(pod("q", "1", "StatefulSet", on="n2"))
    await b.look()

    def replace_first(request: str) -> None:
        if request.endswith("eviction"):
            b.api.change(Pod, "default/q", lambda item: setattr(item.metadata, "uid", "new"))
            b.api.change(Pod, "default/q", lambda item: setattr(item.spec, "nodeName", "n1"))
            raise Conflict("the UID in the precondition (q) does not match the UID in record (new)")

    b.api.before = replace_first
    await b.looks_after(61)
    assert b.groups.removed == ["n2"]


async def test_a_budget_keeps_a_node(bench: Make) -> None:
    b = bench()
    b.nodes("n1", "n2")
    b.api.put(pod("p", "2", on="n1"))
    b.api.put(pod("q", "1", on="n2", labels={"app": "q"}))
    b.api.put(budget(0, app="q"))
    await b.look()
    assert b.taints("n2") == []

    def other(item: PodDisruptionBudget) -> None:
        item.spec.selector = LabelSelector(matchLabels={"app": "other"})

    b.api.change(PodDisruptionBudget, "default/budget", other)
    await b.look()
    assert b.taints("n2") == [CANDIDATE_TAINT]


async def test_a_cloud_that_fails_to_end_a_machine_is_asked_again_later(bench: Make) -> None:
    b = bench()
    b.nodes("n1", "n2")
    b.api.put(pod("p", "3", on="n1"))
    await b.look()
    b.groups.failing = "not now"
    await b.looks_after(61)
    assert b.reasons()[-1] == "ScaleDownFailed"
    b.groups.failing = ""
    await b.looks_after(1)
    await b.looks_after(61)
    assert b.groups.removed == ["n2"]


async def test_no_node_goes_right_after_one_was_added(bench: Make) -> None:
    b = bench()
    b.nodes("n1", "n2")
    b.api.put(pod("full", "4", on="n1"))
    b.api.put(pod("picky", "1", on="n2", nodeSelector={"kubernetes.io/hostname": "n2"}))
    b.api.put(pod("p", "4"))
    await b.look()
    assert b.groups.added == ["workers"]
    await b.api.delete(Pod, "p", "default")
    await b.api.delete(Pod, "picky", "default")
    b.api.deliver()
    await b.look()
    await b.looks_after(29)
    assert b.groups.removed == []


async def test_what_a_killed_autoscaler_left_on_nodes_is_taken_off(bench: Make) -> None:
    b = bench(least=2)
    b.nodes("n1", "n2")
    b.api.put(node("n2", taints=[{"key": TO_BE_DELETED_TAINT, "value": "1", "effect": "NoSchedule"}]))
    await b.look()
    assert b.taints("n2") == []


async def test_a_machine_that_never_becomes_a_node_is_removed(bench: Make) -> None:
    b = bench()
    b.nodes("n1")
    group = b.groups.groups["workers"]
    b.groups.groups["workers"] = replace(group, members=group.members | {"fake://stuck"})
    await b.look()
    await b.looks_after(890)
    assert b.groups.removed == []
    b.groups.failing = "not now"
    await b.looks_after(11)
    assert b.groups.removed == []
    b.groups.failing = ""
    await b.look()
    assert b.groups.removed == []
    await b.looks_after(OPTIONS["scale_down_delay_after_failure"])
    assert b.groups.removed == ["stuck"]
    assert b.events == ["Normal DeleteUnregistered Removed unregistered node fake://stuck"]


async def test_nothing_is_done_while_most_nodes_are_silent(bench: Make) -> None:
    b = bench(least=0, most=20)
    b.nodes(*(f"n{number}" for number in range(8)))
    for number in range(6):
        b.api.put(node(f"n{number}", ready=False))
    b.api.put(pod("p", "4"))
    b.api.put(pod("q", "4", on="n6"))
    b.api.put(pod("r", "4", on="n7"))
    await b.look()
    await b.looks_after(500)
    assert (b.groups.added, b.groups.removed) == ([], [])
    assert b.status()["clusterWide"]["health"]["status"] == "Unhealthy"


# Status


async def test_the_status_has_upstream_s_form(bench: Make) -> None:
    b = bench()
    b.nodes("n1", "n2")
    b.api.put(pod("p", "3", on="n1"))
    b.api.put(pod("q", "3", on="n2"))
    await b.look()
    stamps = {"lastProbeTime": "2023-11-14T22:13:20Z", "lastTransitionTime": "2023-11-14T22:13:20Z"}
    nodes = {"registered": {"total": 2, "ready": 2, "notStarted": 0}, "longUnregistered": 0, "unregistered": 0}
    scale = {
        "scaleUp": {"status": "NoActivity"} | stamps,
        "scaleDown": {"status": "NoCandidates", "candidates": 0} | stamps,
    }
    health = {"status": "Healthy", "nodeCounts": nodes} | stamps
    assert b.status() == {
        "time": "2023-11-14T22:13:20Z",
        "autoscalerStatus": "Running",
        "clusterWide": {"health": health} | scale,
        "nodeGroups": [
            {"name": "workers", "health": health | {"cloudProviderTarget": 2, "minSize": 1, "maxSize": 4}} | scale
        ],
    }
    writes = len(b.api.requests)
    await b.looks_after(10)
    assert len(b.api.requests) == writes
    await b.looks_after(60)
    assert len(b.api.requests) > writes
    assert b.status()["clusterWide"]["health"]["lastTransitionTime"] == stamps["lastTransitionTime"]
