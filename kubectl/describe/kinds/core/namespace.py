"""Namespaces, with the LimitRanges in them."""

from __future__ import annotations

from kubectl.api.client import Dict
from kubectl.describe.kinds.core.limitrange import bounds
from kubectl.describe.section import DescribeSection
from kubectl.describe.writer import TextWriter
from kubectl.invocation.command import CommandContext


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    writer.head(obj)
    writer.field("Status", obj.get("status", {}).get("phase", ""))
    ranges = context.api.list(context.discovery.find("limitranges").path(obj["metadata"]["name"]))["items"]
    writer.line()
    if not ranges:
        writer.line("No LimitRange resource.")
        return
    writer.line("Resource Limits")
    bounds(writer, ranges, " ")


DESCRIBE = DescribeSection(_write, events=False)
