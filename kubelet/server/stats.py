"""Makes the document at /stats/summary: CPU and memory of the node and of each running container."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson

from apimachinery.times import format_time
from kubelet.runtime.interface import ContainerStats, PodRef

NANOSECONDS = 1_000_000_000


def stats_summary(node_name: str, stats: Sequence[ContainerStats], now: float) -> bytes:
    """Encodes the document. Source: the kubelet's stats/v1alpha1 Summary, the part that resource metrics need."""
    time = format_time(now)
    by_pod: dict[PodRef, list[ContainerStats]] = {}
    for item in stats:
        by_pod.setdefault(item.pod, []).append(item)
    document = {
        "node": {
            "nodeName": node_name,
            "startTime": time,
            "cpu": {"time": time, "usageCoreNanoSeconds": _node_cpu_nanoseconds()},
            "memory": {"time": time, **_node_memory()},
        },
        "pods": [_pod(ref, items) for ref, items in by_pod.items()],
    }
    return orjson.dumps(document)


def _pod(ref: PodRef, items: Iterable[ContainerStats]) -> dict[str, Any]:
    containers = [
        {"name": item.name, "cpu": _cpu(item.time, item.cpu_nanoseconds), "memory": _memory([item])} for item in items
    ]
    items = list(items)
    newest = max(item.time for item in items)
    return {
        "podRef": {"name": ref.name, "namespace": ref.namespace, "uid": ref.uid},
        "containers": containers,
        "cpu": _cpu(newest, sum(item.cpu_nanoseconds for item in items)),
        "memory": _memory(items),
    }


def _cpu(time: float, nanoseconds: int) -> dict[str, Any]:
    return {"time": format_time(time), "usageCoreNanoSeconds": nanoseconds}


def _memory(items: Sequence[ContainerStats]) -> dict[str, Any]:
    return {
        "time": format_time(max(item.time for item in items)),
        "usageBytes": sum(item.memory_usage_bytes for item in items),
        "workingSetBytes": sum(item.memory_working_set_bytes for item in items),
    }


def _node_cpu_nanoseconds() -> int:
    """Returns the busy time of all CPUs since boot: the first line of /proc/stat without idle and iowait."""
    user, nice, system, _idle, _iowait, *others = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:])
    ticks = user + nice + system + sum(others[:3])
    return ticks * NANOSECONDS // os.sysconf("SC_CLK_TCK")


def _node_memory() -> dict[str, int]:
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    sizes = {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines}
    available = sizes.get("MemAvailable", sizes["MemFree"])
    used = sizes["MemTotal"] - available
    return {"availableBytes": available, "usageBytes": sizes["MemTotal"] - sizes["MemFree"], "workingSetBytes": used}
