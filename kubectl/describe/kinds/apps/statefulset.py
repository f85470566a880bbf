"""StatefulSets."""

from __future__ import annotations

from kubectl.api.client import Dict
from kubectl.describe.kinds.apps._podcounts import write_pod_counts
from kubectl.describe.section import DescribeSection, conditions
from kubectl.describe.template import pod_template
from kubectl.describe.writer import TextWriter, when
from kubectl.input.pods import selector_text
from kubectl.invocation.command import CommandContext


def write_statefulset(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status", {})
    selector = selector_text(spec["selector"])
    writer.name(obj)
    writer.field("CreationTimestamp", when(meta.get("creationTimestamp")))
    writer.field("Selector", selector)
    writer.notes(meta)
    writer.field("Replicas", f"{spec.get('replicas', 1)} desired | {status.get('replicas', 0)} total")
    strategy = spec.get("updateStrategy") or {}
    writer.field("Update Strategy", strategy.get("type", "RollingUpdate"))
    rolling = strategy.get("rollingUpdate") or {}
    for title, name in (("Partition", "partition"), ("MaxUnavailable", "maxUnavailable")):
        if name in rolling:
            writer.field(title, rolling[name], 1)
    write_pod_counts(context, writer, meta, selector)
    pod_template(writer, spec["template"])
    _claims(writer, spec.get("volumeClaimTemplates") or [])
    conditions(writer, obj)


def _claims(writer: TextWriter, claims: list[Dict]) -> None:
    if not claims:
        writer.field("Volume Claims", None)
        return
    writer.heading("Volume Claims")
    for claim in claims:
        meta, spec = claim["metadata"], claim["spec"]
        writer.field("Name", meta["name"], 1)
        writer.field("StorageClass", spec.get("storageClassName", ""), 1)
        writer.notes(meta, 1)
        writer.field("Capacity", ((spec.get("resources") or {}).get("requests") or {}).get("storage", "<default>"), 1)
        writer.field("Access Modes", f"[{' '.join(spec.get('accessModes') or [])}]", 1)


DESCRIBE = DescribeSection(write_statefulset, "apps")
