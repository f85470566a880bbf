"""Secrets: what they hold, but not the values."""

from __future__ import annotations

import base64

from kubectl.api.client import Dict
from kubectl.describe.section import DescribeSection
from kubectl.describe.writer import TextWriter
from kubectl.invocation.command import CommandContext


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    writer.head(obj)
    writer.verbatim(f"\nType:  {obj.get('type', 'Opaque')}\n\nData\n====\n")
    for key, value in sorted((obj.get("data") or {}).items()):
        writer.field(key, f"{len(base64.b64decode(value))} bytes")


DESCRIBE = DescribeSection(_write, events=False)
