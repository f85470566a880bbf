"""ServiceAccounts."""

from __future__ import annotations

from kubectl.api.client import Dict
from kubectl.describe.section import DescribeSection
from kubectl.describe.writer import TextWriter
from kubectl.invocation.command import CommandContext


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    writer.head(obj)
    for label, field in (("Image pull secrets", "imagePullSecrets"), ("Mountable secrets", "secrets")):
        writer.items(label, [str(secret.get("name", "")) for secret in obj.get(field) or ()])
    writer.field("Tokens", None)


DESCRIBE = DescribeSection(_write)
