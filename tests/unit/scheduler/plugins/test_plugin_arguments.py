"""What the arguments in a configuration's `pluginConfig` make of the plugins."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.model import from_dict
from componentbase.configfile import ConfigFileError
from scheduler.configuration.load import parse_configuration
from scheduler.configuration.model import API_VERSION, KIND
from scheduler.views.node import Node
from scheduler.views.pod import Pod
from scheduler.views.service import Service
from tests.kits.control_plane.scheduler import World, node, pod

GPU = "example.com/gpu"


def world(plugin: str, args: dict[str, Any], *nodes: Node) -> World:
    config = [{"name": plugin, "args": args}]
    document = {"apiVersion": API_VERSION, "kind": KIND, "profiles": [{"pluginConfig": config}]}
    (profile,) = parse_configuration(document).profiles
    return World(*nodes, specs=list(profile.specs), points=profile.points)


def refused(plugin: str, args: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigFileError) as raised:
        world(plugin, args)
    assert f"profiles[0].pluginConfig[0].args.{why}" in str(raised.value)


# NodeResourcesFit


def fit(strategy: dict[str, Any], *nodes: Node) -> World:
    return world("NodeResourcesFit", {"scoringStrategy": strategy}, *(nodes or (node("n1", cpu="4", memory="8Gi"),)))


@pytest.mark.parametrize(
    ("strategy", "score"),
    [
        ({}, 50),
        ({"type": "MostAllocated"}, 50),
        ({"resources": [{"name": "cpu"}]}, 75),
        ({"type": "MostAllocated", "resources": [{"name": "cpu"}]}, 25),
        ({"type": "MostAllocated", "resources": [{"name": "cpu", "weight": 3}, {"name": "memory"}]}, 37),
    ],
)
def test_nodes_are_compared_by_the_scoring_strategy(strategy: dict[str, Any], score: int) -> None:
    assert fit(strategy).scores("NodeResourcesFit", pod(cpu="1", memory="6Gi")) == {"n1": score}


HALF = [{"utilization": 0, "score": 0}, {"utilization": 50, "score": 10}]
BIN_PACKING = [{"utilization": 0, "score": 0}, {"utilization": 100, "score": 10}]


@pytest.mark.parametrize(
    ("shape", "cpu", "score"),
    [
        (BIN_PACKING, "1", 25),
        (BIN_PACKING, "4", 100),
        (BIN_PACKING, "5", 100),  # more than there is counts as full
        ([{"utilization": 0, "score": 10}, {"utilization": 100, "score": 0}], "1", 75),
        ([{"utilization": 50, "score": 7}], "1", 70),
        ([{"utilization": 50, "score": 10}, {"utilization": 75, "score": 0}], "1", 100),
        (
            [*HALF, {"utilization": 70, "score": 5}],
            "2.4",
            75,
        ),
        ([*HALF, {"utilization": 70, "score": 5}], "4", 50),
    ],
)
def test_a_shape_turns_utilization_into_a_score(shape: list[dict[str, int]], cpu: str, score: int) -> None:
    ratio = {"type": "RequestedToCapacityRatio", "requestedToCapacityRatio": {"shape": shape}}
    made = fit(ratio | {"resources": [{"name": "cpu"}]})
    assert made.scores("NodeResourcesFit", pod(cpu=cpu)) == {"n1": score}


def test_a_ratio_leaves_out_resources_that_score_nothing() -> None:
    ratio = {"type": "RequestedToCapacityRatio", "requestedToCapacityRatio": {"shape": BIN_PACKING}}
    resources = [{"name": GPU, "weight": 5}, {"name": "cpu", "weight": 1}]
    nodes = (node("with", cpu="4", extra={GPU: "4"}), node("without", cpu="4"))
    made = fit(ratio | {"resources": resources}, *nodes)
    assert made.scores("NodeResourcesFit", with_gpu("2", cpu="1")) == {"with": 46, "without": 25}
    assert made.scores("NodeResourcesFit", pod(cpu="1")) == {"with": 25, "without": 25}


def with_gpu(count: str, cpu: str) -> Any:
    item = pod(cpu=cpu)
    item.spec.containers[0].resources.requests[GPU] = count  # type: ignore[union-attr,index]
    return item


@pytest.mark.parametrize(("kind", "scores"), [("LeastAllocated", [50, 75]), ("MostAllocated", [50, 25])])
def test_nodes_are_compared_by_extended_resources(kind: str, scores: list[int]) -> None:
    resources = [{"name": "cpu"}, {"name": GPU}]
    made = fit({"type": kind, "resources": resources}, node("a", extra={GPU: "4"}), node("b"))
    assert list(made.scores("NodeResourcesFit", with_gpu("3", cpu="1")).values()) == scores


def test_ignored_resources_need_not_be_free() -> None:
    item = with_gpu("1", cpu="1")
    assert "Insufficient example.com/gpu" in world("NodeResourcesFit", {}, node()).message(item)
    for args in ({"ignoredResources": [GPU]}, {"ignoredResourceGroups": ["example.com"]}):
        assert world("NodeResourcesFit", args, node()).place(item) == "n1"
    assert "Insufficient cpu" in world("NodeResourcesFit", {"ignoredResources": ["cpu"]}, node()).message(pod(cpu="5"))


@pytest.mark.parametrize(
    ("strategy", "why"),
    [
        ({"type": "Best"}, 'type: Unsupported value: "Best"'),
        ({"resources": [{"name": ""}]}, "resources[0].name: Required value"),
        ({"resources": [{"name": "cpu"}] * 2}, 'resources[1].name: Duplicate value: "cpu"'),
        ({"resources": [{"name": "cpu", "weight": 101}]}, "resources[0].weight: Invalid value: 101"),
        ({"type": "RequestedToCapacityRatio"}, "requestedToCapacityRatio.shape: Required value"),
    ],
)
def test_a_strategy_that_is_wrong_is_an_error(strategy: dict[str, Any], why: str) -> None:
    refused("NodeResourcesFit", {"scoringStrategy": strategy}, f"scoringStrategy.{why}")


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        ([{"utilization": 101, "score": 1}], "[0].utilization: Invalid value: 101"),
        ([{"utilization": 1, "score": 11}], "[0].score: Invalid value: 11"),
        ([{"utilization": 5, "score": 1}] * 2, "[1].utilization: Invalid value: 5"),
    ],
)
def test_a_shape_that_is_wrong_is_an_error(shape: list[dict[str, int]], why: str) -> None:
    strategy = {"type": "RequestedToCapacityRatio", "requestedToCapacityRatio": {"shape": shape}}
    refused("NodeResourcesFit", {"scoringStrategy": strategy}, f"scoringStrategy.requestedToCapacityRatio.shape{why}")


# NodeResourcesBalancedAllocation


def test_named_resources_are_balanced() -> None:
    name = "NodeResourcesBalancedAllocation"
    item = pod(cpu="2", memory="2Gi")  # half of one, a quarter of the other
    assert world(name, {}, node()).scores(name, item) == {"n1": 87}
    assert world(name, {"resources": [{"name": "cpu"}]}, node()).scores(name, item) == {"n1": 100}
    three = {"resources": [{"name": "cpu"}, {"name": "memory"}, {"name": GPU}]}
    nodes = node("a", extra={GPU: "4"}), node("b")
    assert world(name, three, *nodes).scores(name, with_gpu("4", cpu="2")) == {"a": 59, "b": 75}
    refused(name, {"resources": [{"name": "cpu", "weight": 2}]}, "resources[0].weight: Invalid value: 2")


# PodTopologySpread


def constraint(key: str, action: str, skew: int = 1) -> dict[str, Any]:
    return {"topologyKey": key, "maxSkew": skew, "whenUnsatisfiable": action}


def of_service() -> Pod:
    return pod(labels={"app": "web"})


def spreading(defaults: list[dict[str, Any]]) -> World:
    nodes = [node("a1", labels={"zone": "a"}), node("b1", labels={"zone": "b"}), node("c1", cpu="64")]
    made = world("PodTopologySpread", {"defaultingType": "List", "defaultConstraints": defaults}, *nodes)
    made.lister.put(
        from_dict(Service, {"metadata": {"name": "web", "namespace": "default"}, "spec": {"selector": {"app": "web"}}})
    )
    made.run(of_service(), "a1")
    return made


def test_pods_of_a_service_are_spread_by_the_default_constraints() -> None:
    assert spreading([constraint("zone", "DoNotSchedule")]).fitting(of_service) == {"b1"}
    assert spreading([constraint("zone", "DoNotSchedule")]).fitting(pod) == {"a1", "b1", "c1"}
    scores = spreading([constraint("zone", "ScheduleAnyway")]).scores("PodTopologySpread", of_service())
    assert (scores["b1"], scores["c1"]) == (100, 0)
    assert scores["a1"] < 100
    assert spreading([]).scores("PodTopologySpread", of_service()) == {}


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"defaultingType": "No"}, 'defaultingType: Unsupported value: "No"'),
        ({"defaultConstraints": [constraint("zone", "ScheduleAnyway")]}, "defaultingType: Invalid value"),
        ({"defaultConstraints": [constraint("zone", "No")]}, "defaultConstraints[0].whenUnsatisfiable: Unsupported"),
        ({"defaultConstraints": [constraint("", "DoNotSchedule")]}, "defaultConstraints[0].topologyKey: Required"),
        (
            {"defaultConstraints": [constraint("zone", "DoNotSchedule") | {"labelSelector": {}}]},
            "defaultConstraints[0].labelSelector: Forbidden",
        ),
    ],
)
def test_default_constraints_that_are_wrong_are_an_error(args: dict[str, Any], why: str) -> None:
    refused("PodTopologySpread", args, why)


# InterPodAffinity


def near(app: str) -> dict[str, Any]:
    return {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": app}}}


@pytest.mark.parametrize(
    ("args", "scores"),
    [
        ({}, {"a": 2, "b": 100, "c": 0}),
        ({"hardPodAffinityWeight": 0}, {"a": 0, "b": 100, "c": 0}),
        ({"hardPodAffinityWeight": 50}, {"a": 100, "b": 98, "c": 0}),
        ({"ignorePreferredTermsOfExistingPods": True}, {}),
    ],
)
def test_requirements_of_others_have_a_weight(args: dict[str, Any], scores: dict[str, int]) -> None:
    """Beside the preference of a pod on b, which weighs 49."""
    made = world("InterPodAffinity", args, node("a"), node("b"), node("c"))
    made.run(pod(affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [near("web")]}}), "a")
    prefers = [{"weight": 49, "podAffinityTerm": near("web")}]
    made.run(pod(affinity={"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": prefers}}), "b")
    assert made.scores("InterPodAffinity", pod(labels={"app": "web"})) == scores


def test_a_weight_out_of_range_is_an_error() -> None:
    refused("InterPodAffinity", {"hardPodAffinityWeight": 101}, "hardPodAffinityWeight: Invalid value: 101")


# NodeAffinity


def test_an_added_affinity_holds_for_all_pods() -> None:
    pool = {"key": "pool", "operator": "In", "values": ["web"]}
    fast = {"key": "disk", "operator": "Exists"}
    required = {"nodeSelectorTerms": [{"matchExpressions": [pool]}]}
    preferred = [{"weight": 10, "preference": {"matchExpressions": [fast]}}]
    added = {
        "requiredDuringSchedulingIgnoredDuringExecution": required,
        "preferredDuringSchedulingIgnoredDuringExecution": preferred,
    }
    nodes = [
        node("in", labels={"pool": "web"}),
        node("fast", labels={"pool": "web", "disk": "ssd"}),
        node("out", labels={"zone": "a"}),
    ]
    made = world("NodeAffinity", {"addedAffinity": added}, *nodes)
    assert made.fitting(pod) == {"in", "fast"}
    assert made.scores("NodeAffinity", pod()) == {"in": 0, "fast": 100, "out": 0}
    assert made.message(pod(nodeSelector={"zone": "a"})) == (
        "0/3 nodes are available: 1 node(s) didn't match scheduler-enforced node affinity, "
        "2 node(s) didn't match Pod's node affinity/selector."
    )
    wrong: dict[str, Any] = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}
    why = "addedAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value"
    refused("NodeAffinity", {"addedAffinity": wrong}, why)


def test_a_time_to_bind_below_zero_is_an_error() -> None:
    refused("VolumeBinding", {"bindTimeoutSeconds": -1}, "bindTimeoutSeconds: Invalid value: -1")
