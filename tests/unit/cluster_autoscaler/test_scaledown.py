"""Which nodes are unneeded, and which pods keep theirs."""

from __future__ import annotations

from typing import Any

import pytest

from cluster_autoscaler.drainability import Blocked, DrainRules, pods_to_move
from cluster_autoscaler.scaledown import Limits, ScaleDownPlan, plan_scale_down
from kubeapi.core.node import TO_BE_DELETED_TAINT, Node
from kubeapi.core.pod.model import Pod
from tests.kits.control_plane.autoscaler import budget, node, pod, rules, state

LIMITS = Limits(0.5, DrainRules())
DISK = {"name": "data", "emptyDir": {}}
MEMORY = {"name": "data", "emptyDir": {"medium": "Memory"}}
HOST = {"name": "data", "hostPath": {"path": "/x"}}
CLAIM = {"name": "data", "persistentVolumeClaim": {"claimName": "c"}}
SAFE, UNSAFE = ({"cluster-autoscaler.kubernetes.io/safe-to-evict": text} for text in ("true", "false"))
SAFE_VOLUME = {"cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes": "other, data"}


def plan(nodes: list[Node], pods: list[Pod], *, unneeded: dict[str, float] | None = None, **more: Any) -> ScaleDownPlan:
    budgets = more.pop("budgets", [])
    group = state(*nodes, **more)
    return plan_scale_down(rules(), nodes, pods, budgets, [group], LIMITS, unneeded or {})


def names(result: ScaleDownPlan) -> list[str]:
    return [item.node.name for item in result.removals]


# Pods


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (pod(on="n"), ""),
        (pod("p", "1", "StatefulSet", on="n", volumes=[CLAIM]), ""),
        (pod("p", "1", "Job", on="n", volumes=[MEMORY]), ""),
        (pod("p", "1", "", on="n"), "NotReplicated"),
        (pod("p", "1", "Widget", on="n"), "NotReplicated"),
        (pod("p", "1", "", on="n", annotations=SAFE), ""),
        (pod(on="n", annotations=UNSAFE), "NotSafeToEvictAnnotation"),
        (pod(on="n", volumes=[DISK]), "LocalStorageRequested"),
        (pod(on="n", volumes=[HOST]), "LocalStorageRequested"),
        (pod(on="n", volumes=[DISK], annotations=SAFE_VOLUME), ""),
        (pod(on="n", volumes=[DISK], annotations=SAFE), ""),
        (pod(on="n", namespace="kube-system"), "UnmovableKubeSystemPod"),
        (pod(on="n", namespace="kube-system", annotations=SAFE), ""),
    ],
)
def test_some_pods_keep_their_node(item: Pod, reason: str) -> None:
    found = pods_to_move([item], [], LIMITS.rules)
    assert found == (Blocked(item.key, reason) if reason else [item])


def test_pods_of_the_node_and_pods_that_end_anyway_need_not_move() -> None:
    mirror = pod("m", "1", "", on="n", annotations={"kubernetes.io/config.mirror": "x"})
    leaving = pod("l", "1", "", on="n", deleted=True)
    ended = pod("e", "1", "", on="n", status={"phase": "Succeeded"})
    assert pods_to_move([pod("d", "1", "DaemonSet", on="n"), mirror, leaving, ended], [], LIMITS.rules) == []


def test_rules_can_be_switched_off() -> None:
    loose = DrainRules(local_storage=False, system_pods=False, custom_controllers=False)
    pods = [pod("p", "1", "Widget", on="n", volumes=[DISK], namespace="kube-system")]
    assert pods_to_move(pods, [], loose) == pods
    assert pods_to_move([pod("p", "1", "", on="n")], [], loose) == Blocked("default/p", "NotReplicated")


def test_budgets_count_all_pods_that_would_go_together() -> None:
    pods = [pod("a", on="n", labels={"app": "web"}), pod("b", on="n", labels={"app": "web"})]
    other = [budget(0, app="other"), budget(0, "elsewhere", app="web")]
    assert pods_to_move(pods, [*other, budget(2, app="web")], LIMITS.rules) == pods
    assert pods_to_move(pods, [budget(1, app="web")], LIMITS.rules) == Blocked("default/b", "NotEnoughPdb")
    assert pods_to_move(pods, [budget(0, app="web")], LIMITS.rules) == Blocked("default/a", "NotEnoughPdb")


def test_a_budget_makes_a_system_pod_movable() -> None:
    item = pod(on="n", namespace="kube-system", labels={"app": "dns"})
    assert pods_to_move([item], [budget(1, "kube-system", app="dns")], LIMITS.rules) == [item]


# Nodes


def test_an_empty_node_is_unneeded() -> None:
    result = plan([node("n1"), node("n2")], [pod("p", "3", on="n1")])
    assert names(result) == ["n2"]
    assert result.blocked == {"n1": "NotUnderutilized"}


def test_a_hardly_used_node_is_unneeded_where_its_pods_fit_elsewhere() -> None:
    nodes = [node("n1"), node("n2")]
    assert names(plan(nodes, [pod("a", "2", on="n1"), pod("b", "1", on="n2")])) == ["n2"]
    full = plan(nodes, [pod("a", "3500m", on="n1"), pod("b", "1", on="n2")])
    assert full.blocked["n2"] == "NoPlaceToMovePods: default/b"


def test_a_node_that_takes_the_pods_of_another_stays() -> None:
    pods = [pod("a", "1", on="n1"), pod("b", "1", on="n2")]
    result = plan([node("n1"), node("n2")], pods)
    assert len(result.removals) == 1
    assert list(result.blocked.values()) == ["it takes the pods of another"]


def test_nodes_that_all_may_go_have_room_elsewhere_for_the_pods_of_all() -> None:
    nodes = [node(name) for name in ("n1", "n2", "n3", "n4")]
    pods = [pod("big", "3", on="n1"), *(pod(name, "1", on=name) for name in ("n2", "n3", "n4"))]
    result = plan(nodes, pods)
    assert len(result.removals) == 2
    kept = {"n2", "n3", "n4"} - set(names(result))
    assert kept
    assert len(kept) == 1


def test_the_longest_unneeded_goes_first() -> None:
    pods = [pod("a", "1", on="n1"), pod("b", "1", on="n2")]
    assert names(plan([node("n1"), node("n2")], pods, unneeded={"n2": 5.0})) == ["n2"]
    assert names(plan([node("n1"), node("n2")], pods, unneeded={"n1": 5.0, "n2": 6.0})) == ["n1"]


def test_of_equal_nodes_the_youngest_goes_first() -> None:
    old, young = node("n1"), node("n2")
    old.metadata.creationTimestamp, young.metadata.creationTimestamp = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
    assert names(plan([old, young], [], least=1)) == ["n2"]


def test_the_group_keeps_its_minimum() -> None:
    result = plan([node("n1"), node("n2"), node("n3")], [], least=2)
    assert len(result.removals) == 1
    assert set(result.blocked.values()) == {"NodeGroupMinSizeReached"}


@pytest.mark.parametrize(
    ("idle", "reason"),
    [
        (
            node("n2", annotations={"cluster-autoscaler.kubernetes.io/scale-down-disabled": "true"}),
            "ScaleDownDisabledAnnotation",
        ),
        (node("n2", taints=[{"key": TO_BE_DELETED_TAINT, "effect": "NoSchedule"}]), "CurrentlyBeingDeleted"),
    ],
)
def test_some_nodes_stay(idle: Node, reason: str) -> None:
    assert plan([node("n1"), idle], [pod("p", "3", on="n1")]).blocked["n2"] == reason


def test_a_node_of_no_group_stays_and_takes_pods() -> None:
    own, foreign = node("n1"), node("other")
    result = plan_scale_down(rules(), [own, foreign], [pod("p", "1", on="n1")], [], [state(own)], LIMITS, {})
    assert names(result) == ["n1"]
    assert result.blocked == {}


def test_a_node_that_is_not_ready_may_go_however_much_it_was_used() -> None:
    dead = node("n2", ready=False, taints=[{"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"}])
    result = plan([node("n1", "8"), dead], [pod("p", "3", on="n2"), pod("q", "5", on="n1")])
    assert [(item.node.name, item.ready) for item in result.removals] == [("n2", False)]


def test_pods_that_must_stay_together_with_something_keep_their_node() -> None:
    picky = pod("p", "1", on="n2", nodeSelector={"kubernetes.io/hostname": "n2"})
    assert (
        plan([node("n1"), node("n2")], [picky, pod("q", "3", on="n1")]).blocked["n2"] == "NoPlaceToMovePods: default/p"
    )
