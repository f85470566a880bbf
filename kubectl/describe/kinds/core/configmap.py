"""ConfigMaps, with all their data."""

from __future__ import annotations

import base64

from kubectl.api.client import Dict
from kubectl.describe.section import DescribeSection
from kubectl.describe.writer import TextWriter
from kubectl.invocation.command import CommandContext


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    writer.head(obj)
    data = sorted((obj.get("data") or {}).items())
    binary = sorted((obj.get("binaryData") or {}).items())
    text = "\nData\n====\n" + "".join(f"{key}:\n----\n{value}\n\n" for key, value in data)
    text += "\nBinaryData\n====\n"
    text += "".join(f"{key}: {len(base64.b64decode(value))} bytes\n" for key, value in binary)
    writer.verbatim(text + "\n")


DESCRIBE = DescribeSection(_write)
