"""Endpoints."""

from __future__ import annotations

from kubectl.api.client import Dict
from kubectl.describe.section import DescribeSection
from kubectl.describe.writer import TextWriter
from kubectl.invocation.command import CommandContext


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    writer.head(obj)
    writer.heading("Subsets")
    for subset in obj.get("subsets") or ():
        for label, key in (("Addresses", "addresses"), ("NotReadyAddresses", "notReadyAddresses")):
            writer.field(label, ",".join(at["ip"] for at in subset.get(key) or ()) or None, 1)
        if subset.get("ports"):
            writer.heading("Ports", 1)
            ports_table(writer, subset["ports"], 2)
        writer.line()


def ports_table(writer: TextWriter, ports: list[Dict], level: int) -> None:
    rows = [[p.get("name") or "<unset>", str(p.get("port", "")), p.get("protocol", "TCP")] for p in ports]
    writer.table(["Name", "Port", "Protocol"], rows, level)


DESCRIBE = DescribeSection(_write)
