"""Reads what the whole machine uses: CPU, memory, network, processes and file systems."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kubelet.stats.cgroups import CoreUsage, Pressure, parse_pressure

NANOSECONDS = 1_000_000_000
LOOPBACK = "lo"


@dataclass(frozen=True, slots=True)
class Filesystem:
    """A file system's size in bytes and inodes. `device` tells whether two paths are on the same one."""

    device: int
    capacity_bytes: int
    available_bytes: int
    free_bytes: int
    inodes: int
    inodes_free: int

    @property
    def used_bytes(self) -> int:
        return self.capacity_bytes - self.free_bytes


@dataclass(frozen=True, slots=True)
class Interface:
    """The counters of one network interface since it exists."""

    name: str
    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


@dataclass(frozen=True, slots=True)
class HostUsage:
    """The machine at one moment. `pids_max` bounds processes and threads together."""

    core: CoreUsage
    boot_time: float
    memory_bytes: int
    swap_total_bytes: int
    pids: int
    pids_max: int
    interfaces: tuple[Interface, ...] = ()
    pressure: Mapping[str, Mapping[str, Pressure]] = field(default_factory=dict)

    @property
    def memory_available_bytes(self) -> int:
        """Upstream's figure for eviction: unlike MemAvailable, inactive files alone count as free."""
        return max(self.memory_bytes - self.core.working_set_bytes, 0)


def read_host(proc: str = "/proc") -> HostUsage:
    """Raises: OSError."""
    memory = {name: int(words.split()[0]) * 1024 for name, words in _lines(f"{proc}/meminfo")}
    times, boot_time = _cpu(Path(f"{proc}/stat").read_text())
    used = memory["MemTotal"] - memory["MemFree"]
    faults = dict(line.split() for line in Path(f"{proc}/vmstat").read_text().splitlines())
    core = CoreUsage(
        cpu_nanoseconds=times,
        memory_bytes=used,
        working_set_bytes=max(used - memory.get("Inactive(file)", 0), 0),
        rss_bytes=memory.get("AnonPages", 0),
        cache_bytes=memory.get("Cached", 0),
        mapped_file_bytes=memory.get("Mapped", 0),
        swap_bytes=memory.get("SwapTotal", 0) - memory.get("SwapFree", 0),
        page_faults=int(faults.get("pgfault", 0)),
        major_page_faults=int(faults.get("pgmajfault", 0)),
    )
    return HostUsage(
        core=core,
        boot_time=boot_time,
        memory_bytes=memory["MemTotal"],
        swap_total_bytes=memory.get("SwapTotal", 0),
        pids=int(Path(f"{proc}/loadavg").read_text().split()[3].partition("/")[2]),
        pids_max=most_pids(proc),
        interfaces=read_interfaces(f"{proc}/net/dev"),
        pressure=_pressure(proc),
    )


def most_pids(proc: str = "/proc") -> int:
    """Raises: OSError."""
    return min(int(Path(f"{proc}/sys/kernel/{name}").read_text()) for name in ("pid_max", "threads-max"))


def read_interfaces(path: str) -> tuple[Interface, ...]:
    """Reads the counters of a network namespace from a process's net/dev, without loopback. Raises: OSError."""
    found = []
    for name, text in _lines(path):
        counters = text.split()
        if name != LOOPBACK and len(counters) >= 12:
            rx, tx = map(int, counters[:4]), map(int, counters[8:12])
            found.append(Interface(name, *rx, *tx))
    return tuple(found)


def read_filesystem(path: str) -> Filesystem:
    """Raises: OSError."""
    stats = os.statvfs(path)
    return Filesystem(
        device=os.stat(path).st_dev,
        capacity_bytes=stats.f_blocks * stats.f_frsize,
        available_bytes=stats.f_bavail * stats.f_frsize,
        free_bytes=stats.f_bfree * stats.f_frsize,
        inodes=stats.f_files,
        inodes_free=stats.f_ffree,
    )


def read_process(pid: str = "self", proc: str = "/proc") -> CoreUsage:
    """Reads the CPU time and memory of one process. Raises: OSError."""
    fields = Path(f"{proc}/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    resident = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    return CoreUsage(
        cpu_nanoseconds=ticks * NANOSECONDS // os.sysconf("SC_CLK_TCK"),
        memory_bytes=resident,
        working_set_bytes=resident,
        rss_bytes=resident,
        page_faults=int(fields[7]),
        major_page_faults=int(fields[9]),
    )


def _cpu(text: str) -> tuple[int, float]:
    """Returns the busy nanoseconds of all CPUs since boot, without idle and iowait, and the boot's unix time."""
    lines = dict(line.partition(" ")[::2] for line in text.splitlines())
    user, nice, system, _idle, _iowait, *others = map(int, lines["cpu"].split())
    ticks = user + nice + system + sum(others[:3])
    return ticks * NANOSECONDS // os.sysconf("SC_CLK_TCK"), float(lines["btime"])


def _pressure(proc: str) -> dict[str, dict[str, Pressure]]:
    found = {}
    for kind in ("cpu", "memory", "io"):
        try:
            found[kind] = parse_pressure(Path(f"{proc}/pressure/{kind}").read_text())
        except OSError:  # a kernel without it, or with it switched off
            continue
    return found


def _lines(path: str) -> list[tuple[str, str]]:
    """Splits lines such as "name:  values"; those without a colon are headings."""
    pairs = (line.partition(":") for line in Path(path).read_text().splitlines())
    return [(name.strip(), values) for name, colon, values in pairs if colon and values.strip()]
