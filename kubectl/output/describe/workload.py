"""Deployments, ReplicaSets and ReplicationControllers."""

from __future__ import annotations

from typing import Any

from kubectl.cli.command import Context
from kubectl.output.describe.generic import conditions, controlled_by, events
from kubectl.output.describe.template import template_lines
from kubectl.output.describe.writer import Writer, when
from kubectl.remote.podtarget import pods_by_selector, selector_text

Dict = dict[str, Any]

_PHASES = {"Running": "Running", "Pending": "Waiting", "Succeeded": "Succeeded", "Failed": "Failed"}


def _selector(obj: Dict) -> str:
    return selector_text(obj["spec"]["selector"])


def describe_deployment(context: Context, obj: Dict) -> str:
    writer = Writer()
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status", {})
    writer.field("Name", meta["name"])
    writer.field("Namespace", meta["namespace"])
    writer.field("CreationTimestamp", when(meta.get("creationTimestamp")))
    writer.labels("Labels", meta.get("labels"))
    writer.annotations(meta.get("annotations"))
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
    if old or new:
        writer.field("OldReplicaSets", old or None)
        writer.field("NewReplicaSet", new or None)
    events(context, writer, obj)
    return writer.text()


def _replicasets(context: Context, deployment: Dict) -> tuple[str, str]:
    from kubectl.commands.rollout import REVISION, revisions
    from kubectl.input.manifests import Target

    kind = context.discovery.by_kind("apps/v1", "Deployment")
    meta = deployment["metadata"]
    found = revisions(context, Target(kind, meta["name"], meta["namespace"]), deployment)
    current = int((meta.get("annotations") or {}).get(REVISION, 0))

    def text(item: Dict) -> str:
        wanted, have = item["spec"].get("replicas", 0), item.get("status", {}).get("replicas", 0)
        return f"{item['metadata']['name']} ({have}/{wanted} replicas created)"

    old = [text(item) for revision, item in found.items() if revision != current]
    return ", ".join(old), text(found[current]) if current in found else ""


def describe_replicaset(context: Context, obj: Dict) -> str:
    """Or a ReplicationController."""
    writer = Writer()
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status", {})
    writer.field("Name", meta["name"])
    writer.field("Namespace", meta["namespace"])
    writer.field("Selector", _selector(obj))
    writer.labels("Labels", meta.get("labels"))
    writer.annotations(meta.get("annotations"))
    controlled_by(writer, obj)
    writer.field("Replicas", f"{status.get('replicas', 0)} current / {spec.get('replicas', 1)} desired")
    counts = dict.fromkeys(_PHASES, 0)
    for pod in pods_by_selector(context, _selector(obj), meta["namespace"]):
        owners = pod["metadata"].get("ownerReferences") or ()
        phase = pod.get("status", {}).get("phase", "Pending")
        if phase in counts and any(owner["uid"] == meta["uid"] for owner in owners):
            counts[phase] += 1
    writer.field("Pods Status", " / ".join(f"{counts[phase]} {name}" for phase, name in _PHASES.items()))
    writer.heading("Pod Template")
    template_lines(writer, spec["template"])
    conditions(writer, obj)
    events(context, writer, obj)
    return writer.text()
