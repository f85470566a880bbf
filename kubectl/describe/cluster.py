"""Nodes, Services, Namespaces, ConfigMaps and Secrets."""

from __future__ import annotations

import base64
from typing import Any

from apimachinery.quantity import byte_count, cpu_millis
from kubectl.command import Context
from kubectl.describe.generic import conditions, events, head
from kubectl.describe.writer import Writer, age, when

Dict = dict[str, Any]


def describe_node(context: Context, obj: Dict) -> str:
    writer = Writer()
    meta, spec, status = obj["metadata"], obj.get("spec", {}), obj.get("status", {})
    writer.field("Name", meta["name"])
    roles = [key.rpartition("/")[2] for key in meta.get("labels") or {} if key.startswith("node-role.kubernetes.io/")]
    writer.field("Roles", ",".join(roles))
    writer.mapping("Labels", meta.get("labels"))
    writer.mapping("Annotations", meta.get("annotations"), ": ")
    writer.field("CreationTimestamp", when(meta.get("creationTimestamp")))
    taints = [
        t["key"] + (f"={t['value']}" if t.get("value") else "") + f":{t['effect']}" for t in spec.get("taints") or ()
    ]
    writer.items("Taints", taints)
    writer.field("Unschedulable", str(bool(spec.get("unschedulable"))).lower())
    conditions(writer, obj, times=True)
    writer.heading("Addresses")
    for address in status.get("addresses") or ():
        writer.field(address["type"], address["address"], 1)
    for label in ("capacity", "allocatable"):
        writer.heading(label.capitalize())
        for name, amount in sorted((status.get(label) or {}).items()):
            writer.field(name, amount, 1)
    writer.heading("System Info")
    for key, value in (status.get("nodeInfo") or {}).items():
        writer.field(key[:1].upper() + key[1:], value, 1)
    writer.field("PodCIDR", spec.get("podCIDR", ""))
    path = context.discovery.find("pods").path()
    pods = context.api.list(path, {"fieldSelector": f"spec.nodeName={meta['name']}"})["items"]
    _pods(writer, [pod for pod in pods if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")], status)
    events(context, writer, obj)
    return writer.text()


def _pods(writer: Writer, pods: list[Dict], status: Dict) -> None:
    writer.heading(f"Non-terminated Pods ({len(pods)} in total)".rstrip(":"))
    rows, totals = [], [0, 0, 0, 0]
    for pod in pods:
        sums = [_sum(pod, kind, name) for name in ("cpu", "memory") for kind in ("requests", "limits")]
        totals = [a + b for a, b in zip(totals, sums, strict=True)]
        meta = pod["metadata"]
        cells = [f"{sums[0]}m", f"{sums[1]}m", f"{sums[2] >> 20}Mi", f"{sums[3] >> 20}Mi"]
        rows.append([meta["namespace"], meta["name"], *cells, age(meta.get("creationTimestamp"))])
    headers = ["Namespace", "Name", "CPU Requests", "CPU Limits", "Memory Requests", "Memory Limits", "Age"]
    writer.table(headers, rows)
    allocatable = status.get("allocatable") or {}
    cpu, memory = cpu_millis(allocatable.get("cpu", "0")), byte_count(allocatable.get("memory", "0"))
    writer.heading("Allocated resources")

    def share(value: int, whole: int) -> str:
        return f"({100 * value // whole}%)" if whole else "(0%)"

    writer.table(
        ["Resource", "Requests", "Limits"],
        [
            ["cpu", f"{totals[0]}m {share(totals[0], cpu)}", f"{totals[1]}m {share(totals[1], cpu)}"],
            [
                "memory",
                f"{totals[2] >> 20}Mi {share(totals[2], memory)}",
                f"{totals[3] >> 20}Mi {share(totals[3], memory)}",
            ],
        ],
    )


def _sum(pod: Dict, kind: str, name: str) -> int:
    parse = cpu_millis if name == "cpu" else byte_count
    amounts = [((c.get("resources") or {}).get(kind) or {}).get(name, "0") for c in pod["spec"]["containers"]]
    return sum(map(parse, amounts))


def describe_service(context: Context, obj: Dict) -> str:
    writer = Writer()
    head(writer, obj)
    spec = obj["spec"]
    writer.mapping("Selector", spec.get("selector"))
    writer.field("Type", spec.get("type"))
    writer.field("IP Family Policy", spec.get("ipFamilyPolicy"))
    writer.field("IP Families", ",".join(spec.get("ipFamilies") or ()))
    writer.field("IP", spec.get("clusterIP"))
    writer.field("IPs", ",".join(spec.get("clusterIPs") or ()))
    if spec.get("externalName"):
        writer.field("External Name", spec["externalName"])
    ready = _endpoints(context, obj)
    for port in spec.get("ports") or ():
        name = port.get("name") or "<unset>"
        writer.field("Port", f"{name}  {port['port']}/{port.get('protocol', 'TCP')}")
        writer.field("TargetPort", f"{port.get('targetPort', port['port'])}/{port.get('protocol', 'TCP')}")
        if port.get("nodePort"):
            writer.field("NodePort", f"{name}  {port['nodePort']}/{port.get('protocol', 'TCP')}")
        writer.field("Endpoints", ",".join(ready.get(port.get("name") or "", ())))
    writer.field("Session Affinity", spec.get("sessionAffinity"))
    if spec.get("externalTrafficPolicy"):
        writer.field("External Traffic Policy", spec["externalTrafficPolicy"])
    writer.field("Internal Traffic Policy", spec.get("internalTrafficPolicy"))
    events(context, writer, obj)
    return writer.text()


def _endpoints(context: Context, service: Dict) -> dict[str, list[str]]:
    """Port name -> ready addresses."""
    meta = service["metadata"]
    path = context.discovery.by_kind("discovery.k8s.io/v1", "EndpointSlice").path(meta["namespace"])
    found: dict[str, list[str]] = {}
    for item in context.api.list(path, {"labelSelector": f"kubernetes.io/service-name={meta['name']}"})["items"]:
        for port in item.get("ports") or ():
            for endpoint in item.get("endpoints") or ():
                if (endpoint.get("conditions") or {}).get("ready", True):
                    at = [f"{address}:{port.get('port')}" for address in endpoint["addresses"]]
                    found.setdefault(port.get("name") or "", []).extend(at)
    return found


def describe_namespace(context: Context, obj: Dict) -> str:
    writer = Writer()
    head(writer, obj)
    writer.field("Status", obj.get("status", {}).get("phase"))
    conditions(writer, obj)
    writer.line("No resource quota.")
    writer.line("No LimitRange resource.")
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
