"""ServiceCIDRs."""

from __future__ import annotations

from kubectl.api.client import Dict
from kubectl.describe.section import DescribeSection
from kubectl.describe.writer import TextWriter, when
from kubectl.invocation.command import CommandContext


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    writer.head(obj)
    writer.field("CIDRs", ", ".join(obj["spec"].get("cidrs") or ()))
    if conditions := obj.get("status", {}).get("conditions"):
        writer.heading("Status")
        writer.heading("Conditions")
        rows = [
            [each["type"], each["status"], when(each["lastTransitionTime"]), each["reason"], each["message"]]
            for each in conditions
        ]
        writer.table(["Type", "Status", "LastTransitionTime", "Reason", "Message"], rows)


DESCRIBE = DescribeSection(_write, "networking.k8s.io")
