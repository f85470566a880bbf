"""HorizontalPodAutoscalers: what they follow, their limits and what they decided last."""

from __future__ import annotations

from typing import Any

from kubeapi.autoscaling.horizontalpodautoscaler.metrics import SOURCES
from kubectl.api.client import Dict
from kubectl.describe.section import DescribeSection
from kubectl.describe.writer import TextWriter, when
from kubectl.invocation.command import CommandContext

_UNKNOWN = "<unknown>"


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status", {})
    target = spec["scaleTargetRef"]
    writer.head(obj)
    writer.field("CreationTimestamp", when(meta.get("creationTimestamp")))
    writer.field("Reference", f"{target['kind']}/{target['name']}")
    writer.field("Metrics", "( current / target )")
    readings = status.get("currentMetrics") or []
    for index, metric in enumerate(spec.get("metrics") or ()):
        label, text = _metric(metric, readings[index] if index < len(readings) else {})
        writer.field(label, text, 1)
    writer.field("Min replicas", spec.get("minReplicas", "<unset>"))
    writer.field("Max replicas", spec["maxReplicas"])
    if behavior := spec.get("behavior"):
        writer.heading("Behavior")
        _rules(writer, "Scale Up", behavior.get("scaleUp") or {})
        _rules(writer, "Scale Down", behavior.get("scaleDown") or {})
    now, wanted = status.get("currentReplicas", 0), status.get("desiredReplicas", 0)
    writer.field(f"{target['kind']} pods", f"{now} current / {wanted} desired")
    if conditions := status.get("conditions"):
        writer.heading("Conditions")
        rows = [[each[key] for key in ("type", "status", "reason", "message")] for each in conditions]
        writer.table(["Type", "Status", "Reason", "Message"], rows)


def _metric(metric: Dict, reading: Dict) -> tuple[str, str]:
    """Names a metric, and tells its reading and its target."""
    member = SOURCES.get(metric["type"], "")
    source: Dict | None = metric.get(member)
    if source is None:
        return f'<unknown metric type "{metric["type"]}">', ""
    current, target = (reading.get(member) or {}).get("current") or {}, source["target"]
    if member in ("resource", "containerResource"):
        label = f"resource {source['name']} on pods"
        if member == "containerResource":
            label = f'resource {source["name"]} of container "{source["container"]}" on pods'
        if "averageValue" in target:
            return label, _pair(current, target, "averageValue")
        used = _UNKNOWN
        if "averageUtilization" in current:
            used = f"{current['averageUtilization']}% ({current.get('averageValue', '')})"
        wanted = f"{target['averageUtilization']}%" if "averageUtilization" in target else "<auto>"
        return f"{label}  (as a percentage of request)", f"{used} / {wanted}"
    name = f'"{source["metric"]["name"]}"'
    if member == "pods":
        return f"{name} on pods", _pair(current, target, "averageValue")
    if member == "object":
        name += f" on {source['describedObject']['kind']}/{source['describedObject']['name']}"
    if "averageValue" in target:
        return f"{name} (target average value)", _pair(current, target, "averageValue")
    return f"{name} (target value)", _pair(current, target, "value")


def _pair(current: Dict, target: Dict, name: str) -> str:
    return f"{current.get(name, _UNKNOWN)} / {target[name]}"


def _rules(writer: TextWriter, direction: str, rules: dict[str, Any]) -> None:
    writer.heading(direction, 1)
    if (window := rules.get("stabilizationWindowSeconds")) is not None:
        writer.line(f"Stabilization Window: {window} seconds", 2)
    if policies := rules.get("policies"):
        writer.line(f"Select Policy: {rules.get('selectPolicy', 'Max')}", 2)
        writer.line("Policies:", 2)
        for policy in policies:
            text = f"- Type: {policy['type']}\tValue: {policy['value']}\tPeriod: {policy['periodSeconds']} seconds"
            writer.line(text, 3)


DESCRIBE = DescribeSection(_write, "autoscaling")
