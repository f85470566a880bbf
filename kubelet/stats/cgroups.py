"""Reads what a control group uses and may use, from the files of cgroup v1 or v2.

A group is named by its path below the hierarchy's root, "/docker/0123…", which is the same in every v1 controller.
Source: the kernel's documentation, "Control Groups" (v1) and "Control Group v2".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

ROOT = "/sys/fs/cgroup"
UNLIMITED_BYTES = 1 << 62
"""cgroup v1 has no word for "no limit" but a number this large."""


@dataclass(frozen=True, slots=True)
class CoreUsage:
    """CPU time since the group's start, and memory in bytes. `working_set_bytes`: without inactive file cache."""

    cpu_nanoseconds: int = 0
    memory_bytes: int = 0
    working_set_bytes: int = 0
    rss_bytes: int = 0
    cache_bytes: int = 0
    mapped_file_bytes: int = 0
    swap_bytes: int = 0
    page_faults: int = 0
    major_page_faults: int = 0


@dataclass(frozen=True, slots=True)
class Pressure:
    """Pressure stall information of one kind: percents of the last 10, 60 and 300 s, and the total in microseconds."""

    avg10: float = 0.0
    avg60: float = 0.0
    avg300: float = 0.0
    total_us: int = 0


@dataclass(frozen=True, slots=True)
class DiskIo:
    """What the group has read from and written to one device ("8:0")."""

    device: str
    read_bytes: int = 0
    write_bytes: int = 0
    reads: int = 0
    writes: int = 0


@dataclass(frozen=True, slots=True)
class DetailedUsage:
    """The rest of what a group's files say; a limit of 0 means none. `pressure`: "cpu" -> "some" or "full" -> it."""

    cpu_user_nanoseconds: int = 0
    cpu_system_nanoseconds: int = 0
    periods: int = 0
    throttled_periods: int = 0
    throttled_nanoseconds: int = 0
    cpu_shares: int = 0
    cpu_quota_us: int = 0
    cpu_period_us: int = 0
    memory_limit_bytes: int = 0
    memory_reservation_bytes: int = 0
    swap_limit_bytes: int = 0
    memory_peak_bytes: int = 0
    memory_limit_hits: int = 0
    oom_kills: int = 0
    threads: int = 0
    threads_limit: int = 0
    io: tuple[DiskIo, ...] = ()
    pressure: Mapping[str, Mapping[str, Pressure]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProcessCounts:
    """How many processes a group has, and how many descriptors these hold open, sockets among them."""

    processes: int = 0
    file_descriptors: int = 0
    sockets: int = 0


class CgroupReader(Protocol):
    """Every method raises OSError when the group is gone or cannot be seen."""

    def cpu_nanoseconds(self, path: str) -> int: ...

    def core(self, path: str) -> CoreUsage: ...

    def detailed(self, path: str) -> DetailedUsage: ...

    def process_counts(self, path: str) -> ProcessCounts:
        """Looks at every open file of every process, which costs more than all the rest."""
        ...


def reader_of(root: str = ROOT, proc: str = "/proc") -> CgroupReader:
    """Returns the reader for the version that is mounted at `root`."""
    return V2Reader(root, proc) if os.path.exists(f"{root}/cgroup.controllers") else V1Reader(root, proc)


def group_of(pid: int, proc: str = "/proc") -> str:
    """Returns the path of the group of a process. Raises: OSError."""
    lines = Path(f"{proc}/{pid}/cgroup").read_text().splitlines()
    controllers = {name: path for _, names, path in (line.split(":", 2) for line in lines) for name in names.split(",")}
    return controllers.get("memory", controllers.get("", "/"))


def count_processes(pids: str, proc: str) -> ProcessCounts:
    """Counts the processes that a group's file lists; one of another PID namespace, or one that ends, holds nothing."""
    processes = descriptors = sockets = 0
    for pid in pids.split():
        processes += 1
        with suppress(OSError):
            for number in os.listdir(f"{proc}/{pid}/fd"):
                descriptors += 1
                with suppress(OSError):
                    sockets += os.readlink(f"{proc}/{pid}/fd/{number}").startswith("socket:")
    return ProcessCounts(processes, descriptors, sockets)


class V1Reader:
    def __init__(self, root: str = ROOT, proc: str = "/proc") -> None:
        self._root = root
        self._proc = proc

    def cpu_nanoseconds(self, path: str) -> int:
        return int(self._text("cpuacct", path, "cpuacct.usage"))

    def core(self, path: str) -> CoreUsage:
        used = int(self._text("memory", path, "memory.usage_in_bytes"))
        memory = _pairs(self._text("memory", path, "memory.stat"))
        return CoreUsage(
            cpu_nanoseconds=self.cpu_nanoseconds(path),
            memory_bytes=used,
            working_set_bytes=max(used - memory.get("total_inactive_file", 0), 0),
            rss_bytes=memory.get("total_rss", 0),
            cache_bytes=memory.get("total_cache", 0),
            mapped_file_bytes=memory.get("total_mapped_file", 0),
            swap_bytes=memory.get("total_swap", 0),
            page_faults=memory.get("total_pgfault", 0),
            major_page_faults=memory.get("total_pgmajfault", 0),
        )

    def detailed(self, path: str) -> DetailedUsage:
        cpu = _pairs(self._text("cpu", path, "cpu.stat"))
        memory_limit = _limit(self._text("memory", path, "memory.limit_in_bytes"))
        both_limit = _limit(self._optional("memory", path, "memory.memsw.limit_in_bytes"))
        return DetailedUsage(
            cpu_user_nanoseconds=int(self._text("cpuacct", path, "cpuacct.usage_user")),
            cpu_system_nanoseconds=int(self._text("cpuacct", path, "cpuacct.usage_sys")),
            periods=cpu.get("nr_periods", 0),
            throttled_periods=cpu.get("nr_throttled", 0),
            throttled_nanoseconds=cpu.get("throttled_time", 0),
            cpu_shares=int(self._text("cpu", path, "cpu.shares")),
            cpu_quota_us=max(int(self._text("cpu", path, "cpu.cfs_quota_us")), 0),
            cpu_period_us=int(self._text("cpu", path, "cpu.cfs_period_us")),
            memory_limit_bytes=memory_limit,
            memory_reservation_bytes=_limit(self._text("memory", path, "memory.soft_limit_in_bytes")),
            swap_limit_bytes=max(both_limit - memory_limit, 0),
            memory_peak_bytes=int(self._text("memory", path, "memory.max_usage_in_bytes")),
            memory_limit_hits=int(self._text("memory", path, "memory.failcnt")),
            oom_kills=_pairs(self._text("memory", path, "memory.oom_control")).get("oom_kill", 0),
            threads=int(self._text("pids", path, "pids.current")),
            threads_limit=_limit(self._optional("pids", path, "pids.max")),
            io=self._io(path),
        )

    def process_counts(self, path: str) -> ProcessCounts:
        return count_processes(self._text("pids", path, "cgroup.procs"), self._proc)

    def _io(self, path: str) -> tuple[DiskIo, ...]:
        amounts: dict[str, dict[str, int]] = {}
        for file, kind in (("blkio.throttle.io_service_bytes", "_bytes"), ("blkio.throttle.io_serviced", "s")):
            for words in map(str.split, self._optional("blkio", path, file).splitlines()):
                if len(words) == 3 and words[1] in ("Read", "Write"):
                    amounts.setdefault(words[0], {})[words[1].lower() + kind] = int(words[2])
        return tuple(DiskIo(device, **values) for device, values in amounts.items())

    def _text(self, controller: str, path: str, file: str) -> str:
        with open(f"{self._root}/{controller}{path}/{file}", encoding="ascii") as opened:
            return opened.read()

    def _optional(self, controller: str, path: str, file: str) -> str:
        """Reads a file that kernels may be built without."""
        try:
            return self._text(controller, path, file)
        except OSError:
            return ""


class V2Reader:
    def __init__(self, root: str = ROOT, proc: str = "/proc") -> None:
        self._root = root
        self._proc = proc

    def cpu_nanoseconds(self, path: str) -> int:
        return _pairs(self._text(path, "cpu.stat"))["usage_usec"] * 1000

    def core(self, path: str) -> CoreUsage:
        used = int(self._text(path, "memory.current"))
        memory = _pairs(self._text(path, "memory.stat"))
        return CoreUsage(
            cpu_nanoseconds=self.cpu_nanoseconds(path),
            memory_bytes=used,
            working_set_bytes=max(used - memory.get("inactive_file", 0), 0),
            rss_bytes=memory.get("anon", 0),
            cache_bytes=memory.get("file", 0),
            mapped_file_bytes=memory.get("file_mapped", 0),
            swap_bytes=int(self._optional(path, "memory.swap.current") or 0),
            page_faults=memory.get("pgfault", 0),
            major_page_faults=memory.get("pgmajfault", 0),
        )

    def detailed(self, path: str) -> DetailedUsage:
        cpu, events = _pairs(self._text(path, "cpu.stat")), _pairs(self._text(path, "memory.events"))
        quota, _, period = self._text(path, "cpu.max").partition(" ")
        weight = int(self._optional(path, "cpu.weight") or 0)
        return DetailedUsage(
            cpu_user_nanoseconds=cpu.get("user_usec", 0) * 1000,
            cpu_system_nanoseconds=cpu.get("system_usec", 0) * 1000,
            periods=cpu.get("nr_periods", 0),
            throttled_periods=cpu.get("nr_throttled", 0),
            throttled_nanoseconds=cpu.get("throttled_usec", 0) * 1000,
            cpu_shares=2 + (weight - 1) * 262142 // 9999 if weight else 0,  # as runtimes turn shares into weights
            cpu_quota_us=_limit(quota),
            cpu_period_us=int(period or 0),
            memory_limit_bytes=_limit(self._text(path, "memory.max")),
            memory_reservation_bytes=_limit(self._optional(path, "memory.low")),
            swap_limit_bytes=_limit(self._optional(path, "memory.swap.max")),
            memory_peak_bytes=int(self._optional(path, "memory.peak") or 0),
            memory_limit_hits=events.get("max", 0),
            oom_kills=events.get("oom_kill", 0),
            threads=int(self._optional(path, "pids.current") or 0),
            threads_limit=_limit(self._optional(path, "pids.max")),
            io=self._io(path),
            pressure={
                kind: parse_pressure(text)
                for kind in ("cpu", "memory", "io")
                if (text := self._optional(path, f"{kind}.pressure"))
            },
        )

    def process_counts(self, path: str) -> ProcessCounts:
        return count_processes(self._text(path, "cgroup.procs"), self._proc)

    def _io(self, path: str) -> tuple[DiskIo, ...]:
        found = []
        for device, *pairs in map(str.split, self._optional(path, "io.stat").splitlines()):
            values = dict(pair.split("=", 1) for pair in pairs)
            names = {"read_bytes": "rbytes", "write_bytes": "wbytes", "reads": "rios", "writes": "wios"}
            found.append(DiskIo(device, **{field: int(values.get(name, 0)) for field, name in names.items()}))
        return tuple(found)

    def _text(self, path: str, file: str) -> str:
        with open(f"{self._root}{path}/{file}", encoding="ascii") as opened:
            return opened.read()

    def _optional(self, path: str, file: str) -> str:
        """Reads a file that the root group, or a group without the controller, does not have."""
        try:
            return self._text(path, file)
        except OSError:
            return ""


def parse_pressure(text: str) -> dict[str, Pressure]:
    """Reads lines such as "some avg10=0.00 avg60=0.12 avg300=0.05 total=1234"."""
    found = {}
    for kind, *pairs in map(str.split, text.splitlines()):
        values = dict(pair.split("=", 1) for pair in pairs)
        found[kind] = Pressure(
            float(values["avg10"]), float(values["avg60"]), float(values["avg300"]), int(values["total"])
        )
    return found


def _pairs(text: str) -> dict[str, int]:
    return {name: int(value) for name, _, value in (line.partition(" ") for line in text.splitlines())}


def _limit(text: str) -> int:
    """Returns 0 for no limit."""
    value = text.strip()
    if not value or value == "max":
        return 0
    number = int(value)
    return 0 if number < 0 or number >= UNLIMITED_BYTES else number
