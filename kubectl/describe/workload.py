"""Deployments and ReplicaSets."""

from __future__ import annotations

from typing import Any

from kubectl.command import Context
from kubectl.describe.generic import conditions, controlled_by, events, head
from kubectl.describe.pod import template_lines
from kubectl.describe.writer import Writer, when
from kubectl.podtarget import pods_by_selector, selector_text

Dict = dict[str, Any]


def _selector(obj: Dict) -> str:
    return selector_text(obj["spec"]["selector"])


def describe_deployment(context: Context, obj: Dict) -> str:
    writer = Writer()
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status", {})
    writer.field("Name", meta["name"])
    writer.field("Namespace", meta["namespace"])
    writer.field("CreationTimestamp", when(meta.get("creationTimestamp")))
    writer.mapping("Labels", meta.get("labels"))
    writer.mapping("Annotations", meta.get("annotations"), ": ")
    writer.field("Selector", _selector(obj))
    writer.field(
        "Replicas",
        f"{spec.get('replicas', 1)} desired | {status.get('updatedReplicas', 0)} updated | "
        f"{status.get('replicas', 0)} total | {status.get('availableReplicas', 0)} available | "
        f"{status.get('unavailableReplicas', 0)} unavailable",
    )
    strategy = spec.get("strategy") or {}
    writer.field("StrategyType", strategy.get("type", "RollingUpdate"))
    writer.field("MinReadySeconds", spec.get("minReadySeconds", 0))
    if rolling := strategy.get("rollingUpdate"):
        text = f"{rolling.get('maxUnavailable')} max unavailable, {rolling.get('maxSurge')} max surge"
        writer.field("RollingUpdateStrategy", text)
    writer.heading("Pod Template")
    template_lines(writer, spec["template"])
    conditions(writer, obj)
    old, new = _replicasets(context, obj)
    writer.field("OldReplicaSets", old)
    writer.field("NewReplicaSet", new)
    events(context, writer, obj)
    return writer.text()


def _replicasets(context: Context, deployment: Dict) -> tuple[str, str]:
    from kubectl.commands.rollout import REVISION, revisions
    from kubectl.manifests import Target

    kind = context.discovery.by_kind("apps/v1", "Deployment")
    meta = deployment["metadata"]
    found = revisions(context, Target(kind, meta["name"], meta["namespace"]), deployment)
    current = int((meta.get("annotations") or {}).get(REVISION, 0))

    def text(item: Dict) -> str:
        wanted, have = item["spec"].get("replicas", 0), item.get("status", {}).get("replicas", 0)
        return f"{item['metadata']['name']} ({have}/{wanted} replicas created)"

    old = [text(item) for revision, item in found.items() if revision != current and item["spec"].get("replicas")]
    return ", ".join(old) or "<none>", text(found[current]) if current in found else "<none>"


def describe_replicaset(context: Context, obj: Dict) -> str:
    writer = Writer()
    spec, status = obj["spec"], obj.get("status", {})
    head(writer, obj)
    controlled_by(writer, obj)
    writer.field("Selector", _selector(obj))
    writer.field("Replicas", f"{status.get('replicas', 0)} current / {spec.get('replicas', 1)} desired")
    counts = {"Pending": 0, "Running": 0, "Succeeded": 0, "Failed": 0}
    for pod in pods_by_selector(context, _selector(obj), obj["metadata"]["namespace"]):
        phase = pod.get("status", {}).get("phase", "Pending")
        counts[phase] = counts.get(phase, 0) + 1
    text = " / ".join(f"{count} {'Waiting' if phase == 'Pending' else phase}" for phase, count in counts.items())
    writer.field("Pods Status", text)
    writer.heading("Pod Template")
    template_lines(writer, spec["template"])
    conditions(writer, obj)
    events(context, writer, obj)
    return writer.text()
