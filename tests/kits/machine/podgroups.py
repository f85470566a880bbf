"""Reads the control groups that worker hosts on this machine make for pods."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mini_cluster.cluster.layout import Layout

HIERARCHIES = Path("/sys/fs/cgroup")
V2 = (HIERARCHIES / "cgroup.controllers").exists()
FILES = {
    "memory": "memory.max" if V2 else "memory/memory.limit_in_bytes",
    "cpu": "cpu.max" if V2 else "cpu/cpu.cfs_quota_us",
}
CLASSES = {"Guaranteed": "", "Burstable": "/burstable", "BestEffort": "/besteffort"}


def group_limit(layout: Layout, pod: Mapping[str, Any], what: str) -> str:
    """Returns the limit of "memory" or "cpu" that a bound pod has as a whole; "" where it has no group (any more)."""
    controller, _, file = FILES[what].rpartition("/")
    group = f"{layout.cgroup}/{pod['spec']['nodeName']}/kubepods{CLASSES[pod['status']['qosClass']]}"
    path = HIERARCHIES / controller / f"{group.lstrip('/')}/pod{pod['metadata']['uid']}" / file
    return path.read_text().split()[0] if path.exists() else ""
