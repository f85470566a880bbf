"""ReplicaSets."""

from __future__ import annotations

from kubectl.api.client import Dict
from kubectl.describe.kinds.apps._podcounts import write_pod_counts
from kubectl.describe.section import DescribeSection, conditions, controlled_by
from kubectl.describe.template import pod_template
from kubectl.describe.writer import TextWriter
from kubectl.input.pods import selector_text
from kubectl.invocation.command import CommandContext


def write_replicaset(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    """Writes a ReplicaSet or a ReplicationController."""
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status", {})
    selector = selector_text(spec["selector"])
    writer.name(obj)
    writer.field("Selector", selector)
    writer.notes(meta)
    controlled_by(writer, obj)
    writer.field("Replicas", f"{status.get('replicas', 0)} current / {spec.get('replicas', 1)} desired")
    write_pod_counts(context, writer, meta, selector)
    pod_template(writer, spec["template"])
    conditions(writer, obj)


DESCRIBE = DescribeSection(write_replicaset, "apps")
