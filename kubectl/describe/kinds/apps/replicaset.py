"""ReplicaSets."""

from __future__ import annotations

from kubectl.api.client import Dict
from kubectl.describe.section import DescribeSection, conditions, controlled_by
from kubectl.describe.template import template_lines
from kubectl.describe.writer import TextWriter
from kubectl.input.pods import pods_by_selector, selector_text
from kubectl.invocation.command import CommandContext

_PHASES = {"Running": "Running", "Pending": "Waiting", "Succeeded": "Succeeded", "Failed": "Failed"}


def write_replicaset(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    """Writes a ReplicaSet or a ReplicationController."""
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status", {})
    selector = selector_text(spec["selector"])
    writer.present(meta, [("Name", "name"), ("Namespace", "namespace")])
    writer.field("Selector", selector)
    writer.labels("Labels", meta.get("labels"))
    writer.annotations(meta.get("annotations"))
    controlled_by(writer, obj)
    writer.field("Replicas", f"{status.get('replicas', 0)} current / {spec.get('replicas', 1)} desired")
    counts = dict.fromkeys(_PHASES, 0)
    for pod in pods_by_selector(context, selector, meta["namespace"]):
        owners = pod["metadata"].get("ownerReferences") or ()
        phase = pod.get("status", {}).get("phase", "Pending")
        if phase in counts and any(owner["uid"] == meta["uid"] for owner in owners):
            counts[phase] += 1
    writer.field("Pods Status", " / ".join(f"{counts[phase]} {name}" for phase, name in _PHASES.items()))
    writer.heading("Pod Template")
    template_lines(writer, spec["template"])
    conditions(writer, obj)


DESCRIBE = DescribeSection(write_replicaset, "apps")
