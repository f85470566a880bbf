"""Services and what stands behind them, Namespaces, ServiceAccounts, ConfigMaps and Secrets."""

from __future__ import annotations

import base64
from typing import Any

from kubectl.cli.command import Context
from kubectl.output.describe.generic import events, head
from kubectl.output.describe.policy import limits_of_namespace
from kubectl.output.describe.writer import Writer

Dict = dict[str, Any]

SHOWN_ENDPOINTS = 3  # addresses that a Service's line names; of more it tells the number


def describe_service(context: Context, obj: Dict) -> str:
    writer = Writer()
    head(writer, obj)
    spec, status = obj["spec"], obj.get("status", {})
    writer.labels("Selector", spec.get("selector"))
    writer.field("Type", spec.get("type", ""))
    if spec.get("ipFamilyPolicy"):
        writer.field("IP Family Policy", spec["ipFamilyPolicy"])
    if spec.get("ipFamilies"):
        writer.field("IP Families", ",".join(spec["ipFamilies"]))
    writer.field("IP", spec.get("clusterIP", ""))
    writer.field("IPs", ",".join(spec.get("clusterIPs") or ()) or None)
    if spec.get("externalIPs"):
        writer.field("External IPs", ",".join(spec["externalIPs"]))
    if spec.get("loadBalancerIP"):
        writer.field("Desired LoadBalancer IP", spec["loadBalancerIP"])
    if spec.get("externalName"):
        writer.field("External Name", spec["externalName"])
    if ingress := (status.get("loadBalancer") or {}).get("ingress"):
        writer.field("LoadBalancer Ingress", ", ".join(str(at.get("ip") or at.get("hostname")) for at in ingress))
    slices = _slices(context, obj)
    for port in spec.get("ports") or ():
        name = port.get("name") or "<unset>"
        protocol = port.get("protocol", "TCP")
        writer.field("Port", f"{name}\t{port['port']}/{protocol}")
        writer.field("TargetPort", f"{port.get('targetPort', port['port'])}/{protocol}")
        if port.get("nodePort"):
            writer.field("NodePort", f"{name}\t{port['nodePort']}/{protocol}")
        writer.field("Endpoints", _endpoints(slices, port.get("name") or ""))
    writer.field("Session Affinity", spec.get("sessionAffinity", ""))
    if spec.get("externalTrafficPolicy"):
        writer.field("External Traffic Policy", spec["externalTrafficPolicy"])
    if spec.get("internalTrafficPolicy"):
        writer.field("Internal Traffic Policy", spec["internalTrafficPolicy"])
    if spec.get("trafficDistribution"):
        writer.field("Traffic Distribution", spec["trafficDistribution"])
    if sources := spec.get("loadBalancerSourceRanges"):
        writer.field("LoadBalancer Source Ranges", ",".join(sources))
    events(context, writer, obj)
    return writer.text()


def _slices(context: Context, service: Dict) -> list[Dict]:
    meta = service["metadata"]
    path = context.discovery.by_kind("discovery.k8s.io/v1", "EndpointSlice").path(meta["namespace"])
    found: list[Dict] = context.api.list(path, {"labelSelector": f"kubernetes.io/service-name={meta['name']}"})["items"]
    return found


def _endpoints(slices: list[Dict], port_name: str) -> str | None:
    """The ready addresses of a port; none at all for a Service without EndpointSlices."""
    if not slices:
        return None
    found: list[str] = []
    for item in slices:
        for port in item.get("ports") or ():
            if (port.get("name") or "") != port_name:
                continue
            for endpoint in item.get("endpoints") or ():
                if (endpoint.get("conditions") or {}).get("ready", True):
                    found += [f"{address}:{port.get('port')}" for address in endpoint["addresses"]]
    shown = ",".join(found[:SHOWN_ENDPOINTS])
    return shown + (f" + {len(found) - SHOWN_ENDPOINTS} more..." if len(found) > SHOWN_ENDPOINTS else "")


def describe_endpoints(context: Context, obj: Dict) -> str:
    writer = Writer()
    head(writer, obj)
    writer.heading("Subsets")
    for subset in obj.get("subsets") or ():
        for label, key in (("Addresses", "addresses"), ("NotReadyAddresses", "notReadyAddresses")):
            writer.field(label, ",".join(at["ip"] for at in subset.get(key) or ()) or None, 1)
        if ports := subset.get("ports"):
            writer.heading("Ports", 1)
            _ports(writer, ports, 2)
        writer.line()
    events(context, writer, obj)
    return writer.text()


def _ports(writer: Writer, ports: list[Dict], level: int) -> None:
    rows = [[p.get("name") or "<unset>", str(p.get("port", "")), p.get("protocol", "TCP")] for p in ports]
    writer.table(["Name", "Port", "Protocol"], rows, level)


def describe_endpointslice(context: Context, obj: Dict) -> str:
    writer = Writer()
    head(writer, obj)
    writer.field("AddressType", obj["addressType"])
    if ports := obj.get("ports"):
        writer.heading("Ports")
        _ports(writer, ports, 1)
    else:
        writer.line("Ports: <unset>")
    if not obj.get("endpoints"):
        writer.line("Endpoints: <none>")
    else:
        writer.heading("Endpoints")
    for endpoint in obj.get("endpoints") or ():
        _endpoint(writer, endpoint)
    events(context, writer, obj)
    return writer.text()


def _endpoint(writer: Writer, endpoint: Dict) -> None:
    writer.field("- Addresses", ", ".join(endpoint["addresses"]), 1)
    writer.line("  Conditions:", 1)
    ready = (endpoint.get("conditions") or {}).get("ready")
    writer.field("Ready", "<unset>" if ready is None else str(ready).lower(), 3)
    writer.field("Hostname", endpoint.get("hostname", "<unset>"), 2)
    if target := endpoint.get("targetRef"):
        writer.field("TargetRef", f"{target.get('kind')}/{target.get('name')}", 2)
    writer.field("NodeName", endpoint.get("nodeName", "<unset>"), 2)
    writer.field("Zone", endpoint.get("zone", "<unset>"), 2)


def describe_namespace(context: Context, obj: Dict) -> str:
    writer = Writer()
    head(writer, obj)
    writer.field("Status", obj.get("status", {}).get("phase", ""))
    limits_of_namespace(context, writer, obj["metadata"]["name"])
    return writer.text()


def describe_serviceaccount(context: Context, obj: Dict) -> str:
    writer = Writer()
    head(writer, obj)
    pulling = [str(secret.get("name", "")) for secret in obj.get("imagePullSecrets") or ()]
    mountable = [str(secret.get("name", "")) for secret in obj.get("secrets") or ()]
    writer.items("Image pull secrets", pulling)
    writer.items("Mountable secrets", mountable)
    writer.field("Tokens", None)
    events(context, writer, obj)
    return writer.text()


def describe_configmap(context: Context, obj: Dict) -> str:
    writer = Writer()
    head(writer, obj)
    text = writer.text() + "\nData\n====\n"
    for key, value in sorted((obj.get("data") or {}).items()):
        text += f"{key}:\n----\n{value}\n\n"
    text += "\nBinaryData\n====\n"
    for key, value in sorted((obj.get("binaryData") or {}).items()):
        text += f"{key}: {len(base64.b64decode(value))} bytes\n"
    footer = Writer()
    events(context, footer, obj)
    return text + "\n" + footer.text()


def describe_secret(context: Context, obj: Dict) -> str:
    writer = Writer()
    head(writer, obj)
    text = writer.text() + f"\nType:  {obj.get('type', 'Opaque')}\n\nData\n====\n"
    sizes = Writer()
    for key, value in sorted((obj.get("data") or {}).items()):
        sizes.field(key, f"{len(base64.b64decode(value))} bytes")
    return text + (sizes.text() if obj.get("data") else "")
