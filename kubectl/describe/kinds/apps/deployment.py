"""Deployments, with their ReplicaSets."""

from __future__ import annotations

from kubectl.api.client import Dict
from kubectl.describe.section import DescribeSection, conditions
from kubectl.describe.template import pod_template
from kubectl.describe.writer import TextWriter, when
from kubectl.input.pods import selector_text
from kubectl.input.revisions import REVISION, revisions
from kubectl.input.targets import Target
from kubectl.invocation.command import CommandContext


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status", {})
    writer.name(obj)
    writer.field("CreationTimestamp", when(meta.get("creationTimestamp")))
    writer.notes(meta)
    writer.field("Selector", selector_text(spec["selector"]))
    counts = [f"{spec.get('replicas', 1)} desired", f"{status.get('updatedReplicas', 0)} updated"]
    counts += [f"{status.get('replicas', 0)} total", f"{status.get('availableReplicas', 0)} available"]
    writer.field("Replicas", " | ".join([*counts, f"{status.get('unavailableReplicas', 0)} unavailable"]))
    strategy = spec.get("strategy") or {}
    writer.field("StrategyType", strategy.get("type", "RollingUpdate"))
    writer.field("MinReadySeconds", spec.get("minReadySeconds", 0))
    if rolling := strategy.get("rollingUpdate"):
        text = f"{rolling.get('maxUnavailable')} max unavailable, {rolling.get('maxSurge')} max surge"
        writer.field("RollingUpdateStrategy", text)
    pod_template(writer, spec["template"])
    conditions(writer, obj)
    old, new = _replicasets(context, obj)
    if old or new:
        writer.field("OldReplicaSets", old or None)
        writer.field("NewReplicaSet", new or None)


def _replicasets(context: CommandContext, deployment: Dict) -> tuple[str, str]:
    meta = deployment["metadata"]
    target = Target(context.discovery.by_kind("apps/v1", "Deployment"), meta["name"], meta["namespace"])
    replicasets = revisions(context, target, deployment)
    current = int((meta.get("annotations") or {}).get(REVISION, 0))

    def text(item: Dict) -> str:
        desired, present = item["spec"].get("replicas", 0), item.get("status", {}).get("replicas", 0)
        return f"{item['metadata']['name']} ({present}/{desired} replicas created)"

    old = [text(item) for revision, item in replicasets.items() if revision != current]
    return ", ".join(old), text(replicasets[current]) if current in replicasets else ""


DESCRIBE = DescribeSection(_write, "apps")
