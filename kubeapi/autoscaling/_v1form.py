"""The form that autoscaling/v1 gives to an autoscaler: it has a field for the CPU alone, the rest is in annotations.

Objects are plain JSON types. What an annotation says in another form than ours is ignored.

Source: Kubernetes documentation, "Horizontal Pod Autoscaling", and the annotations that upstream writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson

from kubeapi.autoscaling.horizontalpodautoscaler.metrics import SOURCES

Dict = dict[str, Any]

V1, V2 = "autoscaling/v1", "autoscaling/v2"
_PREFIX = "autoscaling.alpha.kubernetes.io/"
METRICS, BEHAVIOR = _PREFIX + "metrics", _PREFIX + "behavior"
CURRENT_METRICS, CONDITIONS = _PREFIX + "current-metrics", _PREFIX + "conditions"


def to_v1(stored: Dict) -> Dict:
    """Turns an object of v2 into the form of v1."""
    spec, status = stored.pop("spec", {}), stored.pop("status", {})
    metrics, readings = spec.pop("metrics", None) or [], status.pop("currentMetrics", None) or []
    others = [metric for metric in metrics if _cpu_utilization(metric) is None]
    notes: Dict = {}
    if others:
        notes[METRICS] = _text([_metric_to_v1(metric, "target", _target_to_v1) for metric in others])
    if behavior := spec.pop("behavior", None):
        notes[BEHAVIOR] = _text(_capitalized(behavior))
    if readings:
        notes[CURRENT_METRICS] = _text([_metric_to_v1(reading, "current", _current_to_v1) for reading in readings])
    if conditions := status.pop("conditions", None):
        notes[CONDITIONS] = _text([_in_order(each, _CONDITION_ORDER) for each in conditions])
    for metric in metrics:
        if (percent := _cpu_utilization(metric)) is not None:
            spec["targetCPUUtilizationPercentage"] = percent
            break
    for reading in readings:
        resource = reading.get("resource") or {}
        if resource.get("name") == "cpu" and (used := resource["current"].get("averageUtilization")) is not None:
            status["currentCPUUtilizationPercentage"] = used
            break
    status["currentReplicas"] = status.get("currentReplicas") or 0
    return _with_annotations(stored, notes) | {"apiVersion": V1, "spec": spec, "status": status}


def to_v2(shown: Dict) -> Dict:
    """Turns an object of v1 into the form of v2."""
    spec, status = shown.pop("spec", {}), shown.pop("status", {})
    notes = (shown.get("metadata") or {}).get("annotations") or {}
    metrics = (
        _read(notes, METRICS, lambda items: [_metric_to_v2(item, "target", _target_to_v2) for item in items]) or []
    )
    if (percent := spec.pop("targetCPUUtilizationPercentage", None)) is not None:
        target = {"type": "Utilization", "averageUtilization": percent}
        # First, where most have it: readings of the status belong to metrics by their place.
        metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}, *metrics]
    if metrics:
        spec["metrics"] = metrics
    if behavior := _read(notes, BEHAVIOR, _uncapitalized):
        spec["behavior"] = behavior
    used = status.pop("currentCPUUtilizationPercentage", None)
    readings = _read(
        notes, CURRENT_METRICS, lambda items: [_metric_to_v2(item, "current", _current_to_v2) for item in items]
    )
    if readings is None and used is not None:
        readings = [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": used}}}]
    if readings:
        status["currentMetrics"] = readings
    if conditions := _read(notes, CONDITIONS, list):
        status["conditions"] = conditions
    return _with_annotations(shown, {}) | {"apiVersion": V2, "spec": spec, "status": status}


def _cpu_utilization(metric: Dict) -> int | None:
    resource = metric.get("resource") or {}
    if metric.get("type") != "Resource" or resource.get("name") != "cpu":
        return None
    percent: int | None = resource.get("target", {}).get("averageUtilization")
    return percent


def _with_annotations(obj: Dict, notes: Dict) -> Dict:
    """Replaces those annotations that carry the fields of v2."""
    metadata = dict(obj.get("metadata") or {})
    old = metadata.pop("annotations", None) or {}
    names = (METRICS, BEHAVIOR, CURRENT_METRICS, CONDITIONS)
    if annotations := {key: value for key, value in old.items() if key not in names} | notes:
        metadata["annotations"] = annotations
    return obj | {"metadata": metadata}


def _read(notes: Dict, name: str, convert: Callable[[Any], Any]) -> Any:
    """Returns None for an annotation that is absent or in no form of ours: a client may have written it by hand."""
    try:
        return convert(orjson.loads(notes[name]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


_CONDITION_ORDER = ("type", "status", "lastTransitionTime", "reason", "message")


def _in_order(value: Dict, names: Iterable[str]) -> Dict:
    return {name: value[name] for name in names if name in value}


def _capitalized(behavior: Dict) -> Dict:
    """Names the fields as upstream's own structs do, which is what that annotation shows."""

    def rules(value: Dict | None) -> Dict | None:
        if value is None:
            return None
        policies = [
            {"Type": policy["type"], "Value": policy["value"], "PeriodSeconds": policy["periodSeconds"]}
            for policy in value.get("policies") or ()
        ]
        return {
            "StabilizationWindowSeconds": value.get("stabilizationWindowSeconds"),
            "SelectPolicy": value.get("selectPolicy"),
            "Policies": policies,
            "Tolerance": value.get("tolerance"),
        }

    return {"ScaleUp": rules(behavior.get("scaleUp")), "ScaleDown": rules(behavior.get("scaleDown"))}


def _uncapitalized(value: Any) -> Any:
    if isinstance(value, list):
        return [_uncapitalized(item) for item in value]
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: _uncapitalized(item) for key, item in value.items() if item is not None}
    return value


# Metrics: v1 has one flat member for each type, v2 an identifier and a target or a reading.


def _metric_to_v1(metric: Dict, amounts: str, convert: Callable[[str, Dict], Dict]) -> Dict:
    member = SOURCES.get(metric["type"], "")
    source = metric.get(member)
    if source is None:
        return {"type": metric["type"]}
    flat: Dict = {}
    if member == "object":
        flat["target"] = _in_order(source["describedObject"], ("kind", "name", "apiVersion"))
    if "metric" in source:
        flat["metricName"] = source["metric"]["name"]
    else:
        flat["name"] = source["name"]
    selector = source.get("metric", {}).get("selector")
    if selector is not None and member == "external":
        flat["metricSelector"] = selector
    flat |= convert(member, source[amounts])
    if selector is not None and member != "external":
        flat["selector"] = selector
    if member == "object" and "averageValue" in source[amounts]:
        flat["averageValue"] = source[amounts]["averageValue"]
    if member == "containerResource":
        flat["container"] = source["container"]
    return {"type": metric["type"], member: flat}


def _target_to_v1(member: str, target: Dict) -> Dict:
    flat: Dict = {}
    if member == "object":
        return {"targetValue": target.get("value", "0")}
    if "value" in target and member == "external":
        flat["targetValue"] = target["value"]
    if "averageUtilization" in target:
        flat["targetAverageUtilization"] = target["averageUtilization"]
    if "averageValue" in target:
        flat["targetAverageValue"] = target["averageValue"]
    return flat


def _current_to_v1(member: str, current: Dict) -> Dict:
    if member in ("object", "external"):
        flat = {"currentValue": current.get("value", "0")}
        if member == "external" and "averageValue" in current:
            flat["currentAverageValue"] = current["averageValue"]
        return flat
    flat = {"currentAverageUtilization": current["averageUtilization"]} if "averageUtilization" in current else {}
    return flat | {"currentAverageValue": current.get("averageValue", "0")}


def _metric_to_v2(metric: Dict, amounts: str, convert: Callable[[Dict], Dict]) -> Dict:
    member = SOURCES.get(metric["type"], "")
    flat = metric.get(member)
    if flat is None:
        return {"type": metric["type"]}
    source: Dict = {amounts: convert(flat)}
    if "metricName" in flat:
        selector = flat.get("selector") or flat.get("metricSelector")
        source["metric"] = {"name": flat["metricName"]} | ({"selector": selector} if selector else {})
    else:
        source["name"] = flat["name"]
    if member == "object":
        source["describedObject"] = flat["target"]
    if member == "containerResource":
        source["container"] = flat["container"]
    return {"type": metric["type"], member: source}


def _target_to_v2(flat: Dict) -> Dict:
    if (percent := flat.get("targetAverageUtilization")) is not None:
        return {"type": "Utilization", "averageUtilization": percent}
    average = flat.get("targetAverageValue", flat.get("averageValue"))
    if average is not None:
        return {"type": "AverageValue", "averageValue": average}
    return {"type": "Value", "value": flat["targetValue"]}


def _current_to_v2(flat: Dict) -> Dict:
    current = {}
    for name in ("Value", "AverageValue", "AverageUtilization"):
        if (amount := flat.get("current" + name)) is not None:
            current[name[0].lower() + name[1:]] = amount
    if "averageValue" in flat:
        current["averageValue"] = flat["averageValue"]
    return current
