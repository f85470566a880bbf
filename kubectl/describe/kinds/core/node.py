"""Nodes: their state, and what their pods ask for."""

from __future__ import annotations

from fractions import Fraction

from apimachinery.errors import NotFound
from apimachinery.quantity import format_quantity, parse_quantity
from kubeapi.core.pod.lifecycle import is_terminal
from kubeapi.core.pod.requests import HUGE_PAGES_PREFIX
from kubectl.api.client import Dict
from kubectl.describe.section import DescribeSection
from kubectl.describe.writer import TextWriter, when
from kubectl.invocation.command import CommandContext
from kubectl.output.ages import age

ROLE = "node-role.kubernetes.io/"
_INFO = {
    "Machine ID": "machineID",
    "System UUID": "systemUUID",
    "Boot ID": "bootID",
    "Kernel Version": "kernelVersion",
    "OS Image": "osImage",
    "Operating System": "operatingSystem",
    "Architecture": "architecture",
    "Container Runtime Version": "containerRuntimeVersion",
    "Kubelet Version": "kubeletVersion",
    "Kube-Proxy Version": "kubeProxyVersion",
}
_COUNTED = {"cpu": "DecimalSI", "memory": "BinarySI", "ephemeral-storage": "BinarySI"}


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    meta, spec, status = obj["metadata"], obj.get("spec", {}), obj.get("status", {})
    writer.field("Name", meta["name"])
    roles = [key.removeprefix(ROLE) for key in meta.get("labels") or {} if key.startswith(ROLE)]
    writer.field("Roles", ",".join(sorted(roles)) or None)
    writer.notes(meta)
    writer.field("CreationTimestamp", when(meta.get("creationTimestamp")))
    taints = spec.get("taints") or ()
    writer.items(
        "Taints",
        sorted(t["key"] + (f"={t['value']}" if t.get("value") else "") + f":{t['effect']}" for t in taints),
    )
    writer.field("Unschedulable", bool(spec.get("unschedulable")))
    _lease(context, writer, meta["name"])
    _conditions(writer, status)
    addresses = {address["type"]: address["address"] for address in status.get("addresses") or ()}
    amounts = {label: sorted((status.get(label.lower()) or {}).items()) for label in ("Capacity", "Allocatable")}
    for label, values in {"Addresses": addresses.items(), **amounts}.items():
        if values:
            writer.heading(label)
            for name, value in values:
                writer.field(name, value, 1)
    writer.heading("System Info")
    for label, key in _INFO.items():
        writer.field(label, (status.get("nodeInfo") or {}).get(key, ""), 1)
    if spec.get("podCIDR"):
        writer.field("PodCIDR", spec["podCIDR"])
        writer.field("PodCIDRs", ",".join(spec.get("podCIDRs") or ()))
    writer.present(spec, [("ProviderID", "providerID")])
    _pods(context, writer, obj)


def _lease(context: CommandContext, writer: TextWriter, name: str) -> None:
    """Writes the kubelet's heartbeat."""
    kind = context.discovery.find("leases")
    try:
        spec = context.api.request("GET", kind.path("kube-node-lease", name)).get("spec") or {}
    except NotFound as error:
        writer.field("Lease", f"Failed to get lease: {error}")
        return
    writer.heading("Lease")
    writer.field("HolderIdentity", spec.get("holderIdentity", "<unset>"), 1)
    for label, key in (("AcquireTime", "acquireTime"), ("RenewTime", "renewTime")):
        writer.field(label, when(spec.get(key)), 1)


def _conditions(writer: TextWriter, status: Dict) -> None:
    if not status.get("conditions"):
        return
    writer.heading("Conditions")
    rows = [
        [
            f"{c['type']} ",
            f"{c['status']} ",
            f"{when(c.get('lastHeartbeatTime'))} ",
            f"{when(c.get('lastTransitionTime'))} ",
            f"{c.get('reason') or ''} ",
            c.get("message") or "",
        ]
        for c in status["conditions"]
    ]
    writer.table(["Type", "Status", "LastHeartbeatTime", "LastTransitionTime", "Reason", "Message"], rows)


def _pods(context: CommandContext, writer: TextWriter, node: Dict) -> None:
    path = context.discovery.find("pods").path()
    items = context.api.list(path, {"fieldSelector": f"spec.nodeName={node['metadata']['name']}"})["items"]
    pods = [pod for pod in items if not is_terminal(pod.get("status", {}).get("phase"))]
    allocatable = node.get("status", {}).get("allocatable") or node.get("status", {}).get("capacity") or {}
    writer.field("Non-terminated Pods", f"({len(pods)} in total)")
    rows = []
    for pod in pods:
        meta = pod["metadata"]
        amounts = [
            (name, pod_total(pod, field, name)) for name in ("cpu", "memory") for field in ("requests", "limits")
        ]
        shares = [_share(name, amount, allocatable) for name, amount in amounts]
        rows.append([meta["namespace"], meta["name"], "", *shares, age(meta.get("creationTimestamp"))])
    headers = ["Namespace", "Name", "", "CPU Requests", "CPU Limits", "Memory Requests", "Memory Limits", "Age"]
    writer.table(headers, rows)
    writer.heading("Allocated resources")
    writer.line("(Total limits may be over 100 percent, i.e., overcommitted.)", 1)
    totals = []
    others = sorted(name for name in allocatable if name.startswith(HUGE_PAGES_PREFIX) or "/" in name)
    for name in [*_COUNTED, *others]:
        sums = [sum((pod_total(pod, field, name) for pod in pods), Fraction(0)) for field in ("requests", "limits")]
        if "/" in name:  # a device plugin's: counted, without a share
            totals.append([name, *(format_quantity(amount) for amount in sums)])
        else:
            totals.append([name, *(_share(name, amount, allocatable) for amount in sums)])
    writer.table(["Resource", "Requests", "Limits"], totals)


def _share(name: str, amount: Fraction, allocatable: Dict) -> str:
    whole = parse_quantity(str(allocatable.get(name, "0")))
    return f"{format_quantity(amount, _COUNTED.get(name, 'BinarySI'))} ({int(100 * amount / whole) if whole else 0}%)"


def pod_total(pod: Dict, field: str, name: str) -> Fraction:
    """A pod's requests or limits: those of its containers together, or an init container's where that is more."""

    def amount(container: Dict) -> Fraction:
        return parse_quantity(str(((container.get("resources") or {}).get(field) or {}).get(name, "0")))

    inits = pod["spec"].get("initContainers") or ()
    sidecars = [container for container in inits if container.get("restartPolicy") == "Always"]
    together = sum(map(amount, [*pod["spec"]["containers"], *sidecars]), Fraction(0))
    return max([together, *(amount(container) for container in inits if container not in sidecars)])


DESCRIBE = DescribeSection(_write)
