"""Services, with the addresses behind each port."""

from __future__ import annotations

from kubectl.api.client import Dict
from kubectl.describe.section import DescribeSection
from kubectl.describe.writer import TextWriter
from kubectl.invocation.command import CommandContext

_ADDRESSES = (
    ("External IPs", "externalIPs"),
    ("Desired LoadBalancer IP", "loadBalancerIP"),
    ("External Name", "externalName"),
)
_POLICIES = (
    ("External Traffic Policy", "externalTrafficPolicy"),
    ("Internal Traffic Policy", "internalTrafficPolicy"),
    ("Traffic Distribution", "trafficDistribution"),
    ("LoadBalancer Source Ranges", "loadBalancerSourceRanges"),
)
NAMED_ENDPOINTS = 3  # addresses that a line names; of more it gives the number


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    writer.head(obj)
    spec, status = obj["spec"], obj.get("status", {})
    writer.labels("Selector", spec.get("selector"))
    writer.field("Type", spec.get("type", ""))
    writer.present(spec, [("IP Family Policy", "ipFamilyPolicy")])
    writer.field("IP Families", ",".join(spec.get("ipFamilies") or ()) or None)
    writer.field("IP", spec.get("clusterIP", ""))
    writer.field("IPs", ",".join(spec.get("clusterIPs") or ()) or None)
    writer.present(spec, _ADDRESSES)
    if ingress := (status.get("loadBalancer") or {}).get("ingress"):
        writer.field("LoadBalancer Ingress", ", ".join(str(at.get("ip") or at.get("hostname")) for at in ingress))
    slices = slices_of(context, obj)
    for port in spec.get("ports") or ():
        name, protocol = port.get("name") or "<unset>", port.get("protocol", "TCP")
        writer.field("Port", f"{name}\t{port['port']}/{protocol}")
        writer.field("TargetPort", f"{port.get('targetPort', port['port'])}/{protocol}")
        if port.get("nodePort"):
            writer.field("NodePort", f"{name}\t{port['nodePort']}/{protocol}")
        writer.field("Endpoints", endpoints_of(slices, port.get("name") or ""))
    writer.field("Session Affinity", spec.get("sessionAffinity", ""))
    writer.present(spec, _POLICIES)


def slices_of(context: CommandContext, service: Dict) -> list[Dict]:
    meta = service["metadata"]
    path = context.discovery.by_kind("discovery.k8s.io/v1", "EndpointSlice").path(meta["namespace"])
    return list(context.api.list(path, {"labelSelector": f"kubernetes.io/service-name={meta['name']}"})["items"])


def endpoints_of(slices: list[Dict], port_name: str) -> str | None:
    """The ready addresses of a port; None for a Service without EndpointSlices."""
    if not slices:
        return None
    addresses = [
        f"{address}:{port.get('port')}"
        for item in slices
        for port in item.get("ports") or ()
        if (port.get("name") or "") == port_name
        for endpoint in item.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready", True)
        for address in endpoint["addresses"]
    ]
    more = len(addresses) - NAMED_ENDPOINTS
    return ",".join(addresses[:NAMED_ENDPOINTS]) + (f" + {more} more..." if more > 0 else "")


DESCRIBE = DescribeSection(_write)
