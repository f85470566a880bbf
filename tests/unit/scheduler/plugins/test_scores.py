"""Which of the nodes that fit is preferred."""

from __future__ import annotations

from collections import Counter
from typing import Any

from apimachinery.model import from_dict
from scheduler.views.replicaset import ReplicaSet
from scheduler.views.service import Service
from tests.kits.control_plane.scheduler import World, node, pod

GIB = 2**30


def test_the_emptier_node_is_preferred() -> None:
    world = World(node("n1", cpu="4", memory="4Gi"), node("n2", cpu="4", memory="4Gi"))
    world.run(pod(cpu="2", memory="2Gi"), "n1")
    # cpu: 4 - 2 - 1 = 25 %, 4 - 1 = 75 %; the same for memory
    assert world.scores("NodeResourcesFit", pod(cpu="1", memory="1Gi")) == {"n1": 25, "n2": 75}
    assert world.place(pod(cpu="1", memory="1Gi")) == "n2"


def test_pods_that_ask_for_nothing_are_spread_as_well() -> None:
    world = World(*(node(f"n{number}") for number in range(4)))
    assert Counter(world.place(pod()) for _ in range(8)) == {f"n{number}": 2 for number in range(4)}


def test_an_overfull_or_unknown_resource_scores_nothing() -> None:
    world = World(node("n1", cpu="1", memory="0"))
    world.run(pod(cpu="5"), "n1")
    assert world.scores("NodeResourcesFit", pod(cpu="1")) == {"n1": 0}


def test_balance_prefers_equal_use_of_cpu_and_memory() -> None:
    world = World(node("n1", cpu="10", memory="10Gi"), node("n2", cpu="10", memory="10Gi"))
    world.run(pod(cpu="4"), "n1")
    # n1: (0.5, 0.5) is even; n2: (0.1, 0.5) deviates by 0.2
    assert world.scores("NodeResourcesBalancedAllocation", pod(cpu="1", memory="5Gi")) == {"n1": 100, "n2": 80}
    assert world.scores("NodeResourcesBalancedAllocation", pod()) == {}


def test_preferred_affinity_adds_up_weights() -> None:
    world = World(node("n1", labels={"disk": "ssd", "zone": "a"}), node("n2", labels={"disk": "ssd"}), node("n3"))
    preferred = [
        {"weight": 20, "preference": {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}},
        {"weight": 60, "preference": {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}},
        {"weight": 99, "preference": {}},
    ]
    item = pod(affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}})
    assert world.scores("NodeAffinity", item) == {"n1": 100, "n2": 25, "n3": 0}
    assert world.place(item) == "n1"


def test_soft_taints_are_avoided() -> None:
    world = World(
        node("n1", taints=["a=1:PreferNoSchedule", "b=1:PreferNoSchedule"]),
        node("n2", taints=["a=1:PreferNoSchedule"]),
        node("n3"),
    )
    assert world.scores("TaintToleration", pod()) == {"n1": 0, "n2": 50, "n3": 100}
    tolerant = pod(tolerations=[{"key": "a", "operator": "Exists"}])
    assert world.scores("TaintToleration", tolerant) == {"n1": 0, "n2": 100, "n3": 100}
    other_effect = pod(tolerations=[{"key": "a", "operator": "Exists", "effect": "NoSchedule"}])
    assert world.scores("TaintToleration", other_effect) == {"n1": 0, "n2": 50, "n3": 100}


def test_a_node_that_has_the_image_is_preferred_by_size_and_spread() -> None:
    world = World(node("n1", images={"web:latest": 1000 * 2**20}), node("n2"))
    # 1000 MiB on one of two nodes counts as 500 MiB: (500 - 23) / (1000 - 23)
    assert world.scores("ImageLocality", pod(image="web")) == {"n1": 48, "n2": 0}
    assert world.scores("ImageLocality", pod(image="registry:5000/web")) == {}
    assert world.scores("ImageLocality", pod(image="other")) == {}


# spread by owner


def replica_set(name: str = "rs", app: str = "web") -> ReplicaSet:
    spec = {"selector": {"matchLabels": {"app": app}}}
    return from_dict(ReplicaSet, {"metadata": {"name": name, "namespace": "default", "uid": name}, "spec": spec})


def service(**selector: str) -> Service:
    return from_dict(Service, {"metadata": {"name": "svc", "namespace": "default"}, "spec": {"selector": selector}})


def owned(**more: Any) -> Any:
    return pod(owner=("ReplicaSet", "rs"), labels={"app": "web"}, **more)


def test_pods_of_a_replicaset_are_spread_although_one_node_is_emptier() -> None:
    world = World(node("big", cpu="64", memory="256Gi"), node("small", cpu="4"))
    world.lister.put(replica_set())
    assert Counter(world.place(owned(cpu="100m")) for _ in range(4)) == {"big": 2, "small": 2}


def test_pods_of_a_service_are_spread() -> None:
    world = World(node("n1"), node("n2"))
    world.lister.put(service(app="web"))
    world.run(pod(labels={"app": "web"}), "n1")
    assert world.scores("PodTopologySpread", pod(labels={"app": "web"})) == {"n1": 66, "n2": 100}


def test_pods_of_nobody_are_not() -> None:
    world = World(node("n1"), node("n2"))
    world.run(pod(labels={"app": "web"}), "n1")
    assert world.scores("PodTopologySpread", pod(labels={"app": "web"})) == {}


def test_the_selector_of_an_owner_is_known_as_soon_as_it_is_there() -> None:
    world = World(node("n1"), node("n2"))
    world.run(owned(), "n1")
    assert world.scores("PodTopologySpread", owned()) == {}
    world.lister.put(replica_set())
    assert world.scores("PodTopologySpread", owned()) == {"n1": 66, "n2": 100}
    world.lister.put(service(tier="front"))
    assert world.scores("PodTopologySpread", owned()) == {"n1": 66, "n2": 100}


def test_zones_count_beside_nodes() -> None:
    zone = "topology.kubernetes.io/zone"
    world = World(node("a1", labels={zone: "a"}), node("a2", labels={zone: "a"}), node("b1", labels={zone: "b"}))
    world.lister.put(replica_set())
    world.run(owned(), "a1")
    scores = world.scores("PodTopologySpread", owned())
    assert scores["a1"] < scores["a2"] < scores["b1"] == 100


def test_pods_being_deleted_do_not_crowd() -> None:
    world = World(node("n1"), node("n2"))
    world.lister.put(replica_set())
    world.run(owned(deleted=True), "n1")
    assert world.scores("PodTopologySpread", owned()) == {"n1": 100, "n2": 100}


# all together


def test_equally_good_nodes_are_chosen_at_random() -> None:
    seen: set[str] = set()
    world = World(*(node(f"n{number}") for number in range(5)))
    for _ in range(100):
        outcome = world.choose(pod(cpu="1"))
        seen.add(getattr(outcome, "node", ""))
    assert seen == {f"n{number}" for number in range(5)}
