"""Makes the document at /stats/summary. Pure.

Source: the kubelet's stats/v1alpha1 Summary, as the Kubernetes documentation describes it in "Node metrics data".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from apimachinery.times import format_time
from kubeapi.core.pod.references import claim_name
from kubelet.stats.cgroups import CoreUsage, DetailedUsage, Pressure
from kubelet.stats.disk import DiskUse
from kubelet.stats.figures import (
    ContainerFigures,
    GroupFigures,
    NodeFigures,
    PodFigures,
    Snapshot,
    VolumeFigures,
    sum_cores,
)
from kubelet.stats.host import Filesystem, Interface

Json = dict[str, Any]
DEFAULT_INTERFACE = "eth0"


def summary(snapshot: Snapshot, node_name: str, image_bytes: int | None, *, only_cpu_and_memory: bool) -> bytes:
    """Encodes the document; `image_bytes` is what all images take, None where it wasn't asked for."""
    node, full = snapshot.node, not only_cpu_and_memory
    document: Json = {
        "nodeName": node_name,
        "systemContainers": _system_containers(snapshot),
        "startTime": format_time(node.host.boot_time),
        "cpu": _cpu(node.time, node.host.core, node.nano_cores, node.host.pressure),
        "memory": _memory(node.time, node.host.core, node.host.memory_bytes, node.host.pressure),
    }
    if full:
        document |= _io(node.time, node.host.pressure) | _network(node.time, node.host.interfaces)
        document["fs"] = _filesystem(node.time, node.nodefs, node.nodefs.used_bytes)
        if node.imagefs is not None:
            written = sum(
                (item.writable for pod in snapshot.pods for item in pod.containers if item.writable), DiskUse()
            )
            document["runtime"] = {
                "imageFs": _filesystem(node.time, node.imagefs, image_bytes),
                "containerFs": _filesystem(node.time, node.imagefs, written.bytes, written.inodes),
            }
        document["rlimit"] = {
            "time": format_time(node.time),
            "maxpid": node.host.pids_max,
            "curproc": node.host.pids,
        }
    swap = node.host.swap_total_bytes - node.host.core.swap_bytes
    document["swap"] = {
        "time": format_time(node.time),
        "swapAvailableBytes": swap,
        "swapUsageBytes": node.host.core.swap_bytes,
    }
    pods = [_pod(pod, node, full) for pod in snapshot.pods]
    return orjson.dumps({"node": document, "pods": pods})


def _system_containers(snapshot: Snapshot) -> list[Json]:
    """Shows the kubelet's own process, and all pods together."""
    node = snapshot.node
    groups = [group for pod in snapshot.pods for group in pod.groups()]
    rows = [("kubelet", node.kubelet, node.kubelet_nano_cores)]
    if groups:
        rates = [group.nano_cores for group in groups if group.nano_cores is not None]
        rows.append(("pods", sum_cores([group.core for group in groups]), sum(rates) if rates else None))
    return [
        {"name": name, "cpu": _cpu(node.time, core, rate), "memory": _memory(node.time, core)}
        for name, core, rate in rows
    ]


def _pod(pod: PodFigures, node: NodeFigures, full: bool) -> Json:
    meta, time = pod.pod.metadata, pod.time or node.time
    document: Json = {
        "podRef": {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid},
        "startTime": pod.pod.status.startTime or meta.creationTimestamp,
        "containers": [_container(item, node, full) for item in pod.containers],
        "cpu": _cpu(time, pod.core(), pod.nano_cores()),
        "memory": _memory(time, pod.core()),
        "swap": {"time": format_time(time), "swapUsageBytes": pod.core().swap_bytes},
    }
    if full:
        document |= _network(time, pod.interfaces)
        if volumes := [_volume(pod, item) for item in pod.volumes]:
            document["volume"] = volumes
        if pod.measured_at:
            use = pod.disk()
            document["ephemeral-storage"] = _filesystem(pod.measured_at, node.nodefs, use.bytes, use.inodes)
        threads = [group.detailed.threads for group in pod.groups() if group.detailed is not None]
        if threads:
            document["process_stats"] = {"process_count": sum(threads)}
    return document


def _container(item: ContainerFigures, node: NodeFigures, full: bool) -> Json:
    group, details = item.group, item.group.detailed
    pressure = details.pressure if details is not None else {}
    limit = details.memory_limit_bytes if details is not None else 0
    document: Json = {
        "name": item.status.name,
        "startTime": format_time(item.status.started_at or item.status.created_at),
        "cpu": _cpu(group.time, group.core, group.nano_cores, pressure),
        "memory": _memory(group.time, group.core, limit, pressure),
        "swap": _swap(group, details),
    }
    if full:
        document |= _io(group.time, pressure)
        if item.writable is not None:
            filesystem = node.imagefs or node.nodefs
            document["rootfs"] = _filesystem(group.time, filesystem, item.writable.bytes, item.writable.inodes)
        if item.logs is not None:
            document["logs"] = _filesystem(group.time, node.nodefs, item.logs.bytes, item.logs.inodes)
    return document


def _volume(pod: PodFigures, item: VolumeFigures) -> Json:
    name, use, claim = item.volume.name, item.use, claim_name(pod.pod.name, item.volume)
    reference = {"pvcRef": {"name": claim, "namespace": pod.pod.namespace}} if claim else {}
    used = use or DiskUse(item.filesystem.used_bytes, item.filesystem.inodes - item.filesystem.inodes_free)
    figures = _filesystem(pod.measured_at or pod.time, item.filesystem, used.bytes, used.inodes)
    return {**figures, "name": name, **reference}


def _cpu(
    time: float, core: CoreUsage, rate: int | None, pressure: Mapping[str, Mapping[str, Pressure]] | None = None
) -> Json:
    document: Json = {"time": format_time(time)}
    if rate is not None:
        document["usageNanoCores"] = rate
    return document | {"usageCoreNanoSeconds": core.cpu_nanoseconds} | _psi(pressure, "cpu")


def _memory(
    time: float, core: CoreUsage, limit: int = 0, pressure: Mapping[str, Mapping[str, Pressure]] | None = None
) -> Json:
    document: Json = {"time": format_time(time)}
    if limit:
        document["availableBytes"] = max(limit - core.working_set_bytes, 0)
    return (
        document
        | {
            "usageBytes": core.memory_bytes,
            "workingSetBytes": core.working_set_bytes,
            "rssBytes": core.rss_bytes,
            "pageFaults": core.page_faults,
            "majorPageFaults": core.major_page_faults,
        }
        | _psi(pressure, "memory")
    )


def _swap(group: GroupFigures, details: DetailedUsage | None) -> Json:
    document: Json = {"time": format_time(group.time)}
    if details is not None:
        document["swapAvailableBytes"] = max(details.swap_limit_bytes - group.core.swap_bytes, 0)
    return document | {"swapUsageBytes": group.core.swap_bytes}


def _io(time: float, pressure: Mapping[str, Mapping[str, Pressure]]) -> Json:
    psi = _psi(pressure, "io")
    return {"io": {"time": format_time(time), **psi}} if psi else {}


def _psi(pressure: Mapping[str, Mapping[str, Pressure]] | None, kind: str) -> Json:
    found = (pressure or {}).get(kind)
    if not found:
        return {}
    shares = {
        share: {"total": item.total_us * 1000, "avg10": item.avg10, "avg60": item.avg60, "avg300": item.avg300}
        for share, item in found.items()
    }
    return {"psi": shares}


def _network(time: float, interfaces: tuple[Interface, ...]) -> Json:
    if not interfaces:
        return {}
    rows = [
        {
            "name": item.name,
            "rxBytes": item.rx_bytes,
            "rxErrors": item.rx_errors,
            "txBytes": item.tx_bytes,
            "txErrors": item.tx_errors,
        }
        for item in interfaces
    ]
    first = next((row for row in rows if row["name"] == DEFAULT_INTERFACE), rows[0])
    return {"network": {"time": format_time(time), **first, "interfaces": rows}}


def _filesystem(time: float, item: Filesystem, used_bytes: int | None, inodes_used: int | None = None) -> Json:
    document: Json = {
        "time": format_time(time),
        "availableBytes": item.available_bytes,
        "capacityBytes": item.capacity_bytes,
        "inodesFree": item.inodes_free,
        "inodes": item.inodes,
        "inodesUsed": item.inodes - item.inodes_free if inodes_used is None else inodes_used,
    }
    return document | ({} if used_bytes is None else {"usedBytes": used_bytes})
