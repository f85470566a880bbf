"""Which groups would help which pods, and which of them grows."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.times import format_time
from cluster_autoscaler.expanders._expander import choose, expanders
from cluster_autoscaler.scaleup import Option, ScaleUpPlan, plan_scale_up, taking_pods, unschedulable
from kubeapi.core.node import TO_BE_DELETED_TAINT, Node
from kubeapi.core.pod.model import Pod
from tests.kits.control_plane.autoscaler import NOW, node, pod, rules, state


def plan(nodes: list[Node], pods: list[Pod], *states: Any) -> ScaleUpPlan:
    return plan_scale_up(rules(), taking_pods(nodes, states), pods, unschedulable(pods, -10), states)


def shown(result: ScaleUpPlan) -> dict[str, tuple[int, int]]:
    """Group -> machines, pods helped."""
    return {option.state.name: (option.count, len(option.pods)) for option in result.options}


# Which pods count


@pytest.mark.parametrize(
    "item",
    [
        pod(on="n1"),
        pod("p", "1", "DaemonSet"),
        pod(deleted=True),
        pod(priority=-11),
        pod(status={"nominatedNodeName": "n1"}),
        pod(status={"conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}),
        pod(status={"conditions": []}),
    ],
)
def test_only_pods_that_the_scheduler_found_no_node_for_count(item: Pod) -> None:
    assert unschedulable([item], -10) == []


def test_the_most_important_pods_come_first() -> None:
    pods = [pod("a"), pod("b", priority=5), pod("c", priority=-10)]
    assert [item.name for item in unschedulable(pods, -10)] == ["b", "a", "c"]


# How many machines


def test_so_many_machines_are_added_as_the_pods_need() -> None:
    nodes = [node("n1")]
    pods = [pod("full", "4", on="n1"), *(pod(f"p{number}", "2") for number in range(5))]
    result = plan(nodes, pods, state(*nodes))
    assert shown(result) == {"workers": (3, 5)}
    assert str(result.options[0]) == "workers 1->4 (max: 5)"
    assert result.options[0].waste == pytest.approx(1 - (1 + 1 + 0.5) / 6)


def test_the_bound_of_the_group_holds() -> None:
    nodes = [node("n1", "1")]
    pods = [pod(f"p{number}", "1", "ReplicaSet") for number in range(9)]
    result = plan(nodes, [pod("full", "1", on="n1"), *pods], state(*nodes, most=3))
    assert shown(result) == {"workers": (2, 2)}
    assert len(result.refused) == 7
    assert set(result.refused.values()) == {"pod didn't trigger scale-up: 1 max node group size reached"}


def test_a_pod_that_fits_somewhere_needs_no_machine() -> None:
    nodes = [node("n1")]
    result = plan(nodes, [pod("p", "2")], state(*nodes))
    assert (shown(result), len(result.waiting), result.refused) == ({}, 1, {})


def test_a_pod_that_no_machine_would_help_is_told_why() -> None:
    nodes = [node("n1")]
    pods = [pod("big", "64"), pod("picky", "1", nodeSelector={"disk": "ssd"})]
    result = plan(nodes, pods, state(*nodes))
    assert result.options == []
    assert result.refused == {
        "default/big": "pod didn't trigger scale-up: 1 Insufficient cpu",
        "default/picky": "pod didn't trigger scale-up: 1 node(s) didn't match Pod's node affinity/selector",
    }
    assert plan(nodes, pods).refused["default/big"] == "pod didn't trigger scale-up"


def test_reasons_are_counted_over_the_groups() -> None:
    full, other = node("n1", "1"), node("n2", "1", labels={"pool": "b"})
    busy = [pod("x", "1", on="n1"), pod("y", "1", on="n2")]
    states = [state(full, most=1), state(other, name="b", backed_off=True)]
    result = plan([full, other], [*busy, pod("p", "1")], *states)
    assert result.refused == {
        "default/p": "pod didn't trigger scale-up: 1 in backoff after failed scale-up, 1 max node group size reached"
    }


# What a new machine is like


def test_a_group_without_nodes_has_the_cloud_s_template() -> None:
    result = plan([], [pod("p", "8")], state(fallback=node("t", "16"), least=0))
    assert shown(result) == {"workers": (1, 1)}


def test_a_new_machine_is_like_the_group_s_others_without_what_passes() -> None:
    taints = [
        {"key": "dedicated", "value": "x", "effect": "NoSchedule"},
        {"key": "node.kubernetes.io/memory-pressure", "effect": "NoSchedule"},
        {"key": "DeletionCandidateOfClusterAutoscaler", "effect": "PreferNoSchedule"},
    ]
    sample = node("n1", labels={"pool": "a"}, taints=taints, unschedulable=True)
    template = state(sample).template.instance(7).node
    assert [taint.key for taint in template.spec.taints or ()] == ["dedicated"]
    assert template.spec.unschedulable is None
    assert template.labels == {"pool": "a", "kubernetes.io/hostname": template.name}
    tolerant = pod("p", "1", tolerations=[{"key": "dedicated", "operator": "Exists"}], nodeSelector={"pool": "a"})
    assert shown(plan([sample], [tolerant, pod("q")], state(sample))) == {"workers": (1, 1)}


def test_a_new_machine_comes_with_the_pods_of_its_daemons() -> None:
    nodes = [node("n1")]
    daemon = pod("agent", "2", "DaemonSet", on="n1")
    pods = [daemon, pod("full", "2", on="n1")]
    with_daemon = plan(nodes, [*pods, *(pod(f"p{n}", "2") for n in range(2))], state(*nodes, pods=tuple(pods)))
    assert shown(with_daemon) == {"workers": (2, 2)}
    too_big = plan(nodes, [*pods, pod("p", "3")], state(*nodes, pods=tuple(pods)))
    assert too_big.refused == {"default/p": "pod didn't trigger scale-up: 1 Insufficient cpu"}


def test_the_scheduler_s_other_filters_count_too() -> None:
    """With anti-affinity between hosts each pod needs a machine of its own."""
    term = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    nodes = [node("n1")]
    pods = [pod("a", on="n1", labels={"app": "web"})]
    pods += [pod(f"p{number}", labels={"app": "web"}, affinity=affinity) for number in range(3)]
    assert shown(plan(nodes, pods, state(*nodes))) == {"workers": (3, 3)}


# Machines on their way


def test_machines_on_their_way_are_counted_on() -> None:
    nodes = [node("n1")]
    pods = [pod("full", "4", on="n1"), pod("p", "4"), pod("q", "4")]
    asked = state(*nodes, goal=2)
    assert (asked.upcoming, asked.target) == (1, 2)
    assert shown(plan(nodes, pods, asked)) == {"workers": (1, 1)}
    made = state(*nodes, goal=2, members=("n2",))
    assert (made.upcoming, made.target) == (1, 2)
    starting = node("n2", ready=False)
    starting.metadata.creationTimestamp = format_time(NOW - 10)
    registered = state(*nodes, starting, goal=2)
    assert (registered.upcoming, registered.target) == (1, 2)
    assert shown(plan([*nodes, starting], pods, registered)) == {"workers": (1, 1)}
    ready = state(*nodes, node("n2"), goal=2)
    assert (ready.upcoming, ready.target) == (0, 2)


def test_a_node_that_is_not_initialised_is_still_on_its_way() -> None:
    taint = {"key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule"}
    fresh = node("n1", taints=[taint])
    fresh.metadata.creationTimestamp = format_time(NOW - 1)
    result = plan([fresh], [pod("p", "4")], state(fresh))
    assert (shown(result), len(result.waiting)) == ({}, 1)


def test_a_machine_that_takes_too_long_is_not_counted_on() -> None:
    old = node("n1", ready=False)
    old.metadata.creationTimestamp = format_time(NOW - 1000)
    group = state(old, members=("n2",), waited={"fake://n2": 1000.0})
    assert (group.upcoming, group.late) == (0, ["fake://n2"])
    assert shown(plan([old], [pod("p", "4")], group)) == {"workers": (1, 1)}


def test_nothing_is_put_on_a_node_that_is_about_to_go() -> None:
    going = node("n1", taints=[{"key": TO_BE_DELETED_TAINT, "effect": "NoSchedule"}])
    assert shown(plan([going], [pod("p")], state(going))) == {"workers": (1, 1)}


# Expanders


def option(name: str, pods: int, waste: float) -> Option:
    return Option(state(name=name), 1, [pod() for _ in range(pods)], waste)


OPTIONS = [option("small", 2, 0.1), option("large", 5, 0.4), option("spot", 5, 0.3)]
PRIORITIES = "10: [.*]\n50: ['^spot', nothing]\n"


@pytest.mark.parametrize(
    ("chain", "priorities", "chosen"),
    [
        (["least-waste"], "", {"small"}),
        (["most-pods"], "", {"large", "spot"}),
        (["most-pods", "least-waste"], "", {"spot"}),
        (["priority"], PRIORITIES, {"spot"}),
        (["priority"], "10: [small]", {"small"}),
        (["priority", "least-waste"], "10: [none]", {"small"}),
        (["priority", "least-waste"], "nonsense", {"small"}),
        (["priority", "least-waste"], "10: ['(']", {"small"}),
        (["priority", "least-waste"], "10: rg", {"small"}),
        (["random"], "", {"small", "large", "spot"}),
    ],
)
def test_expanders_choose_in_turn(chain: list[str], priorities: str, chosen: set[str]) -> None:
    known = expanders()
    found = {choose(OPTIONS, [known[name] for name in chain], priorities).state.name for _ in range(60)}
    assert found == chosen
