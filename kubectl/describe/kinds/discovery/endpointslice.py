"""EndpointSlices."""

from __future__ import annotations

from kubectl.api.client import Dict
from kubectl.describe.kinds.core.endpoints import ports_table
from kubectl.describe.section import DescribeSection
from kubectl.describe.writer import TextWriter
from kubectl.invocation.command import CommandContext


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    writer.head(obj)
    writer.field("AddressType", obj["addressType"])
    if ports := obj.get("ports"):
        writer.heading("Ports")
        ports_table(writer, ports, 1)
    else:
        writer.line("Ports: <unset>")
    endpoints = obj.get("endpoints") or []
    writer.line("Endpoints:" if endpoints else "Endpoints: <none>")
    for endpoint in endpoints:
        writer.field("- Addresses", ", ".join(endpoint["addresses"]), 1)
        writer.line("  Conditions:", 1)
        ready = (endpoint.get("conditions") or {}).get("ready")
        writer.field("Ready", "<unset>" if ready is None else ready, 3)
        writer.field("Hostname", endpoint.get("hostname", "<unset>"), 2)
        if target := endpoint.get("targetRef"):
            writer.field("TargetRef", f"{target.get('kind')}/{target.get('name')}", 2)
        writer.field("NodeName", endpoint.get("nodeName", "<unset>"), 2)
        writer.field("Zone", endpoint.get("zone", "<unset>"), 2)


DESCRIBE = DescribeSection(_write, "discovery.k8s.io")
