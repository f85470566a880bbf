"""The extension points, who may say what at them, and which events wake a refused pod."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.core.extension_points import Framework
from scheduler.events import (
    ASSIGNED_POD,
    NODE,
    WAITING_POD,
    Change,
    ClusterEvent,
    node_event,
    other_event,
    pod_change,
)
from scheduler.framework import Cycle, Handle, Plugin, PluginSpec, Rejected, Unfit, Wait, collect_plugins
from scheduler.state.cache import SchedulerCache
from scheduler.views.node import Node
from scheduler.views.pod import Pod
from tests.kits.control_plane.scheduler import FakeLister, World, node, pod
from tests.kits.house import recipe

NEEDED = [spec for spec in collect_plugins() if spec.name == "PrioritySort"]


class Recording(Plugin):
    """Notes which points it was called at; refuses at those that `refuses` names."""

    calls: list[str] = []
    refuses: frozenset[str] = frozenset()

    def _at(self, point: str) -> Rejected | None:
        self.calls.append(f"{self.name}.{point}")
        return Rejected(f"{self.name} refused") if point in self.refuses else None

    def reserve(self, cycle: Cycle, node: str) -> Rejected | None:
        return self._at("reserve")

    def unreserve(self, cycle: Cycle, node: str) -> None:
        self._at("unreserve")

    def permit(self, cycle: Cycle, node: str) -> Rejected | Wait | None:
        return self._at("permit") or (Wait(9.0) if "wait" in self.refuses else None)

    async def pre_bind(self, cycle: Cycle, node: str) -> Rejected | None:
        return self._at("pre_bind")

    async def bind(self, cycle: Cycle, node: str) -> bool:
        return self._at("bind") is None

    def post_bind(self, cycle: Cycle, node: str) -> None:
        self._at("post_bind")


def framework(*refusals: str) -> tuple[Framework, list[str]]:
    """Two recording plugins, A and B; "A.permit" makes A refuse at permit."""
    calls: list[str] = []
    specs = list(NEEDED)
    for name in ("A", "B"):
        refuses = frozenset(item.split(".")[1] for item in refusals if item.startswith(name))
        specs.append(PluginSpec(name, type(name, (Recording,), {"calls": calls, "refuses": refuses})))
    return Framework(specs, Handle(SchedulerCache(), FakeLister())), calls


def cycle() -> Cycle:
    item = pod()
    return Cycle(item, SchedulerCache().shapes.of(item))


async def run_bind(which: Framework) -> Rejected | None:
    return await which.run_bind(cycle(), "n1")


async def test_the_binding_points_run_in_order_and_one_plugin_binds() -> None:
    made, calls = framework()
    assert await run_bind(made) is None
    assert calls == ["A.pre_bind", "B.pre_bind", "A.bind", "A.post_bind", "B.post_bind"]


async def test_a_binder_may_leave_it_to_the_next() -> None:
    made, calls = framework("A.bind")
    assert await run_bind(made) is None
    assert calls[2:4] == ["A.bind", "B.bind"]


async def test_somebody_must_bind() -> None:
    assert await run_bind(framework("A.bind", "B.bind")[0]) == Rejected("no plugin bound the pod")


async def test_a_refusal_ends_the_binding() -> None:
    made, calls = framework("A.pre_bind")
    assert await run_bind(made) == Rejected("A refused")
    assert calls[-1] == "A.pre_bind"


def test_plugins_that_let_a_pod_wait_say_how_long() -> None:
    made, _ = framework("B.wait")
    assert made.run_permit(cycle(), "n1") == {"B": 9.0}


def test_a_refused_permit_undoes_the_reservation() -> None:
    made, calls = framework("A.permit")
    assert made.run_permit(cycle(), "n1") == Unfit("0/1 nodes are available: 1 A refused.", frozenset("A"))
    assert calls == ["A.permit", "B.unreserve", "A.unreserve"]


def test_a_refused_reservation_is_undone_everywhere_last_first() -> None:
    made, calls = framework("B.reserve")
    assert made.run_reserve(cycle(), "n1") == Unfit("0/1 nodes are available: 1 B refused.", frozenset("B"))
    assert calls == ["A.reserve", "B.reserve", "B.unreserve", "A.unreserve"]


def test_exactly_one_plugin_sorts_and_one_must_bind() -> None:
    handle = Handle(SchedulerCache(), FakeLister())
    binder = PluginSpec("A", Recording)
    with pytest.raises(ValueError, match="exactly one plugin must sort"):
        Framework([binder], handle)
    with pytest.raises(ValueError, match="exactly one plugin must sort"):
        Framework([binder, *NEEDED, PluginSpec("Other", NEEDED[0].factory)], handle)
    with pytest.raises(ValueError, match="no plugin binds"):
        Framework(NEEDED, handle)


def test_every_plugin_file_is_collected() -> None:
    names = {spec.name for spec in collect_plugins()}
    assert {"NodeResourcesFit", "NodeAffinity", "TaintToleration", "NodePorts", "DefaultBinder"} <= names
    assert not any(name.startswith("_") for name in names)


def test_filters_run_in_the_order_of_upstream() -> None:
    filters = [plugin.name for plugin in World().framework.filter if plugin.filters]
    assert filters == [
        "NodeUnschedulable", "NodeName", "TaintToleration", "NodeAffinity", "NodePorts", "NodeResourcesFit",
        "VolumeRestrictions", "NodeVolumeLimits", "VolumeBinding", "VolumeZone",
        "PodTopologySpread", "InterPodAffinity", "DynamicResources",
    ]  # fmt: skip


def test_gates_keep_a_pod_out() -> None:
    gated = pod(schedulingGates=[{"name": "example.com/a"}, {"name": "example.com/b"}])
    assert World().framework.gate(gated) == (
        "SchedulingGates",
        "waiting for scheduling gates: [example.com/a example.com/b]",
    )
    assert World().framework.gate(pod()) is None


# what changed


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ({}, {}, Change.NONE),
        ({}, {"labels": {"a": "b"}}, Change.LABELS),
        ({}, {"taints": ["a=b:NoSchedule"]}, Change.TAINTS),
        ({"unschedulable": True}, {}, Change.TAINTS),
        ({"unschedulable": False}, {}, Change.NONE),
        ({}, {"cpu": "8"}, Change.ALLOCATABLE),
        ({}, {"images": {"web": 1}}, Change.SPEC),
        ({}, {"cpu": "8", "labels": {"a": "b"}}, Change.ALLOCATABLE | Change.LABELS),
    ],
)
def test_what_changed_of_a_node(before: dict[str, Any], after: dict[str, Any], change: Change) -> None:
    assert node_event(node(**before), node(**after)).change == change


def test_nodes_come_and_go() -> None:
    assert node_event(None, node()).change == Change.ADD
    assert node_event(node(), None).change == Change.DELETE
    assert other_event("Service", None, pod()).change == Change.ADD
    assert other_event("Service", pod(), None).change == Change.DELETE
    assert other_event("Service", pod(), pod(labels={"a": "b"})).change == Change.LABELS
    assert other_event("Service", pod(), pod()).change == Change.SPEC


@pytest.mark.parametrize("generation", [1, None], ids=["counted", "not counted"])
def test_what_changed_of_a_pod(generation: int | None) -> None:
    old = pod(uid="u", generation=generation)
    assert pod_change(old, pod(uid="u", generation=generation)) == Change.NONE
    assert pod_change(old, pod(uid="u", generation=generation, labels={"a": "b"})) == Change.LABELS
    assert pod_change(old, pod(uid="u", generation=generation, deleted=True)) == Change.SPEC
    assert pod_change(old, pod(uid="u", generation=generation and 2, cpu="1")) == Change.SPEC


# hints

NODE_UPDATES = Change.LABELS | Change.TAINTS | Change.ALLOCATABLE


def helps(plugin: str, item: Pod, event: ClusterEvent) -> bool:
    world = World()
    return world.framework.may_help(frozenset((plugin,)), world.cache.shapes.of(item), event)


def node_changed(old: Node | None, new: Node | None) -> ClusterEvent:
    return node_event(old, new)


def pod_gone(item: Pod) -> ClusterEvent:
    return ClusterEvent(ASSIGNED_POD, Change.DELETE, item, None)


def pod_came(item: Pod) -> ClusterEvent:
    return ClusterEvent(ASSIGNED_POD, Change.ADD, None, item)


SPREAD = [
    {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
]


@pytest.mark.parametrize(
    ("plugin", "item", "event", "expected"),
    [
        ("NodeResourcesFit", pod(cpu="2"), node_changed(None, node(cpu="4")), True),
        ("NodeResourcesFit", pod(cpu="2"), node_changed(None, node(cpu="1")), False),
        ("NodeResourcesFit", pod(cpu="2"), node_changed(node(cpu="2"), node(cpu="3")), True),
        ("NodeResourcesFit", pod(cpu="2"), node_changed(node(cpu="3"), node(cpu="2")), False),
        ("NodeResourcesFit", pod(cpu="2"), node_changed(node(memory="1Gi"), node(memory="2Gi")), False),
        ("NodeResourcesFit", pod(cpu="2"), node_changed(node(), node(labels={"a": "b"})), False),
        ("NodeResourcesFit", pod(cpu="2"), pod_gone(pod(cpu="1")), True),
        ("NodeResourcesFit", pod(cpu="2"), pod_came(pod(cpu="1")), False),
        ("NodeAffinity", pod(nodeSelector={"a": "b"}), node_changed(node(), node(labels={"a": "b"})), True),
        ("NodeAffinity", pod(nodeSelector={"a": "b"}), pod_gone(pod()), False),
        ("TaintToleration", pod(), node_changed(node(taints=["a=b:NoSchedule"]), node()), True),
        ("TaintToleration", pod(), node_changed(None, node(taints=["a=b:NoSchedule"])), False),
        ("NodeUnschedulable", pod(), node_changed(node(unschedulable=True), node()), True),
        ("NodeUnschedulable", pod(), node_changed(node(), node(unschedulable=True)), False),
        ("NodePorts", pod(ports=[{"hostPort": 80}]), pod_gone(pod(ports=[{"hostPort": 80}])), True),
        ("NodePorts", pod(ports=[{"hostPort": 80}]), pod_gone(pod(ports=[{"hostPort": 81}])), False),
        ("NodePorts", pod(ports=[{"hostPort": 80}]), pod_gone(pod()), False),
        ("PodTopologySpread", pod(topologySpreadConstraints=SPREAD), pod_gone(pod(labels={"app": "web"})), True),
        ("PodTopologySpread", pod(topologySpreadConstraints=SPREAD), pod_came(pod(labels={"app": "db"})), False),
        ("InterPodAffinity", pod(), pod_came(pod()), True),
        ("SchedulingGates", pod(), pod_gone(pod()), False),
        ("NodeName", pod(nodeName="n1"), node_changed(None, node()), True),
        ("TaintToleration", pod(), ClusterEvent(WAITING_POD, Change.SPEC), True),
        ("NodeAffinity", pod(), ClusterEvent(WAITING_POD, Change.LABELS), False),
        ("NodeAffinity", pod(), other_event("Service", None, pod()), False),
    ],
)
def test_events_wake_only_pods_that_they_may_help(plugin: str, item: Pod, event: ClusterEvent, expected: bool) -> None:
    assert helps(plugin, item, event) is expected


def test_one_plugin_that_is_helped_is_enough_to_try_again() -> None:
    world = World()
    shape = world.cache.shapes.of(pod(cpu="2"))
    plugins = frozenset(("NodeAffinity", "NodeResourcesFit"))
    assert world.framework.may_help(plugins, shape, pod_gone(pod()))


def test_a_pod_that_found_no_node_at_all_waits_for_one() -> None:
    world = World()
    shape = world.cache.shapes.of(pod())
    assert world.framework.may_help(frozenset(), shape, ClusterEvent(NODE, Change.ADD))
    assert not world.framework.may_help(frozenset(), shape, pod_gone(pod()))


def test_the_recipe_for_a_plugin_works() -> None:
    module: dict[str, Any] = {}
    exec(recipe("A new scheduler plugin"), module)
    pool = {"example.com/pool": "a"}
    nodes = [node("in", labels=pool), node("full", labels=pool, pods="1"), node("out")]
    world = World(*nodes, specs=[*collect_plugins(), module["PLUGIN"]])
    world.run(pod(), "full")
    assert world.fitting(lambda: pod(labels=pool)) == {"in"}
    assert world.fitting(pod) == {"in", "out"}
    assert world.scores("NodePool", pod()) == {"in": 100, "full": 0, "out": 100}
    assert world.message(pod(labels={"example.com/pool": "b"})) == (
        "0/3 nodes are available: 3 node(s) were of another pool."
    )
