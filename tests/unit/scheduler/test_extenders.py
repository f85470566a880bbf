"""Extenders: what becomes of the nodes and the victims that they name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from scheduler.configuration.load import parse_configuration
from scheduler.configuration.model import API_VERSION, KIND
from scheduler.extenders.client import ExtenderClient, ExtenderError, NamedVictims
from scheduler.extenders.model import Extender
from scheduler.extenders.plugin import NAME, Advice
from scheduler.extenders.victims import chosen, present
from scheduler.framework import Unfit
from scheduler.plugins.preemption._budgets import Budgets
from scheduler.plugins.preemption._search import NO_VICTIMS, VictimSearch
from scheduler.state.victims import Preemption, preemption
from tests.kits.control_plane.scheduler import World, node, pod

URL = "http://localhost:1/a"


def world() -> World:
    """n1 has "a", n2 has "b" and the more important "c"; each pod has its name as uid."""
    made = World(node("n1", cpu="1"), node("n2", cpu="2"))
    for name, where, priority in (("a", "n1", 0), ("b", "n2", 0), ("c", "n2", 5)):
        item = pod(name, cpu="1", priority=priority)
        item.metadata.uid = name
        made.run(item, where)
    return made


def asked(made: World) -> list[Preemption]:
    return [preemption(name, made.cache.on_node(name), 0) for name in ("n1", "n2")]


def choose(made: World, *, ignorable: bool = False, **named: Sequence[str]) -> dict[str, list[str]]:
    client = ExtenderClient(Extender(urlPrefix=URL, preemptVerb="p", ignorable=ignorable))
    answer = {name: NamedVictims(uids, 1) for name, uids in named.items()}
    result = chosen(client, answer, asked(made), made.cache)
    assert all(item.violated == 1 for item in result)
    return {item.node: [victim.uid for victim in item.victims] for item in result}


def test_an_extender_leaves_fewer_nodes_or_names_other_victims() -> None:
    assert choose(world(), n2=["b", "c"]) == {"n2": ["c", "b"]}
    assert choose(world(), n1=["a"], n2=["b"]) == {"n1": ["a"], "n2": ["b"]}
    assert choose(world()) == {}


def test_a_node_or_victim_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ExtenderError, match='nodeinfo not found for node name "n9"'):
        choose(world(), n9=["a"])
    message = rf"extender: {URL} claims to preempt pod \(UID: a\) on node: n2, but the pod is not found on that node"
    with pytest.raises(ExtenderError, match=message):
        choose(world(), n2=["a"])


def test_a_node_without_victims_is_an_error_or_left_out() -> None:
    with pytest.raises(ExtenderError, match='expected at least one victim pod on node "n1"'):
        choose(world(), n1=[], n2=["b"])
    assert choose(world(), ignorable=True, n1=[], n2=["b"]) == {"n2": ["b"]}


def test_victims_and_nodes_that_went_meanwhile_are_left_out() -> None:
    made = world()
    candidates = asked(made)
    gone = made.cache.get("b")
    assert gone is not None
    made.cache.remove_pod(gone.pod)
    made.cache.remove_node("n1")
    assert [(item.node, [pod.uid for pod in item.victims]) for item in present(candidates, made.cache)] == [
        ("n2", ["c"])
    ]


def test_preemption_looks_at_nodes_that_an_extender_did_not_refuse_for_good() -> None:
    document = {"apiVersion": API_VERSION, "kind": KIND, "extenders": [{"urlPrefix": URL, "filterVerb": "f"}]}
    (profile,) = parse_configuration(document).profiles
    made = World(
        *(node(name, cpu="1") for name in ("n1", "n2", "n3")), specs=list(profile.specs), points=profile.points
    )
    made.run(pod("low", cpu="1"), "n1")
    made.run(pod("tiny", cpu="10m"), "n2")
    cycle = made.cycle(pod("high", cpu="500m", priority=9))
    cycle.state[NAME] = Advice([], {"n2": "not now", "n3": "never"}, {"n2"})
    unfit = made.placement.choose(cycle)
    assert isinstance(unfit, Unfit)
    assert unfit.message == "0/3 nodes are available: 1 Insufficient cpu, 1 never, 1 not now."
    assert unfit.curable is not None
    assert [made.cache.table.names[row] for row in unfit.curable] == ["n1", "n2"]
    search = VictimSearch(cycle, made.cache, Budgets(made.handle))
    best = search.best(np.array(unfit.curable), 100)
    assert best is not None
    assert best.node == "n1"
    assert search.reasons == {NO_VICTIMS: 1}
