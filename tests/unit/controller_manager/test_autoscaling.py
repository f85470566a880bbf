"""Autoscalers: the number of replicas that metrics ask for, and what limits it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from apimachinery.errors import NotFound
from apimachinery.meta import LabelSelector
from apimachinery.times import format_time
from controller_manager.controllers.autoscaling._limits import Bounds, History, limit
from controller_manager.controllers.autoscaling._metricsclient import MetricsClient
from controller_manager.controllers.autoscaling._proposals import go_text
from controller_manager.controllers.autoscaling._replicas import (
    Groups,
    MetricError,
    Reading,
    StartUp,
    Tolerances,
    by_average,
    by_share,
    by_total,
    by_utilization,
    group_pods,
    pod_requests,
)
from kubeapi.autoscaling.horizontalpodautoscaler.model import HorizontalPodAutoscaler, HorizontalPodAutoscalerBehavior
from kubeapi.autoscaling.horizontalpodautoscaler.resource import RESOURCE
from kubeapi.core.pod.model import Pod

NOW = 1_700_000_000.0
START_UP = StartUp(300, 30)
TENTH = Tolerances(0.1, 0.1)


def pod(name: str, **changes: Any) -> Pod:
    """Makes a pod that has been ready for an hour and requests 1 CPU, but for `changes` of its status or spec."""
    started, ready_since = changes.pop("started", NOW - 3600), changes.pop("ready_since", NOW - 3500)
    condition = {
        "type": "Ready",
        "status": changes.pop("ready", "True"),
        "lastTransitionTime": format_time(ready_since),
    }
    spec = {"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]} | changes.pop("spec", {})
    status = {"phase": "Running", "startTime": format_time(started), "conditions": [condition]} | changes
    return Pod.model_validate({"metadata": {"name": name}, "spec": spec, "status": status})


def readings(**values: int) -> dict[str, Reading]:
    return {name: Reading(value, NOW, 10.0) for name, value in values.items()}


def groups(ready: str, unready: str = "", missing: str = "") -> Groups:
    return Groups(frozenset(ready.split()), frozenset(unready.split()), frozenset(missing.split()))


@pytest.mark.parametrize(
    ("changes", "group"),
    [
        ({}, "ready"),
        ({"ready": "False"}, "ready"),  # it was ready once, so its reading counts
        ({"ready": "False", "ready_since": NOW - 3580}, "unready"),  # it has never been ready
        ({"started": NOW - 60, "ready_since": NOW - 50}, "ready"),
        ({"started": NOW - 60, "ready_since": NOW - 5}, "unready"),  # part of the window lies before it was ready
        ({"started": NOW - 60, "ready_since": NOW - 50, "ready": "False"}, "unready"),
        ({"conditions": []}, "unready"),
        ({"startTime": None}, "unready"),
        ({"phase": "Pending"}, "unready"),
        ({"phase": "Failed"}, "none"),
    ],
)
def test_a_pod_counts_once_its_use_of_cpu_is_more_than_that_of_its_start(changes: dict[str, Any], group: str) -> None:
    result = group_pods([pod("a", **changes)], readings(a=500), "cpu", START_UP, NOW)
    assert [name for name in ("ready", "unready", "missing") if getattr(result, name)] == (
        [] if group == "none" else [group]
    )


def test_only_cpu_waits_for_the_end_of_a_start() -> None:
    fresh = pod("a", started=NOW - 5, ready_since=NOW - 1, ready="False")
    assert group_pods([fresh], readings(a=1), "memory", START_UP, NOW).ready == {"a"}
    assert group_pods([fresh, pod("b")], readings(a=1), "", START_UP, NOW).missing == {"b"}


@pytest.mark.parametrize(
    ("values", "current", "group", "replicas"),
    [
        ({"a": 1000, "b": 1000}, 2, groups("a b"), 4),  # 100% of 50%
        ({"a": 540, "b": 550}, 2, groups("a b"), 2),  # within the tolerance
        ({"a": 560, "b": 560}, 2, groups("a b"), 3),
        ({"a": 100, "b": 100}, 2, groups("a b"), 1),
        ({"a": 0}, 1, groups("a"), 0),
        ({"a": 1000}, 2, groups("a", missing="b"), 2),  # b idle: 50%
        ({"a": 2000}, 2, groups("a", missing="b"), 4),
        ({"a": 100}, 2, groups("a", missing="b"), 2),  # b busy: (100+1000)/2000 = 55%
        ({"a": 1000, "b": 5000}, 2, groups("a", unready="b"), 2),  # an unready pod's reading does not count
        ({"a": 100, "b": 5000}, 2, groups("a", unready="b"), 1),  # nor does it hold back from shrinking
        ({"a": 800, "b": 800}, 4, groups("a b", missing="c d"), 4),  # the direction would turn
    ],
)
def test_utilization(values: dict[str, int], current: int, group: Groups, replicas: int) -> None:
    requests = dict.fromkeys("abcd", 1000)
    assert by_utilization(current, readings(**values), requests, 50, group, TENTH).replicas == replicas


def test_a_missing_pod_is_as_busy_as_a_target_beyond_its_request() -> None:
    requests = dict.fromkeys("ab", 1000)
    assert by_utilization(2, readings(a=1000), requests, 200, groups("a", missing="b"), TENTH).replicas == 2


def test_what_the_reading_was_is_told_without_assumptions() -> None:
    outcome = by_utilization(2, readings(a=300, b=500), {"a": 1000, "b": 1000}, 50, groups("a b"), TENTH)
    assert (outcome.value, outcome.utilization) == (400, 40)


def test_readings_of_no_pod_at_all_decide_nothing() -> None:
    with pytest.raises(MetricError, match="did not receive metrics for any ready pods"):
        by_utilization(2, readings(a=1), {"a": 1000}, 50, groups("", unready="a"), TENTH)
    with pytest.raises(MetricError, match="no metrics returned matched known pods"):
        by_utilization(2, readings(x=1), {"a": 1000}, 50, groups("x"), TENTH)


def test_averages() -> None:
    assert by_average(2, readings(a=30_000, b=10_000), 10_000, groups("a b"), TENTH).replicas == 4
    assert by_average(2, readings(a=10_500, b=10_000), 10_000, groups("a b"), TENTH).replicas == 2
    assert by_average(3, readings(a=1_000, b=1_000), 10_000, groups("a b", missing="c"), TENTH).replicas == 2


def test_a_metric_of_one_object_scales_the_ready_pods_and_wakes_from_zero() -> None:
    pods = [pod("a"), pod("b"), pod("c", ready="False")]
    assert by_total(3, 20_000, 10_000, pods, TENTH).replicas == 4
    assert by_total(3, 10_500, 10_000, pods, TENTH).replicas == 3
    assert by_total(0, 25_000, 10_000, [], TENTH).replicas == 3
    assert by_total(0, 0, 10_000, [], TENTH).replicas == 0
    with pytest.raises(MetricError, match="no pods returned by selector"):
        by_total(1, 90_000, 10_000, [], TENTH)


def test_a_share_of_each_replica() -> None:
    assert by_share(2, 45_000, 10_000, TENTH).replicas == 5
    assert by_share(2, 45_000, 10_000, TENTH).value == 22_500
    assert by_share(2, 21_000, 10_000, TENTH).replicas == 2
    assert by_share(0, 21_000, 10_000, TENTH).replicas == 3


def test_tolerances_of_both_directions() -> None:
    uneven = Tolerances(0.5, 0.0)
    assert by_average(2, readings(a=6_000, b=6_000), 10_000, groups("a b"), uneven).replicas == 2
    assert by_average(2, readings(a=10_100, b=10_100), 10_000, groups("a b"), uneven).replicas == 3


def test_requests_are_those_of_all_containers_that_stay() -> None:
    cpu = {"resources": {"requests": {"cpu": "250m"}}}
    sidecar = {"name": "s", "restartPolicy": "Always", **cpu}
    two = pod("a", spec={"containers": [{"name": "x", **cpu}, {"name": "y", **cpu}], "initContainers": [sidecar]})
    assert pod_requests([two], "cpu") == {"a": 750}
    assert pod_requests([two], "cpu", "y") == {"a": 250}
    whole = pod("b", spec={"containers": [{"name": "x"}], "resources": {"requests": {"cpu": "2"}}})
    assert pod_requests([whole], "cpu") == {"b": 2000}
    with pytest.raises(MetricError, match="missing request for memory in container x of Pod a"):
        pod_requests([two], "memory")


# Limits


def behavior(up: dict[str, Any] | None = None, down: dict[str, Any] | None = None) -> HorizontalPodAutoscalerBehavior:
    obj = HorizontalPodAutoscaler.model_validate({"spec": {"behavior": {"scaleUp": up, "scaleDown": down}}})
    RESOURCE.strategy.default(obj)
    assert obj.spec.behavior is not None
    return obj.spec.behavior


def policy(kind: str, value: int, seconds: int = 60) -> dict[str, Any]:
    return {"type": kind, "value": value, "periodSeconds": seconds}


@pytest.mark.parametrize(
    ("proposed", "current", "replicas", "limited", "reason"),
    [
        (3, 2, 3, False, "DesiredWithinRange"),
        (50, 1, 4, True, "ScaleUpLimit"),
        (50, 5, 10, True, "ScaleUpLimit"),
        (50, 9, 15, True, "TooManyReplicas"),
        (1, 4, 2, True, "TooFewReplicas"),
        (2, 2, 2, False, "DesiredWithinRange"),
    ],
)
def test_without_rules_a_workload_doubles_at_most(
    proposed: int, current: int, replicas: int, limited: bool, reason: str
) -> None:
    result = limit(proposed, current, Bounds(2, 15), None, History(), 0.0, 300)
    assert (result.replicas, result.limited, result.limit[0]) == (replicas, limited, reason)


@pytest.mark.parametrize("rules", [None, behavior()])
def test_the_largest_proposal_of_the_window_keeps_a_workload_from_shrinking(
    rules: HorizontalPodAutoscalerBehavior | None,
) -> None:
    history = History()
    assert limit(10, 10, Bounds(1, 20), rules, history, 0.0, 300).replicas == 10
    result = limit(3, 10, Bounds(1, 20), rules, history, 200.0, 300)
    assert (result.replicas, result.able[0]) == (10, "ScaleDownStabilized")
    assert limit(3, 10, Bounds(1, 20), rules, history, 301.0, 300).replicas == 3
    assert len(history.proposals) == 2  # what no window reaches is forgotten


def test_the_least_proposal_of_the_window_keeps_a_workload_from_growing() -> None:
    rules, history = behavior(up={"stabilizationWindowSeconds": 60}), History()
    limit(2, 2, Bounds(1, 20), rules, history, 0.0, 0)
    result = limit(6, 2, Bounds(1, 20), rules, history, 30.0, 0)
    assert (result.replicas, result.able[0]) == (2, "ScaleUpStabilized")
    assert limit(6, 2, Bounds(1, 20), rules, history, 61.0, 0).replicas == 6


@pytest.mark.parametrize(("select", "replicas"), [("Max", 20), ("Min", 12), ("Disabled", 10)])
def test_policies_limit_the_speed_of_growth(select: str, replicas: int) -> None:
    rules = behavior(up={"selectPolicy": select, "policies": [policy("Percent", 100), policy("Pods", 2)]})
    result = limit(100, 10, Bounds(1, 100), rules, History(), 0.0, 0)
    assert (result.replicas, result.limit[0]) == (replicas, "ScaleUpLimit")


@pytest.mark.parametrize(("select", "replicas"), [("Max", 5), ("Min", 8), ("Disabled", 10)])
def test_policies_limit_the_speed_of_shrinking(select: str, replicas: int) -> None:
    rules = behavior(down={"selectPolicy": select, "policies": [policy("Percent", 50), policy("Pods", 2)]})
    result = limit(1, 10, Bounds(1, 100), rules, History(), 0.0, 0)
    assert (result.replicas, result.limit[0]) == (replicas, "ScaleDownLimit")


def test_changes_within_the_period_use_up_the_speed() -> None:
    rules, history = behavior(up={"policies": [policy("Pods", 4, 60)]}), History()
    history.note_change(6, 9, rules, 0.0)
    assert limit(100, 9, Bounds(1, 100), rules, history, 30.0, 0).replicas == 10
    history.note_change(9, 10, rules, 30.0)
    assert limit(100, 10, Bounds(1, 100), rules, history, 45.0, 0).replicas == 10
    assert limit(100, 10, Bounds(1, 100), rules, history, 61.0, 0).replicas == 13
    history.note_change(10, 13, rules, 95.0)
    assert [time for time, _ in history.added] == [95.0]


def test_a_percentage_of_few_pods_still_grows() -> None:
    rules = behavior(up={"policies": [policy("Percent", 10)]})
    assert limit(100, 3, Bounds(1, 100), rules, History(), 0.0, 0).replicas == 4


def test_minimum_and_maximum_hold_with_rules() -> None:
    assert limit(1, 4, Bounds(2, 9), behavior(), History(), 0.0, 0).limit[0] == "TooFewReplicas"
    result = limit(30, 8, Bounds(2, 9), behavior(), History(), 0.0, 0)
    assert (result.replicas, result.limit[0]) == (9, "TooManyReplicas")


def test_a_selector_in_an_event_is_written_as_upstream_does() -> None:
    expression = {"key": "k", "operator": "In", "values": ["x", "y"]}
    selector = LabelSelector.model_validate({"matchLabels": {"b": "1", "a": "2"}, "matchExpressions": [expression]})
    assert go_text(selector) == (
        "&LabelSelector{MatchLabels:map[string]string{a: 2,b: 1,},MatchExpressions:[]LabelSelectorRequirement{"
        "LabelSelectorRequirement{Key:k,Operator:In,Values:[x y],},},}"
    )
    assert go_text(None) == "nil"


# What the APIs of metrics answer


class MetricsApi:
    """Answers by path; any other path does not exist."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {
            f"/apis/{group}.metrics.k8s.io": {"preferredVersion": {"version": "v7"}} for group in ("custom", "external")
        } | answers
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def request(self, method: str, path: str, *, params: dict[str, str] | None = None) -> bytes:
        self.asked.append((path, params or {}))
        if path not in self.answers:
            raise NotFound("the server could not find the requested resource")
        return orjson.dumps(self.answers[path])


def client(**answers: Any) -> tuple[MetricsClient, MetricsApi]:
    api = MetricsApi(**answers)
    return MetricsClient(api), api  # type: ignore[arg-type]


PODS = "/apis/metrics.k8s.io/v1beta1/namespaces/ns/pods"
TIMES = {"timestamp": format_time(NOW), "window": "1m10s"}


def used(name: str, *cpu: str) -> dict[str, Any]:
    containers = [{"name": f"c{at}", "usage": {"cpu": amount} if amount else {}} for at, amount in enumerate(cpu)]
    return {"metadata": {"name": name}, "containers": containers, **TIMES}


async def test_the_use_of_a_pod_is_that_of_all_its_containers() -> None:
    metrics, api = client(**{PODS: {"items": [used("a", "100m", "1"), used("b", "1", ""), used("c")]}})
    assert await metrics.of_resource("ns", "app=web", "cpu") == {"a": Reading(1100, NOW, 70.0)}
    assert api.asked == [(PODS, {"labelSelector": "app=web"})]
    metrics, _ = client(**{PODS: {"items": [used("a", "100m", "1")]}})
    assert await metrics.of_resource("ns", "", "cpu", "c1") == {"a": Reading(1000, NOW, 70.0)}
    with pytest.raises(MetricError, match="container x not present in metrics for pod ns/a"):
        await metrics.of_resource("ns", "", "cpu", "x")


async def test_metrics_of_ones_own_are_asked_for_in_the_preferred_version() -> None:
    item = {"describedObject": {"name": "a"}, "timestamp": format_time(NOW), "value": "2500m"}
    root = "/apis/custom.metrics.k8s.io/v7/namespaces/ns"
    paths = [f"{root}/pods/*/hits", f"{root}/ingresses.networking.k8s.io/i/hits", f"{root}/metrics/hits"]
    series = "/apis/external.metrics.k8s.io/v7/namespaces/ns/depth"
    metrics, api = client(**{path: {"items": [item]} for path in paths}, **{series: {"items": [{"value": "3"}] * 2}})
    assert await metrics.of_pods("ns", "app=web", "hits", "a=b") == {"a": Reading(2500, NOW, 60.0)}
    assert api.asked[-1] == (paths[0], {"labelSelector": "app=web", "metricLabelSelector": "a=b"})
    assert await metrics.of_object("ns", "ingresses.networking.k8s.io", "i", "hits", "") == 2500
    assert await metrics.of_object("other", "namespaces", "ns", "hits", "") == 2500
    assert await metrics.external("ns", "depth", "") == 6000
    assert [path for path, _ in api.asked].count("/apis/custom.metrics.k8s.io") == 1


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"items": []}, "no metrics returned from external metrics API"),
        ({"items": [{"value": "x"}]}, "unable to fetch metrics from external metrics API: the answer can't be read"),
        ({"other": 1}, "unable to fetch metrics from external metrics API: the answer can't be read"),
    ],
)
async def test_an_answer_without_a_value_is_told(answer: dict[str, Any], message: str) -> None:
    metrics, _ = client(**{"/apis/external.metrics.k8s.io/v7/namespaces/ns/depth": answer})
    with pytest.raises(MetricError, match=message):
        await metrics.external("ns", "depth", "")


async def test_an_api_that_nobody_serves_is_told() -> None:
    metrics, api = client()
    with pytest.raises(MetricError, match="unable to fetch metrics from resource metrics API: the server could not"):
        await metrics.of_resource("ns", "", "cpu")
    api.answers.clear()
    with pytest.raises(MetricError, match=r"no custom metrics API \(custom.metrics.k8s.io\) registered"):
        await metrics.of_pods("ns", "", "hits", "")
