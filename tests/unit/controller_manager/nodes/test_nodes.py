"""Nodes that fall silent: status, taints, eviction rates; and how long pods tolerate taints."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.conditions import get_condition
from apimachinery.meta import ObjectMeta
from apimachinery.times import format_time
from controller_manager.controllers.nodes._evictiontime import NEVER, eviction_time
from controller_manager.controllers.nodes._nodehealth import (
    NO_EXECUTE,
    NO_SCHEDULE,
    NOT_READY,
    UNREACHABLE,
    EvictionLimits,
    conditions_after_silence,
    eviction_rates,
    updated_taints,
)
from controller_manager.controllers.nodes.nodelifecycle import CONTROLLER as LIFECYCLE
from controller_manager.controllers.nodes.tainteviction import CONTROLLER as EVICTION
from kubeapi.coordination.lease import Lease, LeaseSpec
from kubeapi.core.node import Node, NodeCondition, NodeSpec, NodeStatus
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.scheduling.affinity import Taint, Toleration
from kubeapi.core.pod.scheduling.tolerations import TaintKey, tolerates
from kubeapi.core.pod.spec import Container, PodSpec
from kubeapi.core.pod.status import PodCondition, PodStatus
from tests.fakes.api import FakeApi, Running, settle
from tests.fakes.clock import FakeClock

NOW = 1_700_000_000.0
LIMITS = EvictionLimits(rate=0.1, secondary_rate=0.01, unhealthy_part=0.55, large_cluster=50)
OPTIONS: dict[str, Any] = {
    "node_monitor_period": 5.0,
    "node_monitor_grace_period": 50.0,
    "node_startup_grace_period": 60.0,
    "node_eviction_rate": 0.1,
    "secondary_node_eviction_rate": 0.01,
    "unhealthy_zone_threshold": 0.55,
    "large_cluster_size_threshold": 50,
}


def node(name: str = "n1", ready: str = "True", *taints: Taint, zone: str = "", **conditions: str) -> Node:
    reported = {"MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False"} | conditions
    if ready:
        reported["Ready"] = ready
    stamp = format_time(NOW - 100)
    return Node(
        metadata=ObjectMeta(name=name, creationTimestamp=stamp, labels={"topology.kubernetes.io/zone": zone}),
        spec=NodeSpec(taints=list(taints) or None),
        status=NodeStatus(
            conditions=[
                NodeCondition(type=kind, status=status, lastTransitionTime=stamp, lastHeartbeatTime=stamp)
                for kind, status in reported.items()
            ]
        ),
    )


def taints_of(taints: list[Taint] | None) -> set[tuple[str, str]] | None:
    return None if taints is None else {(taint.key.rpartition("/")[2], taint.effect) for taint in taints}


# Conditions


def test_silence_makes_what_only_the_kubelet_knows_unknown() -> None:
    conditions = conditions_after_silence(node(NetworkUnavailable="False"), NOW)
    assert conditions is not None
    assert {each.type: each.status for each in conditions} == {
        "Ready": "Unknown", "MemoryPressure": "Unknown", "DiskPressure": "Unknown", "PIDPressure": "Unknown",
        "NetworkUnavailable": "False",
    }  # fmt: skip
    ready = get_condition(conditions, "Ready")
    assert ready is not None
    assert (ready.reason, ready.lastTransitionTime) == ("NodeStatusUnknown", format_time(NOW))
    assert ready.lastHeartbeatTime == format_time(NOW - 100)


def test_a_node_that_never_reported_gets_its_conditions() -> None:
    never = Node(metadata=ObjectMeta(name="n"))
    conditions = conditions_after_silence(never, NOW)
    assert {each.reason for each in conditions or ()} == {"NodeStatusNeverUpdated"}
    never.status.conditions = conditions
    assert conditions_after_silence(never, NOW) is None


# Taints


@pytest.mark.parametrize(
    ("subject", "evicting", "expected"),
    [
        (node(), "", None),
        (node(ready="False"), "", {("not-ready", NO_SCHEDULE)}),
        (node(ready="Unknown"), UNREACHABLE, {("unreachable", NO_SCHEDULE), ("unreachable", NO_EXECUTE)}),
        (node(MemoryPressure="True"), "", {("memory-pressure", NO_SCHEDULE)}),
        (node("n", "True", Taint(key=NOT_READY, effect=NO_SCHEDULE)), "", set()),
        (node("n", "", Taint(key=NOT_READY, effect=NO_SCHEDULE)), "", None),
        (
            node("n", "Unknown", Taint(key=NOT_READY, effect=NO_SCHEDULE), Taint(key=NOT_READY, effect=NO_EXECUTE)),
            UNREACHABLE,
            {("unreachable", NO_SCHEDULE), ("unreachable", NO_EXECUTE)},
        ),
        (node("n", "True", Taint(key="mine", effect=NO_EXECUTE)), "", None),
    ],
)
def test_taints_follow_conditions(subject: Node, evicting: str, expected: set[tuple[str, str]] | None) -> None:
    assert taints_of(updated_taints(subject, evicting=evicting, now=NOW)) == expected


def test_a_cordoned_node_is_tainted_and_foreign_taints_stay() -> None:
    cordoned = node("n", "True", Taint(key="mine", value="x", effect=NO_SCHEDULE))
    cordoned.spec.unschedulable = True
    taints = updated_taints(cordoned, evicting="", now=NOW)
    assert taints_of(taints) == {("mine", NO_SCHEDULE), ("unschedulable", NO_SCHEDULE)}
    cordoned.spec.taints, cordoned.spec.unschedulable = taints, None
    assert taints_of(updated_taints(cordoned, evicting="", now=NOW)) == {("mine", NO_SCHEDULE)}


def test_a_taint_that_stays_keeps_its_time() -> None:
    old = Taint(key=UNREACHABLE, effect=NO_EXECUTE, timeAdded=format_time(NOW - 500))
    taints = updated_taints(node("n", "Unknown", old), evicting=UNREACHABLE, now=NOW)
    assert taints is not None
    assert old in taints


# Eviction rates


@pytest.mark.parametrize(
    ("ready", "unready", "rate"),
    [(2, 0, 0.1), (1, 1, 0.1), (0, 2, 0.0), (1, 2, 0.1), (2, 3, 0.0), (40, 60, 0.01), (60, 40, 0.1)],
)
def test_the_more_nodes_seem_dead_the_fewer_are_evicted(ready: int, unready: int, rate: float) -> None:
    nodes = [node(f"r{n}") for n in range(ready)] + [node(f"u{n}", "Unknown") for n in range(unready)]
    assert set(eviction_rates(nodes, LIMITS).values()) == {rate}


def test_a_zone_that_is_down_is_evicted_as_long_as_another_is_up() -> None:
    nodes = [node("a", "Unknown", zone="a"), node("b", zone="b")]
    assert set(eviction_rates(nodes, LIMITS).values()) == {0.1}
    nodes[1] = node("b", "Unknown", zone="b")
    assert set(eviction_rates(nodes, LIMITS).values()) == {0.0}


# Tolerations


TAINT = TaintKey("k", "v", NO_EXECUTE)


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        (Toleration(key="k", operator="Equal", value="v", effect=NO_EXECUTE), True),
        (Toleration(key="k", value="v"), True),
        (Toleration(key="k", operator="Exists"), True),
        (Toleration(operator="Exists"), True),
        (Toleration(key="k", value="other"), False),
        (Toleration(key="other", operator="Exists"), False),
        (Toleration(key="k", operator="Exists", effect=NO_SCHEDULE), False),
        (Toleration(key="k", operator="Lt", value="3"), False),
    ],
)
def test_what_a_toleration_tolerates(toleration: Toleration, expected: bool) -> None:
    assert tolerates(toleration, TAINT) is expected


def tolerating(seconds: int | None) -> Toleration:
    return Toleration(key="k", operator="Exists", tolerationSeconds=seconds)


@pytest.mark.parametrize(
    ("tolerations", "expected"),
    [
        ([], NOW),
        ([tolerating(None)], NEVER),
        ([tolerating(300)], NOW + 290),
        ([tolerating(300), tolerating(60)], NOW + 50),
        ([tolerating(0)], NOW - 10),
        ([tolerating(-5)], NOW - 10),
        ([tolerating(None), tolerating(60)], NOW + 50),
    ],
)
def test_when_a_pod_must_go(tolerations: list[Toleration], expected: float) -> None:
    assert eviction_time(tolerations, {TAINT: NOW - 10}, NOW - 500, NOW) == expected


def test_a_toleration_of_a_pod_that_comes_to_a_tainted_node_runs_from_then() -> None:
    assert eviction_time([tolerating(60)], {TAINT: NOW - 500}, NOW - 20, NOW) == NOW + 40


def test_without_taints_a_pod_stays() -> None:
    assert eviction_time([], {}, NOW - 500, NOW) == NEVER


# The control loops


def pod(name: str, node_name: str, *tolerations: Toleration) -> Pod:
    ready = PodCondition(type="Ready", status="True", lastTransitionTime=format_time(NOW))
    return Pod(
        metadata=ObjectMeta(name=name, namespace="default", labels={}),
        spec=PodSpec(
            nodeName=node_name, containers=[Container(name="c", image="i")], tolerations=list(tolerations) or None
        ),
        status=PodStatus(phase="Running", conditions=[ready]),
    )


class Cluster:
    """Two nodes with Leases, on a clock that the test moves."""

    def __init__(self, *nodes: Node) -> None:
        self.clock = FakeClock(NOW)
        self.api = FakeApi(self.clock)
        for each in nodes:
            self.api.put(each)
            self.renew(each.name)
        self.lifecycle = Running(self.api, LIFECYCLE, **OPTIONS)
        self.eviction = Running(self.api, EVICTION)

    def renew(self, name: str) -> None:
        key = f"kube-node-lease/{name}"
        stamp = format_time(self.clock.now())
        if key not in self.api.objects.get("leases", {}):
            lease = Lease(metadata=ObjectMeta(name=name, namespace="kube-node-lease"), spec=LeaseSpec(renewTime=stamp))
            self.api.put(lease)
        else:
            self.api.change(Lease, key, lambda lease: setattr(lease.spec, "renewTime", stamp))

    async def wait(self, seconds: float, *alive: str) -> None:
        """Lets time pass, in which these nodes renew their Leases."""
        for _ in range(int(seconds // 5)):
            self.clock.step(5)
            for name in alive:
                self.renew(name)
            self.api.deliver()
            for each in self.api.all(Node):
                self.lifecycle.queue.add(each.name)
            for each in self.api.all(Pod):
                self.eviction.queue.add(each.key)
            await settle(self.api, self.lifecycle, self.eviction)

    def taints(self, name: str) -> set[tuple[str, str]] | None:
        return taints_of(self.api.find(Node, name).spec.taints)

    def ready(self, name: str) -> str:
        condition = get_condition(self.api.find(Node, name).status.conditions, "Ready")
        return condition.status if condition is not None else ""


async def test_a_silent_node_is_declared_unknown_tainted_and_its_pods_not_ready() -> None:
    cluster = Cluster(node("n1"), node("n2"))
    cluster.api.put(pod("p", "n1", Toleration(key=UNREACHABLE, operator="Exists", tolerationSeconds=300)))
    await cluster.wait(50, "n1", "n2")
    await cluster.wait(45, "n2")
    assert cluster.ready("n1") == "True"
    await cluster.wait(15, "n2")
    assert (cluster.ready("n1"), cluster.ready("n2")) == ("Unknown", "True")
    assert cluster.taints("n1") == {("unreachable", NO_SCHEDULE), ("unreachable", NO_EXECUTE)}
    assert cluster.api.find(Pod, "default/p").status.conditions[0].status == "False"
    await cluster.wait(280, "n2")
    assert len(cluster.api.all(Pod)) == 1
    await cluster.wait(30, "n2")
    assert cluster.api.all(Pod) == []
    assert any("TaintManagerEviction" in event for event in cluster.eviction.recorder.events)


async def test_a_node_that_comes_back_loses_its_taints() -> None:
    cluster = Cluster(node("n1"), node("n2"))
    cluster.api.put(pod("p", "n1", Toleration(key=UNREACHABLE, operator="Exists", tolerationSeconds=300)))
    await cluster.wait(120, "n2")
    assert cluster.ready("n1") == "Unknown"
    back = node("n1")
    for condition in back.status.conditions or ():
        condition.lastHeartbeatTime = format_time(cluster.clock.now())
    cluster.api.change(Node, "n1", lambda each: setattr(each, "status", back.status))
    await cluster.wait(600, "n1", "n2")
    assert cluster.taints("n1") is None
    assert len(cluster.api.all(Pod)) == 1


async def test_when_all_nodes_are_silent_nothing_is_evicted() -> None:
    cluster = Cluster(node("n1"), node("n2"))
    cluster.api.put(pod("p", "n1"))
    await cluster.wait(600)
    assert (cluster.ready("n1"), cluster.ready("n2")) == ("Unknown", "Unknown")
    assert cluster.taints("n1") == {("unreachable", NO_SCHEDULE)}
    assert len(cluster.api.all(Pod)) == 1


async def test_nodes_are_evicted_one_after_the_other() -> None:
    cluster = Cluster(*(node(f"n{n}") for n in range(5)))
    await cluster.wait(60, "n2", "n3", "n4")
    evicting = [name for name in ("n0", "n1") if ("unreachable", NO_EXECUTE) in (cluster.taints(name) or ())]
    assert len(evicting) == 1
    await cluster.wait(10, "n2", "n3", "n4")
    assert ("unreachable", NO_EXECUTE) in (cluster.taints("n0") or ())
    assert ("unreachable", NO_EXECUTE) in (cluster.taints("n1") or ())


async def test_a_pod_that_tolerates_nothing_goes_at_once() -> None:
    cluster = Cluster(node("n1"), node("n2"))
    cluster.api.put(pod("intolerant", "n1"))
    cluster.api.put(pod("tolerant", "n1", Toleration(operator="Exists")))
    cluster.api.change(Node, "n1", lambda each: setattr(each.spec, "taints", [Taint(key="mine", effect=NO_EXECUTE)]))
    await settle(cluster.api, cluster.lifecycle, cluster.eviction)
    assert [each.name for each in cluster.api.all(Pod)] == ["tolerant"]


async def test_a_taint_without_a_time_is_tolerated_from_when_it_was_first_seen() -> None:
    cluster = Cluster(node("n1"), node("n2"))
    cluster.api.put(pod("p", "n1", Toleration(key="mine", operator="Exists", tolerationSeconds=20)))
    cluster.api.change(Node, "n1", lambda each: setattr(each.spec, "taints", [Taint(key="mine", effect=NO_EXECUTE)]))
    await settle(cluster.api, cluster.lifecycle, cluster.eviction)
    await cluster.wait(15, "n1", "n2")
    assert len(cluster.api.all(Pod)) == 1
    await cluster.wait(10, "n1", "n2")
    assert cluster.api.all(Pod) == []
