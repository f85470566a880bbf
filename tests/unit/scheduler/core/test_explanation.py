"""What plugins say of each node for one pod."""

from __future__ import annotations

import pytest

from scheduler.configuration.load import DEFAULT_NAME
from scheduler.core.explanation import Explanation, explain
from scheduler.core.placement import Choice
from scheduler.explain import NothingToExplain, explain_pod
from scheduler.views.pod import Pod
from tests.kits.control_plane.scheduler import World, node, pod
from tests.kits.control_plane.schedulerbench import Bench


def explained(world: World, item: Pod) -> Explanation:
    return explain(world.framework, world.cache.table, world.cycle(item))


def test_every_plugin_says_why_it_refuses_a_node() -> None:
    world = World(node("small", cpu="1", taints=["a=b:NoSchedule"]), node("off", unschedulable=True), node("good"))
    made = explained(world, pod(cpu="2"))
    assert made.refusals == {
        "small": {
            "TaintToleration": "node(s) had untolerated taint(s)",
            "NodeResourcesFit": "Insufficient cpu",
        },
        "off": {"NodeUnschedulable": "node(s) were unschedulable"},
    }
    assert list(made.scores) == ["good"]


def test_the_best_by_scores_is_the_one_that_is_chosen() -> None:
    world = World(node("n1", cpu="2"), node("n2", cpu="8"), node("n3", cpu="4", taints=["a=b:PreferNoSchedule"]))
    made = explained(world, pod(cpu="1", memory="1Gi"))
    assert world.place(pod(cpu="1", memory="1Gi")) == next(iter(made.scores)) == "n2"
    assert made.scores["n3"]["TaintToleration"] == 0
    assert made.scores["n2"]["TaintToleration"] == 300  # a hundred times its weight
    assert set(made.scores) == {"n1", "n2", "n3"}


def test_what_keeps_a_pod_from_all_nodes_is_said_once() -> None:
    made = explained(
        World(node()),
        pod(schedulingGates=[{"name": "quota"}], resourceClaims=[{"name": "gpu", "resourceClaimName": "gpu"}]),
    )
    assert made.rejections == {
        "SchedulingGates": "waiting for scheduling gates: [quota]",
        "DynamicResources": 'could not find resource claim "default/gpu"',
    }
    assert made.scores == made.refusals == {}


def test_a_pod_that_names_its_node_hears_so_of_the_others() -> None:
    field = {"key": "metadata.name", "operator": "In", "values": ["n1"]}
    required = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    made = explained(World(node("n1"), node("n2")), pod(affinity=affinity))
    assert list(made.scores) == ["n1"]
    assert set(made.refusals["n2"]) == {"NodeAffinity"}


@pytest.mark.parametrize("cpu", ["1", "3", "9"])
def test_the_nodes_that_would_do_are_those_that_the_scheduler_sees(cpu: str) -> None:
    world = World(*(node(f"n{number}", cpu=str(number)) for number in range(1, 6)))
    outcome = world.choose(pod(cpu=cpu))
    count = outcome.feasible if isinstance(outcome, Choice) else 0
    made = explained(world, pod(cpu=cpu))
    assert len(made.scores) == count
    assert len(made.refusals) == 5 - count


async def test_a_pod_is_explained_as_if_it_had_no_node() -> None:
    bench = Bench()
    bench.put(node("n1", cpu="2"))
    bench.put(node("n2", cpu="1"))
    bench.bound(pod("web", cpu="2", schedulerName=DEFAULT_NAME), "n1")
    bench.put(pod("other", schedulerName="other"))
    text = await explain_pod(bench.scheduler, "default/web")
    assert text.startswith("Pod default/web runs on n1. Nodes that would do now: 1 of 2.\n\nScores, times")
    assert text.endswith("\nn2     NodeResourcesFit   Insufficient cpu\n")
    assert "NodeName" not in text
    with pytest.raises(NothingToExplain, match="is for the scheduler other"):
        await explain_pod(bench.scheduler, "default/other")
    with pytest.raises(NothingToExplain, match="no pod default/none"):
        await explain_pod(bench.scheduler, "default/none")
