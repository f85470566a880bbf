"""Autoscalers: the two versions are one object, and rules that the recorded cases don't show."""

from typing import Any

import pytest

from apimachinery.columns import NONE
from apimachinery.model import from_dict, to_dict
from kubeapi.autoscaling._v1form import BEHAVIOR, CONDITIONS, CURRENT_METRICS, METRICS, to_v1, to_v2
from kubeapi.autoscaling.horizontalpodautoscaler.model import HorizontalPodAutoscaler
from kubeapi.autoscaling.horizontalpodautoscaler.resource import RESOURCE, targets
from kubeapi.autoscaling.horizontalpodautoscaler.validation import SCALE_TO_ZERO

TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
METRIC = {"name": "hits", "selector": {"matchLabels": {"a": "b"}}}
SERVICE = {"kind": "Service", "name": "s", "apiVersion": "v1"}


def cpu(percent: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def autoscaler(spec: dict[str, Any], status: dict[str, Any] | None = None) -> HorizontalPodAutoscaler:
    document = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"}}
    spec = {"scaleTargetRef": TARGET, "maxReplicas": 5} | spec
    obj = from_dict(HorizontalPodAutoscaler, document | {"spec": spec, "status": status or {}})
    RESOURCE.strategy.default(obj)
    return obj


def through_v1(obj: HorizontalPodAutoscaler) -> HorizontalPodAutoscaler:
    return from_dict(HorizontalPodAutoscaler, to_v2(to_v1(to_dict(obj))))


VALUE, AVERAGE = {"type": "Value", "value": "2k"}, {"type": "AverageValue", "averageValue": "4"}
HITS = {"describedObject": SERVICE, "metric": METRIC}
OF_CONTAINER = {"name": "cpu", "container": "c", "target": {"type": "Utilization", "averageUtilization": 9}}
METRICS_OF_ALL_KINDS = [
    {"type": "Resource", "resource": {"name": "memory", "target": AVERAGE}},
    {"type": "Pods", "pods": {"metric": METRIC, "target": AVERAGE}},
    {"type": "Object", "object": HITS | {"target": VALUE}},
    {"type": "Object", "object": HITS | {"target": AVERAGE}},
    {"type": "External", "external": {"metric": METRIC, "target": VALUE}},
    {"type": "External", "external": {"metric": METRIC, "target": AVERAGE}},
    {"type": "ContainerResource", "containerResource": OF_CONTAINER},
]


@pytest.mark.parametrize("metric", METRICS_OF_ALL_KINDS, ids=lambda metric: metric["type"])
def test_what_v1_has_no_field_for_goes_through_it_unharmed(metric: dict[str, Any]) -> None:
    obj = autoscaler({"metrics": [cpu(60), metric], "behavior": {"scaleUp": {"tolerance": "50m"}}})
    shown = to_v1(to_dict(obj))
    assert shown["spec"]["targetCPUUtilizationPercentage"] == 60
    assert set(shown["metadata"]["annotations"]) == {METRICS, BEHAVIOR}
    assert through_v1(obj) == obj


def test_a_status_goes_through_v1_unharmed() -> None:
    values = {"averageUtilization": 55, "averageValue": "110m"}
    condition = {"type": "AbleToScale", "status": "True", "reason": "ok", "lastTransitionTime": "2024-01-01T00:00:00Z"}
    readings = [
        {"type": "Resource", "resource": {"name": "cpu", "current": values}},
        {"type": "Pods", "pods": {"metric": METRIC, "current": {"averageValue": "3"}}},
        {"type": "Object", "object": {"metric": METRIC, "describedObject": SERVICE, "current": {"value": "7"}}},
    ]
    obj = autoscaler({}, {"currentReplicas": 2, "currentMetrics": readings, "conditions": [condition]})
    shown = to_v1(to_dict(obj))
    assert shown["status"]["currentCPUUtilizationPercentage"] == 55
    assert set(shown["metadata"]["annotations"]) == {CURRENT_METRICS, CONDITIONS}
    assert through_v1(obj) == obj


@pytest.mark.parametrize("text", ["", "no JSON", "[1]", '[{"type":"Pods","pods":{}}]', '{"a":1}', "null"])
def test_an_annotation_that_says_nothing_of_ours_is_ignored(text: str) -> None:
    shown = {"metadata": {"annotations": {METRICS: text}}, "spec": {"scaleTargetRef": TARGET, "maxReplicas": 3}}
    assert "metrics" not in to_v2(shown)["spec"]


def test_a_feature_allows_no_replicas_at_all_to_what_is_not_measured_by_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SCALE_TO_ZERO, "enabled", True)
    metric = {"type": "External", "external": {"metric": METRIC, "target": {"type": "Value", "value": "3"}}}
    obj = autoscaler({"minReplicas": 0, "metrics": [metric], "scaleTargetRef": TARGET})
    assert RESOURCE.strategy.validate_create(obj) == []
    obj.spec.metrics = None
    errors = RESOURCE.strategy.validate_create(obj)
    assert [error.field for error in errors] == ["spec.metrics"]
    obj.spec.minReplicas = -1
    assert RESOURCE.strategy.validate_create(obj)[0].message.endswith("must be greater than or equal to 0")


def test_an_update_may_keep_what_newer_rules_refuse() -> None:
    strategy = RESOURCE.strategy
    metric = {"type": "External", "external": {"metric": METRIC, "target": {"type": "Value", "value": "3"}}}
    old = autoscaler({"minReplicas": 0, "metrics": [metric], "scaleTargetRef": {"kind": "Deployment", "name": "web"}})
    assert [error.field for error in strategy.validate_create(old)] == [
        "spec.minReplicas", "spec.scaleTargetRef.apiVersion",
    ]  # fmt: skip
    assert strategy.validate_update(old.clone(), old) == []
    assert [error.field for error in strategy.validate_update(old, autoscaler({"metrics": [metric]}))] == [
        "spec.minReplicas", "spec.scaleTargetRef.apiVersion",
    ]  # fmt: skip


def test_targets_tell_readings_and_aims() -> None:
    assert targets(autoscaler({})) == "cpu: <unknown>/80%"
    reading = {"type": "External", "external": {"metric": METRIC, "current": {"averageValue": "2500m"}}}
    average = METRICS_OF_ALL_KINDS[5]
    assert targets(autoscaler({"metrics": [average]}, {"currentMetrics": [reading]})) == "2500m/4 (avg)"
    assert targets(autoscaler({"metrics": METRICS_OF_ALL_KINDS[2:5]})) == "<unknown>/2k, <unknown>/4 (avg) + 1 more..."
    assert targets(from_dict(HorizontalPodAutoscaler, {"spec": {}})) == NONE
