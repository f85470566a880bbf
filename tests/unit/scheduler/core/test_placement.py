"""The choice of a node: what is remembered for alike pods must never differ from what a fresh look would say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core import placement
from scheduler.core.placement import Placement
from scheduler.framework import Cycle, Only, Plugin, PluginSpec, Rejected, Unfit, collect_plugins
from scheduler.state.podinfo import pod_id
from scheduler.state.shape import IntArray
from scheduler.state.table import BoolArray, Rows
from scheduler.views.pod import Pod
from tests.kits.control_plane.scheduler import Turns, World, _feasible_rows, node, pod

NAMES = [f"n{number}" for number in range(6)]
ZONE = "zone"

SPECS: list[dict[str, Any]] = [
    {"cpu": "1"},
    {"cpu": "500m", "memory": "2Gi", "labels": {"app": "web"}},
    {"nodeSelector": {ZONE: "a"}},
    {"ports": [{"hostPort": 80}]},
    {"tolerations": [{"key": "t", "operator": "Exists"}], "cpu": "200m"},
    {
        "labels": {"app": "web"},
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": ZONE,
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"app": "web"}},
            }
        ],
    },
    {
        "labels": {"app": "db"},
        "affinity": {
            "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "db"}}}
                ]
            }
        },
    },
    {
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1", "n4"]}]}
                    ]
                }
            }
        }
    },
]

nodes = st.builds(
    lambda name, cpu, zone, taint, cordoned: node(
        name,
        cpu=cpu,
        labels={ZONE: zone} if zone else {},
        taints=["t=1:NoSchedule"] if taint == 1 else ["t=1:PreferNoSchedule"] if taint == 2 else [],
        unschedulable=cordoned,
    ),
    st.sampled_from(NAMES),
    st.sampled_from(["1", "2", "8"]),
    st.sampled_from(["", "a", "b"]),
    st.integers(0, 2),
    st.booleans(),
)
pods = st.tuples(st.just("pod"), st.integers(0, len(SPECS) - 1))
ends = st.tuples(st.just("ends"), st.integers(0, 20))
steps = st.builds(
    lambda first, then: first + then,
    st.lists(st.tuples(st.just("node"), nodes), min_size=1, max_size=6),
    st.lists(
        st.one_of(
            pods, pods, pods, ends, ends,
            st.tuples(st.just("node"), nodes),
            st.tuples(st.just("gone"), st.sampled_from(NAMES)),
        ),
        min_size=10,
        max_size=60,
    ),
)  # fmt: skip


@given(steps)
@settings(max_examples=100)
def test_remembered_verdicts_agree_with_a_fresh_look(sequence: list[tuple[str, Any]]) -> None:
    world = World()
    running: list[Pod] = []
    for what, value in sequence:
        if what == "node":
            world.cache.put_node(value)
        elif what == "gone":
            world.cache.remove_node(value)
        elif what == "ends" and running:
            world.cache.remove_pod(running.pop(value % len(running)))
        elif what == "pod":
            item = pod(**SPECS[value])
            rows = set(_feasible_rows(world, item))
            fresh = Placement(world.framework, world.cache, Turns())
            assert _best_nodes(world, fresh, item) == _best_nodes(world, world.placement, item)
            outcome = world.choose(item)
            if isinstance(outcome, Unfit):
                assert not rows
                assert outcome == fresh.choose(world.cycle(item))
            else:
                assert world.cache.table.rows[outcome.node] in rows
                assert outcome.feasible == len(rows)
                running.append(world.run(item, outcome.node))


def _best_nodes(world: World, chooser: Placement, item: Pod) -> set[str]:
    """All nodes that the choice falls on."""
    outcomes = [chooser.choose(world.cycle(item)) for _ in NAMES]
    return {outcome.node for outcome in outcomes if not isinstance(outcome, Unfit)}


def test_only_changed_rows_are_looked_at_again_for_alike_pods() -> None:
    looked_at: list[int] = []

    class Counting(Plugin):
        def filter(self, cycle: Cycle, rows: Rows) -> BoolArray:
            mask = np.ones(len(self.table.valid[rows]), np.bool_)
            looked_at.append(len(mask))
            return mask

    specs = [*collect_plugins(), PluginSpec("Counting", Counting)]
    world = World(*(node(f"n{number}") for number in range(50)), specs=specs)
    for _ in range(4):
        world.place(pod(cpu="1m"))
    assert looked_at == [50, 1, 1, 1]
    world.place(pod(cpu="2m"))
    world.cache.put_node(node("n7", cpu="9"))
    world.cache.put_node(node("new"))
    world.place(pod(cpu="1m"))
    assert looked_at[4:] == [50, 51]


def test_verdicts_are_bounded() -> None:
    world = World(node("n1"))
    for number in range(placement.VERDICTS + 10):
        world.choose(pod(cpu=f"{number}m"))
    assert len(world.placement._verdicts) == placement.VERDICTS


class Local(Plugin):
    """A plugin made of what a test hands in."""

    answer: Any = None

    def pre_filter(self, cycle: Cycle) -> Any:
        return self.answer

    def filter(self, cycle: Cycle, rows: Rows) -> BoolArray:
        return np.ones(len(self.table.valid[rows]), np.bool_)

    def reasons(self, cycle: Cycle, rows: IntArray) -> dict[str, int]:
        raise AssertionError("it refuses nothing")


class Global(Local):
    local = False


@pytest.mark.parametrize("base", [Local, Global])
def test_a_prefilter_may_refuse_the_pod_or_narrow_the_nodes(base: type[Local]) -> None:
    narrow = type("Narrow", (base,), {"answer": Only(frozenset(("n2", "unknown")))})
    world = World(node("n1"), node("n2"), specs=[*collect_plugins(), PluginSpec("Narrow", narrow)])
    assert world.place(pod()) == "n2"
    assert world.message(pod(nodeSelector={"x": "y"})) == (
        "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, "
        "1 node(s) didn't satisfy plugin(s) [Narrow]."
    )
    refusing = type("Refusing", (base,), {"answer": Rejected("not today")})
    world = World(node("n1"), specs=[*collect_plugins(), PluginSpec("Refusing", refusing)])
    assert world.choose(pod()) == Unfit("0/1 nodes are available: not today.", frozenset(("Refusing",)))


def test_who_refused_is_told_for_requeueing() -> None:
    world = World(node("n1", unschedulable=True), node("n2", cpu="0"))
    outcome = world.choose(pod(cpu="1"))
    assert isinstance(outcome, Unfit)
    assert outcome.plugins == {"NodeUnschedulable", "NodeResourcesFit"}


def test_an_assumed_pod_counts_for_the_next_of_its_kind() -> None:
    world = World(node("n1", cpu="2"))
    first = pod(cpu="1500m")
    assert world.place(first) == "n1"
    assert world.place(pod(cpu="1500m")) == ""
    world.cache.forget(pod_id(first))
    assert world.place(pod(cpu="1500m")) == "n1"


def test_a_share_of_the_nodes_is_enough_to_choose_from() -> None:
    """Each pod is compared on the next hundred or more, so that all nodes have their turn."""
    world = World(*(node(f"n{number:03}", cpu="1") for number in range(300)))
    placement = Placement(world.framework, world.cache, Turns(), percentage=50)
    chosen = []
    for _ in range(4):
        outcome = placement.choose(world.cycle(pod()))
        assert not isinstance(outcome, Unfit)
        assert outcome.feasible == 150
        chosen.append(world.cache.table.rows[outcome.node] // 150)
    assert chosen == [0, 1, 0, 1]
    few = Placement(world.framework, world.cache, Turns(), percentage=1).choose(world.cycle(pod()))
    assert not isinstance(few, Unfit)
    assert few.feasible == 100


def test_filters_that_go_node_by_node_are_asked_until_enough_would_do() -> None:
    asked: list[list[int]] = []

    class Slow(Plugin):
        """Refuses every other node."""

        local = False
        by_node = True
        odd = 1

        def filter(self, cycle: Cycle, rows: Rows) -> BoolArray:
            numbers = np.arange(self.table.size)[rows]
            asked.append(numbers.tolist())
            fits: BoolArray = numbers % 2 == self.odd
            return fits

        def reasons(self, cycle: Cycle, rows: IntArray) -> dict[str, int]:
            return {"slow": len(rows)}

    world = World(*(node(f"n{number}") for number in range(1100)), specs=[*collect_plugins(), PluginSpec("Slow", Slow)])
    for _ in range(3):
        outcome = world.choose(pod())
        assert not isinstance(outcome, Unfit)
        assert outcome.feasible == 250
    assert [(rows[0], rows[-1], len(rows)) for rows in asked] == [(0, 499, 500), (500, 999, 500), (1000, 399, 500)]
    promised = pod()
    world.cache.nominations.put(promised, "n801")
    outcome = world.choose(promised)
    assert not isinstance(outcome, Unfit)
    assert outcome.node == "n801"
    asked.clear()
    assert world.choose(pod(nodeSelector={"kubernetes.io/hostname": "n7"})) == placement.Choice("n7", np.array([7]))
    assert asked == [[7]]
    Slow.odd = 2
    assert world.message(pod()) == "0/1100 nodes are available: 1100 slow."
