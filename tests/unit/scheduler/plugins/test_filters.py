"""Which nodes a pod may go to, filter by filter, and what it is told when there are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from scheduler.views.pod import Pod
from tests.kits.control_plane.scheduler import World, node, pod


def maker(**spec: Any) -> Callable[[], Pod]:
    return lambda: pod(**spec)


# resources


def test_a_pod_needs_room_for_all_it_asks_for() -> None:
    world = World(node("small", cpu="1"), node("big", cpu="4"), node("lean", cpu="4", memory="1Gi"))
    assert world.fitting(maker(cpu="2", memory="2Gi")) == {"big"}
    assert world.fitting(maker(cpu="1")) == {"small", "big", "lean"}


def test_room_is_what_other_pods_leave() -> None:
    world = World(node("n1", cpu="2"), node("n2", cpu="2"))
    world.run(pod(cpu="1500m"), "n1")
    assert world.fitting(maker(cpu="1")) == {"n2"}
    assert world.fitting(maker(cpu="500m")) == {"n1", "n2"}


def test_a_pod_that_asks_for_nothing_fits_an_overcommitted_node() -> None:
    world = World(node("n1", cpu="1"))
    world.run(pod(cpu="5"), "n1")
    assert world.fitting(maker()) == {"n1"}


def test_what_is_short_is_counted_by_resource() -> None:
    world = World(node("n1", cpu="1", memory="1Gi"), node("n2", cpu="1"), node("n3", pods="0"))
    assert world.message(pod(cpu="2", memory="2Gi")) == (
        "0/3 nodes are available: 1 Insufficient memory, 1 Too many pods, 2 Insufficient cpu."
    )


def test_extended_resources_and_pod_counts_are_short_too() -> None:
    world = World(node("n1", pods="1"), node("n2", extra={"example.com/gpu": "1"}))
    world.run(pod(), "n1")
    item = pod()
    item.spec.containers[0].resources.requests = {"example.com/gpu": "2"}  # type: ignore[union-attr]
    assert world.message(item) == "0/2 nodes are available: 1 Too many pods, 2 Insufficient example.com/gpu."


def test_ephemeral_storage_counts() -> None:
    world = World(node("n1", extra={"ephemeral-storage": "1Gi"}))
    item = pod()
    item.spec.containers[0].resources.requests = {"ephemeral-storage": "2Gi"}  # type: ignore[union-attr]
    assert world.message(item) == "0/1 nodes are available: 1 Insufficient ephemeral-storage."


def test_no_nodes_at_all() -> None:
    assert World().message(pod()) == "no nodes available to schedule pods"


# unschedulable, name


def test_a_cordoned_node_takes_only_those_who_tolerate_it() -> None:
    world = World(node("n1", unschedulable=True), node("n2"))
    assert world.fitting(maker()) == {"n2"}
    toleration = {"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"}
    assert world.fitting(maker(tolerations=[toleration])) == {"n1", "n2"}


def test_cordoned_nodes_are_named_as_such() -> None:
    world = World(node("n1", unschedulable=True), node("n2", unschedulable=True))
    assert world.message(pod()) == "0/2 nodes are available: 2 node(s) were unschedulable."


def test_a_named_node_is_the_only_one() -> None:
    world = World(node("n1"), node("n2"))
    assert world.fitting(maker(nodeName="n2")) == {"n2"}
    assert world.message(pod(nodeName="n3")) == (
        "0/2 nodes are available: 2 node(s) didn't match the requested node name."
    )


# taints


@pytest.mark.parametrize(
    ("toleration", "fits"),
    [
        ({"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}, True),
        ({"key": "gpu", "value": "yes"}, True),
        ({"key": "gpu", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "gpu", "operator": "Equal", "value": "no", "effect": "NoSchedule"}, False),
        ({"key": "gpu", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "other", "operator": "Exists"}, False),
        ({"key": "gpu", "operator": "Gt", "value": "1"}, False),
    ],
)
def test_a_taint_keeps_out_pods_without_a_toleration(toleration: dict[str, str], fits: bool) -> None:
    world = World(node("n1", taints=["gpu=yes:NoSchedule"]))
    assert world.fitting(maker(tolerations=[toleration])) == ({"n1"} if fits else set())


def test_every_blocking_taint_must_be_tolerated() -> None:
    world = World(node("n1", taints=["a=1:NoSchedule", "b=1:NoExecute", "c=1:PreferNoSchedule"]))
    only_a = {"key": "a", "operator": "Exists"}
    assert world.fitting(maker(tolerations=[only_a])) == set()
    assert world.fitting(maker(tolerations=[only_a, {"key": "b", "operator": "Exists"}])) == {"n1"}


def test_untolerated_taints_are_counted_without_their_values() -> None:
    world = World(node("n1", taints=["a=secret:NoSchedule"]), node("n2", taints=["b=1:NoExecute"]), node("n3", cpu="0"))
    assert world.message(pod(cpu="1")) == (
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint(s)."
    )


# node selector and affinity


def requiring(*terms: dict[str, Any], **spec: Any) -> Callable[[], Pod]:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    return maker(affinity={"nodeAffinity": required}, **spec)


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator, "values": list(values)}


ZONES = (
    node("a", labels={"zone": "a", "cores": "4"}),
    node("b", labels={"zone": "b", "cores": "16"}),
    node("none", labels={"cores": "many"}),
)


@pytest.mark.parametrize(
    ("terms", "fits"),
    [
        ([expression("zone", "In", "a", "x")], {"a"}),
        ([expression("zone", "In", "x")], set()),
        ([expression("zone", "NotIn", "a")], {"b", "none"}),
        ([expression("zone", "Exists")], {"a", "b"}),
        ([expression("zone", "DoesNotExist")], {"none"}),
        ([expression("cores", "Gt", "8")], {"b"}),
        ([expression("cores", "Lt", "8")], {"a"}),
        ([expression("zone", "Exists"), expression("cores", "Gt", "8")], {"b"}),
        ([expression("zone", "Like", "a")], set()),
        ([], set()),
    ],
)
def test_expressions_of_a_term_must_all_hold(terms: list[dict[str, Any]], fits: set[str]) -> None:
    assert World(*ZONES).fitting(requiring({"matchExpressions": terms})) == fits


def test_one_term_is_enough() -> None:
    a, b = ({"matchExpressions": [expression("zone", "In", zone)]} for zone in ("a", "b"))
    assert World(*ZONES).fitting(requiring(a, b)) == {"a", "b"}


def test_the_node_selector_must_hold_as_well() -> None:
    exists = {"matchExpressions": [expression("zone", "Exists")]}
    assert World(*ZONES).fitting(requiring(exists, nodeSelector={"zone": "b"})) == {"b"}
    assert World(*ZONES).fitting(maker(nodeSelector={"zone": "a", "cores": "16"})) == set()


def test_no_match_is_told() -> None:
    assert World(*ZONES).message(pod(nodeSelector={"zone": "x"})) == (
        "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."
    )


def named(*names: str, operator: str = "In") -> dict[str, Any]:
    return {"matchFields": [expression("metadata.name", operator, *names)]}


def test_nodes_may_be_chosen_by_name() -> None:
    world = World(*ZONES)
    assert world.fitting(requiring(named("a"), named("none"))) == {"a", "none"}
    assert world.fitting(requiring(named("a", operator="NotIn"))) == {"b", "none"}
    assert world.fitting(requiring(named("a") | {"matchExpressions": [expression("zone", "In", "b")]})) == set()


def test_other_nodes_than_those_named_are_not_looked_at() -> None:
    world = World(*ZONES)
    assert world.message(requiring(named("gone"))()) == (
        "0/3 nodes are available: 3 node(s) didn't satisfy plugin(s) [NodeAffinity]."
    )
    world.cache.put_node(node("a", cpu="0"))
    assert world.message(requiring(named("a"), cpu="1")()) == (
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]."
    )


def test_contradicting_names_conflict() -> None:
    term = {"matchFields": [expression("metadata.name", "In", "a"), expression("metadata.name", "In", "b")]}
    assert World(*ZONES).message(requiring(term)()) == "0/3 nodes are available: pod affinity terms conflict."


def test_a_named_node_that_comes_later_is_found() -> None:
    world = World(*ZONES)
    make = requiring(named("late"))
    assert world.fitting(make) == set()
    world.cache.put_node(node("late"))
    assert world.fitting(make) == {"late"}


# host ports


def ported(*ports: dict[str, Any]) -> Callable[[], Pod]:
    return maker(ports=list(ports))


def test_a_host_port_is_taken_once() -> None:
    world = World(node("n1"), node("n2"))
    world.run(ported({"hostPort": 80})(), "n1")
    assert world.fitting(ported({"hostPort": 80})) == {"n2"}
    assert world.fitting(ported({"hostPort": 81})) == {"n1", "n2"}
    assert world.fitting(ported({"hostPort": 80, "protocol": "UDP"})) == {"n1", "n2"}
    assert world.fitting(ported({"containerPort": 80})) == {"n1", "n2"}


def test_a_port_of_one_address_collides_with_the_port_of_all() -> None:
    world = World(node("n1"))
    world.run(ported({"hostPort": 80, "hostIP": "10.0.0.1"})(), "n1")
    assert world.fitting(ported({"hostPort": 80, "hostIP": "10.0.0.2"})) == {"n1"}
    assert world.fitting(ported({"hostPort": 80, "hostIP": "10.0.0.1"})) == set()
    assert world.fitting(ported({"hostPort": 80})) == set()
    assert world.fitting(ported({"hostPort": 80, "hostIP": "0.0.0.0"})) == set()


def test_taken_ports_are_told() -> None:
    world = World(node("n1"))
    world.run(ported({"hostPort": 80})(), "n1")
    assert world.message(ported({"hostPort": 80})()) == (
        "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports."
    )


def test_a_sidecars_port_counts_and_an_init_containers_does_not() -> None:
    world = World(node("n1"))
    sidecar = {"ports": [{"hostPort": 80}], "restartPolicy": "Always"}
    world.run(pod(initContainers=[sidecar, {"ports": [{"hostPort": 81}]}]), "n1")
    assert world.fitting(ported({"hostPort": 80})) == set()
    assert world.fitting(ported({"hostPort": 81})) == {"n1"}


# the order of filters


def test_a_node_is_counted_once_for_the_first_filter_that_refuses_it() -> None:
    world = World(node("n1", unschedulable=True, taints=["a=b:NoSchedule"], cpu="0"), node("n2", cpu="0"))
    assert world.message(pod(cpu="1", nodeSelector={"zone": "x"})) == (
        "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) were unschedulable."
    )
