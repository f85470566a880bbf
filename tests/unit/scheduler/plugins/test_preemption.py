"""Preemption: whom it evicts, from which node, and when it must not."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apimachinery.model import from_dict
from scheduler.framework import PostFilterResult, Unfit
from scheduler.plugins.preemption._budgets import Budgets
from scheduler.plugins.preemption._search import VictimSearch
from scheduler.state.victims import Preemption
from scheduler.views.pod import Pod
from scheduler.views.poddisruptionbudget import PodDisruptionBudget
from tests.kits.control_plane.scheduler import World, node, pod

EARLY, LATE = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def low(world: World, where: str, name: str, cpu: str = "1", priority: int = 0, **more: Any) -> Pod:
    return world.run(pod(name, cpu=cpu, priority=priority, **more), where)


def search(world: World, preemptor: Pod, wanted: int = 100) -> tuple[Preemption | None, dict[str, int]]:
    cycle = world.cycle(preemptor)
    unfit = world.placement.choose(cycle)
    assert isinstance(unfit, Unfit)
    assert unfit.curable is not None
    victims = VictimSearch(cycle, world.cache, Budgets(world.handle))
    before = snapshot(world)
    best = victims.best(unfit.curable, wanted)
    assert snapshot(world) == before
    return best, dict(victims.reasons)


def search_all(world: World, preemptor: Pod) -> list[Preemption]:
    cycle = world.cycle(preemptor)
    unfit = world.placement.choose(cycle)
    assert isinstance(unfit, Unfit)
    assert unfit.curable is not None
    return VictimSearch(cycle, world.cache, Budgets(world.handle)).all(unfit.curable, 100)


def snapshot(world: World) -> object:
    table, counters = world.cache.table, world.cache.counters
    return (
        table.free.tolist(),
        table.scoring.tolist(),
        table.revision,
        table.changed.tolist(),
        table.port_users,
        {kind: counts.tolist() for kind, counts in counters._counters.items()},
        {term: counts.tolist() for term, counts in counters.held() if counts.any()},
        {uid: info.node for uid, info in sorted(world.cache._pods.items())},
    )


def victims(world: World, preemptor: Pod) -> tuple[str, list[str]]:
    best, _ = search(world, preemptor)
    assert best is not None
    return best.node, [info.pod.name for info in best.victims]


def budget(
    world: World, allowed: int, labels: dict[str, str], disrupted: tuple[str, ...] = (), version: str | None = None
) -> None:
    status = {"disruptionsAllowed": allowed, "disruptedPods": dict.fromkeys(disrupted, EARLY)}
    spec = {"selector": {"matchLabels": labels}}
    meta = {"name": "b", "namespace": "default", "resourceVersion": version}
    world.lister.put(from_dict(PodDisruptionBudget, {"metadata": meta, "spec": spec, "status": status}))


# who goes


def test_no_more_pods_go_than_must_and_the_least_important_go() -> None:
    world = World(node("n1", cpu="4"))
    low(world, "n1", "important", priority=5)
    low(world, "n1", "old", started=EARLY)
    low(world, "n1", "young", started=LATE)
    low(world, "n1", "unstarted")
    assert victims(world, pod(cpu="1", priority=10)) == ("n1", ["unstarted"])
    assert victims(world, pod(cpu="2", priority=10)) == ("n1", ["young", "unstarted"])
    assert victims(world, pod(cpu="4", priority=10)) == ("n1", ["important", "old", "young", "unstarted"])


def test_a_small_pod_stays_where_a_large_one_goes_in_its_place() -> None:
    world = World(node("n1", cpu="4"))
    low(world, "n1", "large", cpu="3", started=LATE)
    low(world, "n1", "small", cpu="1", started=EARLY)
    assert victims(world, pod(cpu="2", priority=1)) == ("n1", ["large"])


def test_pods_of_the_same_or_a_higher_priority_stay() -> None:
    world = World(node("n1", cpu="2"))
    low(world, "n1", "same", priority=5)
    low(world, "n1", "higher", priority=6)
    best, reasons = search(world, pod(cpu="1", priority=5))
    assert best is None
    assert reasons == {"No preemption victims found for incoming pod": 1}


def test_a_start_that_becomes_known_counts() -> None:
    world = World(node("n1", cpu="2"))
    first = low(world, "n1", "first")
    low(world, "n1", "second", started=LATE)
    assert victims(world, pod(cpu="1", priority=1)) == ("n1", ["first"])
    first = first.clone()
    first.status.startTime = EARLY
    world.cache.renew_pod(first)
    assert victims(world, pod(cpu="1", priority=1)) == ("n1", ["second"])


def test_host_ports_are_freed_by_those_who_hold_them() -> None:
    world = World(node("n1", cpu="4"))
    ports = [{"hostPort": 80}]
    low(world, "n1", "holder", ports=ports, started=EARLY)
    low(world, "n1", "other", started=LATE)
    assert victims(world, pod(cpu="1", priority=1, ports=ports)) == ("n1", ["holder"])


# from which node


def test_the_cheapest_node_is_chosen_in_upstreams_order() -> None:
    world = World(*(node(f"n{number}", cpu="4") for number in range(1, 6)))
    for name in ("a", "b"):
        low(world, "n1", f"n1-{name}", cpu="2", started=EARLY)
    low(world, "n2", "n2-a", cpu="4", priority=3)
    low(world, "n3", "n3-a", cpu="4", started=EARLY)
    low(world, "n4", "n4-a", cpu="4", started=LATE)
    low(world, "n5", "n5-a", cpu="4", labels={"app": "db"})
    budget(world, 0, {"app": "db"})
    preemptor = pod(cpu="4", priority=10)
    assert victims(world, preemptor) == ("n4", ["n4-a"])
    world.cache.remove_node("n4")
    assert victims(world, preemptor) == ("n3", ["n3-a"])
    world.cache.remove_node("n3")
    assert victims(world, preemptor) == ("n1", ["n1-a", "n1-b"])
    world.cache.remove_node("n1")
    assert victims(world, preemptor) == ("n2", ["n2-a"])
    world.cache.remove_node("n2")
    best, _ = search(world, preemptor)
    assert best is not None
    assert best.violated == 1


def test_negative_priorities_sum_up_to_more_with_every_victim() -> None:
    world = World(node("n1", cpu="2"), node("n2", cpu="2"))
    for name in ("a", "b"):
        low(world, "n1", name, priority=-(2**31))
    low(world, "n2", "c", cpu="2", priority=-(2**31))
    assert victims(world, pod(cpu="2")) == ("n2", ["c"])


def test_the_search_ends_with_enough_candidates() -> None:
    world = World(*(node(f"n{number}", cpu="1") for number in range(9)))
    for number in range(9):
        low(world, f"n{number}", f"web-{number}", priority=9 - number)
    best, _ = search(world, pod(cpu="1", priority=10), wanted=3)
    assert best is not None
    assert best.node == "n2"


# budgets


def test_pods_that_no_budget_protects_go_first() -> None:
    world = World(node("n1", cpu="3"))
    low(world, "n1", "protected", labels={"app": "db"})
    low(world, "n1", "free", priority=5)
    low(world, "n1", "other", priority=6)
    budget(world, 0, {"app": "db"})
    assert victims(world, pod(cpu="1", priority=10)) == ("n1", ["free"])
    assert victims(world, pod(cpu="3", priority=10)) == ("n1", ["other", "free", "protected"])


def test_a_budget_allows_so_many_and_does_not_count_the_disrupted_again() -> None:
    world = World(node("n1", cpu="3"), node("n2", cpu="3"))
    for number in range(3):
        low(world, "n1", f"db-{number}", labels={"app": "db"})
        low(world, "n2", f"web-{number}", labels={"app": "web"}, priority=1)
    budget(world, 2, {"app": "db"})
    assert victims(world, pod(cpu="2", priority=10))[0] == "n1"
    assert victims(world, pod(cpu="3", priority=10))[0] == "n2"
    budget(world, 2, {"app": "db"}, disrupted=("db-1",))
    assert victims(world, pod(cpu="3", priority=10))[0] == "n1"


def test_a_budget_counts_victims_that_its_status_does_not_show_yet() -> None:
    world = World(node("n1", cpu="1"), node("n2", cpu="1"))
    first = low(world, "n1", "db-1", labels={"app": "db"}, version="5")
    low(world, "n2", "db-2", labels={"app": "db"})
    budget(world, 1, {"app": "db"}, version="3")
    budgets = Budgets(world.handle)
    pods = [*world.cache.on_node("n1"), *world.cache.on_node("n2")]
    assert budgets.protect()
    assert budgets.violated_by(pods) == [False, True]
    budgets.spend(pods[:1])
    assert budgets.violated_by(pods) == [False, True]
    going = first.clone()
    going.metadata.deletionTimestamp, going.metadata.resourceVersion = LATE, "7"
    world.cache.put_pod(going)
    assert budgets.violated_by(pods[1:]) == [True]
    budget(world, 1, {"app": "db"}, version="8")
    assert budgets.protect()
    assert budgets.violated_by(pods[1:]) == [False]


@pytest.mark.parametrize("labels", [None, {}])
def test_a_budget_that_selects_nothing_or_everything_protects_nothing(labels: dict[str, str] | None) -> None:
    world = World(node("n1", cpu="1"))
    low(world, "n1", "web")
    selector = None if labels is None else {"matchLabels": labels}
    meta = {"name": "b", "namespace": "default"}
    world.lister.put(from_dict(PodDisruptionBudget, {"metadata": meta, "spec": {"selector": selector}}))
    best, _ = search(world, pod(cpu="1", priority=1))
    assert best is not None
    assert best.violated == 0


# filters that look across nodes

ZONE = "topology.kubernetes.io/zone"


def apart(app: str, key: str = ZONE) -> dict[str, Any]:
    term = {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def test_those_whom_a_pod_keeps_away_from_go() -> None:
    world = World(node("n1", cpu="4", labels={ZONE: "a"}), node("n2", cpu="4", labels={ZONE: "a"}))
    low(world, "n1", "noisy", labels={"app": "noisy"}, started=EARLY)
    low(world, "n1", "quiet", started=LATE)
    assert victims(world, pod(cpu="1", priority=1, affinity=apart("noisy"))) == ("n1", ["noisy"])


def test_a_pod_elsewhere_in_the_domain_that_keeps_it_away_is_no_reason_to_evict() -> None:
    world = World(node("n1", cpu="4", labels={ZONE: "a"}), node("n2", cpu="4", labels={ZONE: "a"}))
    low(world, "n1", "one", labels={"app": "noisy"})
    low(world, "n2", "two", labels={"app": "noisy"})
    best, reasons = search(world, pod(cpu="1", priority=1, affinity=apart("noisy")))
    assert best is None
    assert reasons == {"node(s) didn't match pod anti-affinity rules": 2}


def test_an_uneven_spread_is_evened_by_evictions() -> None:
    world = World(node("n1", cpu="4", labels={ZONE: "a"}), node("n2", cpu="4", labels={ZONE: "b"}))
    for number in range(2):
        low(world, "n1", f"web-{number}", labels={"app": "web"}, started=EARLY)
    low(world, "n1", "other", started=LATE)
    low(world, "n2", "big", cpu="4", priority=100)
    constraint = {
        "topologyKey": ZONE,
        "maxSkew": 1,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    preemptor = pod(cpu="1", priority=1, labels={"app": "web"}, topologySpreadConstraints=[constraint])
    node_name, names = victims(world, preemptor)
    assert node_name == "n1"
    assert sorted(names) == ["web-0", "web-1"]


# promises


def test_what_other_pods_are_promised_is_not_promised_again() -> None:
    world = World(node("n1", cpu="2"))
    low(world, "n1", "young", started=LATE)
    low(world, "n1", "old", started=EARLY)
    first = pod("first", cpu="1", priority=10)
    assert victims(world, first) == ("n1", ["young"])
    world.cache.nominations.put(first, "n1")
    assert victims(world, pod(cpu="1", priority=10)) == ("n1", ["old", "young"])
    assert victims(world, pod(cpu="1", priority=11)) == ("n1", ["young"])
    assert victims(world, first) == ("n1", ["young"])


def test_room_that_is_promised_goes_to_nobody_of_the_same_or_a_lower_priority() -> None:
    world = World(node("n1", cpu="2"), node("n2", cpu="2"))
    first = pod("first", cpu="2", priority=10)
    world.cache.nominations.put(first, "n1")
    low(world, "n2", "there", cpu="2", priority=20)
    for priority in (0, 10):
        message = "0/2 nodes are available: 2 Insufficient cpu."
        assert world.message(pod(cpu="1", priority=priority)) == message
    assert world.place(pod(cpu="1", priority=11)) == "n1"
    world.cache.nominations.remove(first.metadata.uid or "")
    assert world.place(pod(cpu="1", priority=0)) == "n1"


def test_a_pod_goes_where_it_was_promised_a_place_though_another_node_were_better() -> None:
    world = World(node("n1", cpu="2"), node("n2", cpu="64"))
    item = pod(cpu="1", priority=1)
    world.cache.nominations.put(item, "n1")
    assert world.place(item) == "n1"


def test_promises_count_for_filters_that_look_across_nodes() -> None:
    world = World(node("n1", cpu="8", labels={ZONE: "a"}))
    noisy = pod("noisy", cpu="1", priority=10, labels={"app": "noisy"})
    world.cache.nominations.put(noisy, "n1")
    quiet = pod("quiet", cpu="1", affinity=apart("noisy"))
    assert world.message(quiet) == "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules."
    shy = pod("shy", cpu="1", priority=10, affinity=apart("loud"))
    world.cache.nominations.put(noisy, "")
    world.cache.nominations.put(shy, "n1")
    loud = pod("loud", cpu="1", labels={"app": "loud"})
    want = "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules."
    assert world.message(loud) == want


# the plugin


def post_filter(world: World, item: Pod) -> PostFilterResult:
    cycle = world.cycle(item)
    unfit = world.placement.choose(cycle)
    assert isinstance(unfit, Unfit)
    return asyncio.run(world.framework.run_post_filter(cycle, unfit))


def test_a_pod_that_never_preempts_says_so() -> None:
    world = World(node("n1", cpu="1"))
    low(world, "n1", "web")
    result = post_filter(world, pod(cpu="1", priority=1, preemptionPolicy="Never"))
    assert result.message == (
        "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never."
    )
    assert result.nominated is None


def test_nodes_that_evictions_cannot_open_are_not_looked_at() -> None:
    world = World(node("n1", cpu="1"), node("n2", cpu="8", taints=["a=b:NoSchedule"]), node("n3", cpu="3"))
    low(world, "n2", "two", cpu="8")
    low(world, "n3", "three", cpu="3", priority=9)
    result = post_filter(world, pod(cpu="2", priority=5, nominated="n3"))
    assert result.message == (
        "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. preemption: 0/3 nodes are "
        "available: 1 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling."
    )
    assert result.nominated == ""


def test_a_pod_waits_for_victims_that_are_going_already() -> None:
    world = World(node("n1", cpu="1"), node("n2", cpu="1"))
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
    going = low(world, "n1", "going", deleted=True, conditions=[condition])
    low(world, "n2", "other")
    preemptor = pod(cpu="1", priority=1, nominated="n1")
    world.cache.nominations.put(preemptor, "n1")
    result = post_filter(world, preemptor)
    assert result.message.endswith("preemption: not eligible due to a terminating pod on the nominated node.")
    assert result.nominated is None
    world.cache.remove_node("n1")
    world.cache.remove_pod(going)
    assert post_filter(world, preemptor).nominated == "n2"


def test_a_pod_of_lower_priority_loses_what_it_was_promised() -> None:
    world = World(node("n1", cpu="1"))
    low(world, "n1", "web")
    loser = pod("loser", cpu="1", priority=5)
    world.cache.nominations.put(loser, "n1")
    assert post_filter(world, pod(cpu="1", priority=9)).nominated == "n1"
    assert world.cache.nominations.node_of(loser.metadata.uid or "") == ""


# against the slow and simple way

PODS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 3), st.integers(0, 4), st.sampled_from(["", EARLY, LATE])), max_size=12
)


@settings(max_examples=150)
@given(PODS, st.integers(1, 6), st.integers(0, 2))
def test_the_victims_are_those_of_a_search_one_pod_at_a_time(
    pods: list[tuple[int, int, int, str]], cpu: int, allowed: int
) -> None:
    world = World(*(node(f"n{number}", cpu="6") for number in range(3)))
    there: dict[str, list[Pod]] = {f"n{number}": [] for number in range(3)}
    for index, (where, size, priority, started) in enumerate(pods):
        name = f"n{where}"
        labels = {"app": "db"} if index % 3 == 0 else {}
        item = pod(f"p{index}", cpu=str(size), priority=priority, started=started or None, labels=labels)
        there[name].append(low(world, name, item.name, str(size), priority, started=started or None, labels=labels))
    budget(world, allowed, {"app": "db"})
    preemptor = pod(cpu=str(cpu), priority=3)
    if not isinstance(world.choose(preemptor), Unfit):
        return
    best, _ = search(world, preemptor)
    everywhere = search_all(world, preemptor)
    expected = {name: simple_victims(items, cpu, allowed) for name, items in there.items()}
    costs = {name: cost for name, answer in expected.items() if (cost := simple_cost(answer)) is not None}
    if best is None:
        assert not costs
        return
    assert [info.pod.name for info in best.victims] == [item.name for item in expected[best.node][0]]  # type: ignore[index]
    assert costs[best.node] == min(costs.values())
    assert {item.node for item in everywhere} == costs.keys()
    assert best in everywhere
    assert best.cost == min(item.cost for item in everywhere)


def simple_victims(items: list[Pod], cpu: int, allowed: int) -> tuple[list[Pod], int] | None:
    def size(item: Pod) -> int:
        return int(item.spec.containers[0].resources.requests["cpu"])  # type: ignore[union-attr, index]

    def rank(item: Pod) -> tuple[int, str]:
        return -(item.spec.priority or 0), item.status.startTime or "~"

    lower = sorted((item for item in items if (item.spec.priority or 0) < 3), key=rank)
    used = sum(size(item) for item in items if item not in lower) + cpu
    if used > 6 or not lower:
        return None
    protected = [item for item in lower if item.labels][allowed:]
    victims, violations = [], 0
    for item in [*protected, *(item for item in lower if item not in protected)]:
        if used + size(item) <= 6:
            used += size(item)
        else:
            victims.append(item)
            violations += item in protected
    return sorted(victims, key=rank), violations


def simple_cost(answer: tuple[list[Pod], int] | None) -> tuple[Any, ...] | None:
    if answer is None:
        return None
    victims, violations = answer
    priorities = [item.spec.priority or 0 for item in victims]
    starts = [item.status.startTime or "~" for item in victims if (item.spec.priority or 0) == max(priorities)]
    later_is_less = tuple(-ord(letter) for letter in min(starts).ljust(20, "~"))
    return violations, max(priorities), sum(value + 2**31 for value in priorities), len(victims), later_is_less


def test_rows_that_no_candidate_needs_are_not_touched() -> None:
    world = World(node("n1", cpu="1"))
    assert VictimSearch(world.cycle(pod()), world.cache, Budgets(world.handle)).best(np.zeros(0, np.int64), 0) is None
