"""Topology spread constraints, and affinity between pods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from apimachinery.model import from_dict
from scheduler.views.namespace import Namespace
from scheduler.views.pod import Pod
from tests.kits.control_plane.scheduler import World, node, pod

ZONE, HOST = "zone", "kubernetes.io/hostname"
WEB = {"app": "web"}


def zoned(*names: str, **more: Any) -> list[Any]:
    """Nodes whose zone is the first letter of their name."""
    return [node(name, labels={ZONE: name[0]}, **more) for name in names]


def selector(**labels: str) -> dict[str, Any]:
    return {"matchLabels": labels}


# topology spread


def spread(key: str = ZONE, skew: int = 1, action: str = "DoNotSchedule", **more: Any) -> dict[str, Any]:
    return {
        "maxSkew": skew,
        "topologyKey": key,
        "whenUnsatisfiable": action,
        "labelSelector": selector(app="web"),
    } | more


def spreading(*constraints: dict[str, Any], **spec: Any) -> Callable[[], Pod]:
    return lambda: pod(labels=WEB, topologySpreadConstraints=list(constraints), **spec)


def test_the_skew_between_domains_is_kept() -> None:
    world = World(*zoned("a1", "a2", "b1"))
    world.run(pod(labels=WEB), "a1")
    assert world.fitting(spreading(spread())) == {"b1"}
    assert world.fitting(spreading(spread(skew=2))) == {"a1", "a2", "b1"}
    assert Counter(world.place(spreading(spread())())[0] for _ in range(5)) == {"a": 2, "b": 3}


def test_only_matching_living_pods_of_the_namespace_count() -> None:
    world = World(*zoned("a1", "b1"))
    world.run(pod(labels={"app": "db"}), "a1")
    world.run(pod("x", "other", labels=WEB), "a1")
    world.run(pod(labels=WEB, deleted=True), "a1")
    assert world.fitting(spreading(spread())) == {"a1", "b1"}


def test_a_pod_that_does_not_match_itself_adds_no_skew() -> None:
    world = World(*zoned("a1", "b1"))
    world.run(pod(labels=WEB), "a1")
    assert world.fitting(lambda: pod(labels={"app": "db"}, topologySpreadConstraints=[spread()])) == {"a1", "b1"}


def test_nodes_without_the_label_are_out() -> None:
    world = World(*zoned("a1"), node("none"))
    assert world.fitting(spreading(spread())) == {"a1"}
    world.cache.remove_node("a1")
    assert world.message(spreading(spread())()) == (
        "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label)."
    )


def test_a_skew_that_cannot_be_kept_is_told() -> None:
    world = World(*zoned("a1", "b1"), node("none"))
    world.run(pod(labels=WEB), "a1")
    world.cache.put_node(node("b1", labels={ZONE: "b"}, cpu="0"))
    assert world.message(spreading(spread(), cpu="1")()) == (
        "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match pod topology spread constraints, "
        "1 node(s) didn't match pod topology spread constraints (missing required label)."
    )


def test_min_domains_keeps_the_least_at_zero() -> None:
    world = World(*zoned("a1", "b1"))
    world.run(pod(labels=WEB), "a1")
    world.run(pod(labels=WEB), "b1")
    assert world.fitting(spreading(spread())) == {"a1", "b1"}
    assert world.fitting(spreading(spread(minDomains=3))) == set()


def test_nodes_that_the_pod_may_not_use_do_not_count_unless_asked_for() -> None:
    world = World(*zoned("a1", "b1"), node("c1", labels={ZONE: "c", "off": "yes"}))
    for name in ("a1", "b1"):
        world.run(pod(labels=WEB), name)
    not_off = {"matchExpressions": [{"key": "off", "operator": "DoesNotExist"}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [not_off]}}}
    assert world.fitting(spreading(spread(), affinity=affinity)) == {"a1", "b1"}
    assert world.fitting(spreading(spread(nodeAffinityPolicy="Ignore"), affinity=affinity)) == set()


def test_tainted_nodes_count_unless_the_policy_honors_taints() -> None:
    world = World(*zoned("a1"), node("b1", labels={ZONE: "b"}, taints=["x=y:NoSchedule"]))
    world.run(pod(labels=WEB), "a1")
    assert world.fitting(spreading(spread())) == set()
    assert world.fitting(spreading(spread(nodeTaintsPolicy="Honor"))) == {"a1"}


def test_label_keys_narrow_the_pods_that_count() -> None:
    world = World(*zoned("a1", "b1"))
    world.run(pod(labels=WEB | {"version": "1"}), "a1")
    item = pod(labels=WEB | {"version": "2"}, topologySpreadConstraints=[spread(matchLabelKeys=["version", "absent"])])
    assert world.fitting(lambda: item) == {"a1", "b1"}


def test_several_constraints_hold_together() -> None:
    world = World(*zoned("a1", "a2", "b1", "b2"))
    for name in ("a1", "b1", "a2"):
        world.run(pod(labels=WEB), name)
    assert world.fitting(spreading(spread(), spread(HOST))) == {"b2"}


def test_soft_constraints_prefer_the_emptier_domain() -> None:
    world = World(*zoned("a1", "a2", "b1"), node("none"))
    world.run(pod(labels=WEB), "a1")
    scores = world.scores("PodTopologySpread", spreading(spread(action="ScheduleAnyway"))())
    assert scores["none"] == 0
    assert scores["a1"] == scores["a2"] < scores["b1"] == 100


def test_a_constraint_without_selector_counts_nothing() -> None:
    world = World(*zoned("a1", "b1"))
    world.run(pod(labels=WEB), "a1")
    assert world.fitting(spreading(spread(labelSelector=None))) == {"a1", "b1"}


# affinity between pods


def term(key: str = ZONE, **more: Any) -> dict[str, Any]:
    return {"topologyKey": key, "labelSelector": selector(app="web")} | more


def near(*terms: dict[str, Any], labels: dict[str, str] | None = None) -> Callable[[], Pod]:
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}}
    return lambda: pod(labels=labels or {}, affinity=affinity)


def apart(
    *terms: dict[str, Any], labels: dict[str, str] | None = None, name: str = "p", namespace: str = "default"
) -> Callable[[], Pod]:
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}}
    return lambda: pod(name, namespace, labels=labels or {}, affinity=affinity)


def test_affinity_asks_for_the_domain_of_a_matching_pod() -> None:
    world = World(*zoned("a1", "a2", "b1"))
    assert world.fitting(near(term())) == set()
    world.run(pod(labels=WEB), "a1")
    assert world.fitting(near(term())) == {"a1", "a2"}
    assert world.fitting(near(term(HOST))) == {"a1"}


def test_the_first_of_pods_that_want_each_other_may_go_anywhere() -> None:
    world = World(*zoned("a1", "b1"), node("none"))
    assert world.fitting(near(term(), labels=WEB)) == {"a1", "b1"}
    first = world.place(near(term(), labels=WEB)())
    assert {world.place(near(term(), labels=WEB)()) for _ in range(3)} == {first}


def test_all_terms_are_about_the_same_pod() -> None:
    world = World(*zoned("a1", "b1"))
    world.run(pod(labels={"app": "web"}), "a1")
    world.run(pod(labels={"tier": "front"}), "a1")
    both = near(term(), term(labelSelector=selector(tier="front")))
    assert world.fitting(both) == set()
    world.run(pod(labels={"app": "web", "tier": "front"}), "b1")
    assert world.fitting(both) == {"b1"}


def test_unmet_affinity_is_told() -> None:
    world = World(*zoned("a1", "b1"))
    assert world.message(near(term())()) == "0/2 nodes are available: 2 node(s) didn't match pod affinity rules."


def test_anti_affinity_avoids_the_domain_of_a_matching_pod() -> None:
    world = World(*zoned("a1", "a2", "b1"), node("none"))
    world.run(pod(labels=WEB), "a1")
    assert world.fitting(apart(term())) == {"b1", "none"}
    world.run(pod(labels=WEB), "b1")
    world.cache.remove_node("none")
    assert world.message(apart(term())()) == (
        "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules."
    )


def test_pods_on_nodes_keep_others_away_too() -> None:
    world = World(*zoned("a1", "a2", "b1"))
    guard = world.run(apart(term())(), "a1")
    assert world.fitting(lambda: pod(labels=WEB)) == {"b1"}
    assert world.fitting(lambda: pod()) == {"a1", "a2", "b1"}
    world.cache.remove_node("b1")
    assert world.message(pod(labels=WEB)) == (
        "0/2 nodes are available: 2 node(s) didn't satisfy existing pods anti-affinity rules."
    )
    world.cache.remove_pod(guard)
    assert world.fitting(lambda: pod(labels=WEB)) == {"a1", "a2"}


def test_one_per_node_by_anti_affinity_to_oneself() -> None:
    world = World(*zoned("a1", "a2", "b1"))
    make = apart(term(HOST), labels=WEB)
    assert sorted(world.place(make()) for _ in range(4)) == ["", "a1", "a2", "b1"]


def namespace(name: str, **labels: str) -> Namespace:
    return from_dict(Namespace, {"metadata": {"name": name, "labels": labels}})


def test_a_term_is_about_its_pods_own_namespace_unless_it_says_otherwise() -> None:
    world = World(*zoned("a1", "b1"))
    world.lister.put(namespace("other", team="x"))
    world.run(pod("x", "other", labels=WEB), "a1")
    assert world.fitting(apart(term())) == {"a1", "b1"}
    assert world.fitting(apart(term(namespaces=["other"]))) == {"b1"}
    assert world.fitting(apart(term(namespaceSelector={}))) == {"b1"}
    assert world.fitting(apart(term(namespaceSelector=selector(team="x")))) == {"b1"}
    assert world.fitting(apart(term(namespaceSelector=selector(team="y")))) == {"a1", "b1"}


def test_terms_held_by_pods_know_namespaces_as_well() -> None:
    world = World(*zoned("a1", "b1"))
    world.lister.put(namespace("other", team="x"))
    world.run(apart(term(namespaceSelector=selector(team="x")))(), "a1")
    assert world.fitting(lambda: pod(labels=WEB)) == {"a1", "b1"}
    assert world.fitting(lambda: pod("x", "other", labels=WEB)) == {"b1"}


def preferring(kind: str, weight: int, key: str = ZONE) -> dict[str, Any]:
    return {
        kind: {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": weight, "podAffinityTerm": term(key)}]}
    }


def test_preferences_for_and_against_are_scored() -> None:
    world = World(*zoned("a1", "b1"))
    world.run(pod(labels=WEB), "a1")
    assert world.scores("InterPodAffinity", pod(affinity=preferring("podAffinity", 10))) == {"a1": 100, "b1": 0}
    assert world.scores("InterPodAffinity", pod(affinity=preferring("podAntiAffinity", 10))) == {"a1": 0, "b1": 100}
    assert world.scores("InterPodAffinity", pod()) == {}


def test_preferences_of_pods_on_nodes_count_too() -> None:
    world = World(*zoned("a1", "b1"))
    world.run(pod(affinity=preferring("podAntiAffinity", 10)), "a1")
    assert world.scores("InterPodAffinity", pod(labels=WEB)) == {"a1": 0, "b1": 100}
    assert world.scores("InterPodAffinity", pod()) == {"a1": 0, "b1": 0}
    other = World(*zoned("a1", "b1"))
    other.run(near(term(), labels={})(), "b1")
    assert other.scores("InterPodAffinity", pod(labels=WEB)) == {"a1": 0, "b1": 100}
