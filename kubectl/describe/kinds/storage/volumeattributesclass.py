"""VolumeAttributesClasses."""

from __future__ import annotations

from apimachinery.columns import label_text
from kubectl.api.client import Dict
from kubectl.describe.section import DescribeSection
from kubectl.describe.writer import TextWriter
from kubectl.invocation.command import CommandContext


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    writer.field("Name", obj["metadata"]["name"])
    writer.field("Annotations", label_text(obj["metadata"].get("annotations")))
    writer.field("DriverName", obj["driverName"])
    writer.field("Parameters", label_text(obj.get("parameters")))


DESCRIBE = DescribeSection(_write, "storage.k8s.io")
