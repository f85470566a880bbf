"""Namespaces, with the ResourceQuotas and LimitRanges in them."""

from __future__ import annotations

from kubectl.api.client import Dict
from kubectl.describe.kinds.core.limitrange import bounds
from kubectl.describe.kinds.core.resourcequota import write_quotas
from kubectl.describe.section import DescribeSection
from kubectl.describe.writer import TextWriter
from kubectl.invocation.command import CommandContext


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    writer.head(obj)
    writer.field("Status", obj.get("status", {}).get("phase", ""))
    quotas, ranges = (
        context.api.list(context.discovery.find(plural).path(obj["metadata"]["name"]))["items"]
        for plural in ("resourcequotas", "limitranges")
    )
    writer.line()
    write_quotas(writer, quotas)
    writer.line()
    if not ranges:
        writer.line("No LimitRange resource.")
        return
    writer.line("Resource Limits")
    bounds(writer, ranges, " ")


DESCRIBE = DescribeSection(_write, events=False)
