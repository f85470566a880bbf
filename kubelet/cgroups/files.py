"""Makes control groups for pods and writes their limits, in the files of cgroup v1 or v2.

A group is named by its path below the hierarchy's root, "/kubepods/burstable/pod0123…"; with v1 it has a folder in the
hierarchy of each controller. All functions block for less than a millisecond, and raise OSError as the kernel refuses.
Source: the kernel's documentation, "Control Groups" (v1) and "Control Group v2".
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from kubelet.runtime.configs import Resources

ROOT = "/sys/fs/cgroup"
CONTROLLERS = ("cpu", "memory", "pids", "hugetlb")
"""The controllers whose limits a pod's group has; a kernel may be built without some of them."""


class GroupFiles(Protocol):
    def make(self, path: str) -> None:
        """Makes the group and those above it; one that exists stays as it is."""

    def exists(self, path: str) -> bool: ...

    def write(self, path: str, limits: Resources, *, others_stay: bool = False) -> None:
        """Sets the limits of a group that exists; 0 takes a limit away, but leaves a CPU weight as it is.

        With `others_stay`, 0 leaves every limit as it is.
        Raises: OSError, also for a memory limit below what the group can't give back.
        """

    def children(self, path: str) -> list[str]:
        """Returns the names of the groups right below."""

    def remove(self, path: str) -> None:
        """Removes a group without processes and groups below it; one that is gone already counts as removed."""


def group_files(root: str = ROOT) -> GroupFiles:
    """Returns those for the version that is mounted at `root`."""
    return V2Files(root) if os.path.exists(f"{root}/cgroup.controllers") else V1Files(root)


class V1Files:
    def __init__(self, root: str = ROOT) -> None:
        self._root = root
        self._controllers = [name for name in CONTROLLERS if os.path.isdir(f"{root}/{name}")]

    def make(self, path: str) -> None:
        for controller in self._controllers:
            os.makedirs(f"{self._root}/{controller}{path}", exist_ok=True)

    def exists(self, path: str) -> bool:
        return all(os.path.isdir(f"{self._root}/{controller}{path}") for controller in self._controllers)

    def write(self, path: str, limits: Resources, *, others_stay: bool = False) -> None:
        values = {
            "cpu/cpu.shares": limits.cpu_shares or None,
            "cpu/cpu.cfs_period_us": limits.cpu_period_us or None,
            "cpu/cpu.cfs_quota_us": limits.cpu_quota_us or (None if others_stay else -1),
            "memory/memory.limit_in_bytes": limits.memory_limit_bytes or (None if others_stay else -1),
            "pids/pids.max": limits.pids_limit or (None if others_stay else "max"),
        }
        for name, value in values.items():
            controller, _, file = name.partition("/")
            if value is not None and controller in self._controllers:
                _write(f"{self._root}/{controller}{path}/{file}", value)
        _write_huge_pages(f"{self._root}/hugetlb{path}", "limit_in_bytes", limits.huge_pages)

    def children(self, path: str) -> list[str]:
        return list(_folders(f"{self._root}/{self._controllers[0]}{path}"))

    def remove(self, path: str) -> None:
        """Looks into every hierarchy, because the engine makes its containers' parents in all of them."""
        for hierarchy in _folders(self._root):
            with suppress(FileNotFoundError):
                os.rmdir(f"{self._root}/{hierarchy}{path}")


class V2Files:
    def __init__(self, root: str = ROOT) -> None:
        self._root = root

    def make(self, path: str) -> None:
        """A group has a controller's files once the group above it passes that controller on."""
        folder = Path(self._root)
        for part in Path(path).relative_to("/").parts:
            offered = (folder / "cgroup.controllers").read_text().split()
            passed = (folder / "cgroup.subtree_control").read_text().split()
            missing = [f"+{name}" for name in CONTROLLERS if name in offered and name not in passed]
            if missing:
                _write(str(folder / "cgroup.subtree_control"), " ".join(missing))
            folder /= part
            folder.mkdir(exist_ok=True)

    def exists(self, path: str) -> bool:
        return os.path.isdir(f"{self._root}{path}")

    def write(self, path: str, limits: Resources, *, others_stay: bool = False) -> None:
        folder = f"{self._root}{path}"
        if limits.cpu_shares:
            _write(f"{folder}/cpu.weight", cpu_weight(limits.cpu_shares))
        if limits.cpu_quota_us or not others_stay:
            _write(f"{folder}/cpu.max", f"{limits.cpu_quota_us or 'max'} {limits.cpu_period_us or 100_000}")
        for name, limit in (("memory.max", limits.memory_limit_bytes), ("pids.max", limits.pids_limit)):
            if limit or not others_stay:
                _write(f"{folder}/{name}", limit or "max")
        _write_huge_pages(folder, "max", limits.huge_pages)

    def children(self, path: str) -> list[str]:
        return list(_folders(f"{self._root}{path}"))

    def remove(self, path: str) -> None:
        with suppress(FileNotFoundError):
            os.rmdir(f"{self._root}{path}")


def cpu_weight(shares: int) -> int:
    """Turns 2 … 262144 into 1 … 10000, as runtimes do."""
    return 1 + (shares - 2) * 9999 // 262142


def _write_huge_pages(folder: str, suffix: str, limits: Mapping[str, int] | None) -> None:
    """Limits each size of pages that the kernel has, "2MB" or "1GB"; None leaves all as they are."""
    if limits is None or not os.path.isdir(folder):
        return
    for name in os.listdir(folder):
        controller, _, rest = name.partition(".")
        size, _, kind = rest.partition(".")
        if controller == "hugetlb" and kind == suffix:
            _write(f"{folder}/{name}", limits.get(size, 0))


def _folders(path: str) -> Iterator[str]:
    with suppress(FileNotFoundError), os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir():
                yield entry.name


def _write(path: str, value: int | str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(str(value))
