"""The machine's CPUs, and which of them to take together. Pure, but for `read_topology`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

SYSTEM = Path("/sys/devices/system/cpu")


class Place(NamedTuple):
    """Where a CPU is: its socket, and its core there."""

    socket: int
    core: int


Topology = Mapping[int, Place]
"""By the number of the CPU, which is a thread of its core."""


def parse_cpus(text: str) -> frozenset[int]:
    """Reads "0-3,8" as the kernel writes it. Raises: ValueError."""
    cpus = set[int]()
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        cpus.update(range(int(first), int(last or first) + 1))
    return frozenset(cpus)


def format_cpus(cpus: Iterable[int]) -> str:
    """Writes {0, 1, 2, 8} as "0-2,8"."""
    parts = list[list[int]]()
    for cpu in sorted(cpus):
        if parts and parts[-1][1] == cpu - 1:
            parts[-1][1] = cpu
        else:
            parts.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def read_topology(system: Path = SYSTEM) -> dict[int, Place]:
    """Raises: OSError; ValueError."""
    topology = {}
    for cpu in parse_cpus((system / "online").read_text()):
        facts = system / f"cpu{cpu}" / "topology"
        try:
            socket = int((facts / "physical_package_id").read_text())
            core = int((facts / "core_id").read_text())
        except FileNotFoundError:
            socket, core = 0, cpu  # a machine that does not tell
        topology[cpu] = Place(socket, core)
    return topology


def take(topology: Topology, free: Collection[int], count: int) -> frozenset[int]:
    """Chooses `count` free CPUs: whole sockets first, then whole cores, then threads of cores that are in use already.

    Raises: ValueError when there are not as many.
    """
    if count > len(free):
        raise ValueError(f"not enough cpus available to satisfy request: requested={count}, available={len(free)}")
    rest, taken = set(free), set[int]()

    def whole(groups: Mapping[tuple[int, ...], list[int]], sizes: Mapping[tuple[int, ...], int]) -> None:
        for key in sorted(groups):
            if len(groups[key]) == sizes[key] <= count - len(taken) and rest.issuperset(groups[key]):
                taken.update(groups[key])
                rest.difference_update(groups[key])

    for level in (1, 2):  # sockets, then cores
        whole(
            _groups(topology, rest, level), {key: len(cpus) for key, cpus in _groups(topology, topology, level).items()}
        )
    free_in_core = {key: len(cpus) for key, cpus in _groups(topology, rest, 2).items()}
    threads = sorted(rest, key=lambda cpu: (free_in_core[tuple(topology[cpu])], tuple(topology[cpu]), cpu))
    return frozenset(taken | set(threads[: count - len(taken)]))


def _groups(topology: Topology, cpus: Iterable[int], level: int) -> dict[tuple[int, ...], list[int]]:
    groups = defaultdict[tuple[int, ...], list[int]](list)
    for cpu in sorted(cpus):
        groups[tuple(topology[cpu][:level])].append(cpu)
    return dict(groups)
