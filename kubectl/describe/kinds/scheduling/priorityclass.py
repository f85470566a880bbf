"""PriorityClasses."""

from __future__ import annotations

from apimachinery.columns import label_text
from kubectl.api.client import Dict
from kubectl.describe.section import DescribeSection
from kubectl.describe.writer import TextWriter
from kubectl.invocation.command import CommandContext


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    writer.field("Name", obj["metadata"]["name"])
    writer.field("Value", obj.get("value", 0))
    writer.field("GlobalDefault", bool(obj.get("globalDefault")))
    writer.field("PreemptionPolicy", obj.get("preemptionPolicy", ""))
    writer.field("Description", obj.get("description", ""))
    first, *rest = label_text(obj["metadata"].get("annotations")).split("\n")
    writer.field("Annotations", first)
    for line in rest:
        writer.line(line)


DESCRIBE = DescribeSection(_write, "scheduling.k8s.io")
