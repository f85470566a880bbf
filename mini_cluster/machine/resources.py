"""Reads what this machine has, as far as every worker host offers it to pods."""

from __future__ import annotations

import os
from pathlib import Path

MAX_PODS = 110
KEPT_MEMORY_MIB = 100
"""Below this a kubelet evicts pods, so it is not theirs to ask for."""
KEPT_DISK_PERCENT = 3


def offered_resources(folder: Path) -> dict[str, str]:
    """Returns a host's allocatable resources; `folder` is on the disk that holds its pods' files."""
    memory_kib = next(
        int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:")
    )
    disk = os.statvfs(folder)
    return {
        "cpu": str(os.cpu_count() or 1),
        "memory": f"{memory_kib - KEPT_MEMORY_MIB * 1024}Ki",
        "ephemeral-storage": str(disk.f_blocks * disk.f_frsize * (100 - KEPT_DISK_PERCENT) // 100),
        "pods": str(MAX_PODS),
    }
