"""IPAddresses."""

from __future__ import annotations

from kubectl.api.client import Dict
from kubectl.describe.section import DescribeSection
from kubectl.describe.writer import TextWriter
from kubectl.invocation.command import CommandContext


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    writer.head(obj)
    if parent := obj["spec"].get("parentRef"):
        writer.heading("Parent Reference")
        for name in ("group", "resource", "namespace", "name"):
            writer.field(name.title(), parent.get(name, ""), 1)


DESCRIBE = DescribeSection(_write, "networking.k8s.io")
