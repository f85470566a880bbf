"""Decides which thresholds a node has crossed, for how long, and which pressure conditions follow. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from kubelet.eviction.thresholds import (
    ALLOCATABLE_MEMORY,
    CONTAINERFS_AVAILABLE,
    CONTAINERFS_INODES,
    IMAGEFS_AVAILABLE,
    IMAGEFS_INODES,
    MEMORY_AVAILABLE,
    NODEFS_AVAILABLE,
    NODEFS_INODES,
    PID_AVAILABLE,
    Amount,
    EvictionPolicy,
    Threshold,
)
from kubelet.stats.figures import NodeFigures


@dataclass(frozen=True, slots=True)
class Observation:
    """How much of a resource is left, and how much there is."""

    available: int
    capacity: int

    def below(self, amount: Amount) -> bool:
        return self.available < amount.of(Fraction(self.capacity))


def observe(node: NodeFigures) -> dict[str, Observation]:
    """Returns what is observed by signal. A file system that counts no inodes gives no signal of them, nor do pods
    without a limit of all together."""
    imagefs = node.imagefs or node.nodefs
    observations = {
        MEMORY_AVAILABLE: Observation(node.host.memory_available_bytes, node.host.memory_bytes),
        PID_AVAILABLE: Observation(node.host.pids_max - node.host.pids, node.host.pids_max),
    }
    if node.pods is not None:
        observations[ALLOCATABLE_MEMORY] = Observation(
            node.pods.limit_bytes - node.pods.working_set_bytes, node.pods.limit_bytes
        )
    for disk, available, inodes in (
        (node.nodefs, NODEFS_AVAILABLE, NODEFS_INODES),
        (imagefs, IMAGEFS_AVAILABLE, IMAGEFS_INODES),
        (imagefs, CONTAINERFS_AVAILABLE, CONTAINERFS_INODES),
    ):
        observations[available] = Observation(disk.available_bytes, disk.capacity_bytes)
        if disk.inodes:
            observations[inodes] = Observation(disk.inodes_free, disk.inodes)
    return observations


def memory_room(policy: EvictionPolicy, observed: Mapping[str, Observation], pods_group: str) -> dict[str, int]:
    """Returns how many bytes more a control group may use until the next threshold of memory is crossed.

    "/" is that of the machine, `pods_group` that of all pods. What is crossed already counts for nothing.
    """
    room: dict[str, int] = {}
    for item in policy.thresholds:
        group = {MEMORY_AVAILABLE: "/", ALLOCATABLE_MEMORY: pods_group}.get(item.signal)
        if group and (seen := observed.get(item.signal)):
            left = seen.available - int(item.least.of(Fraction(seen.capacity)))
            if left > 0:
                room[group] = min(left, room.get(group, left))
    return room


@dataclass(frozen=True, slots=True)
class PressureState:
    """What is remembered between two looks. Times are monotonic seconds."""

    first_met: Mapping[Threshold, float] = field(default_factory=dict)
    due: tuple[Threshold, ...] = ()
    """Thresholds that call for pods to be evicted: crossed, and for as long as their grace period."""
    last_seen: Mapping[str, float] = field(default_factory=dict)
    """Condition -> when one of its thresholds was last crossed."""
    conditions: frozenset[str] = frozenset()


def look(
    policy: EvictionPolicy, observed: Mapping[str, Observation], before: PressureState, now: float
) -> PressureState:
    """Returns the state after an observation.

    A threshold that led to evictions stays crossed until its minimum reclaim is free, too. A condition stays for the
    transition period, so that a node on the edge does not flap.
    """
    met = [item for item in policy.thresholds if item.signal in observed and observed[item.signal].below(item.least)]
    met += [item for item in before.due if item not in met and not resolved(item, observed)]
    first_met = {item: before.first_met.get(item, now) for item in met}
    pressed = {item.kind.condition for item in met}
    last_seen = {**before.last_seen, **dict.fromkeys(pressed, now)}
    lasting = {name for name, seen in last_seen.items() if now - seen < policy.transition_seconds}
    return PressureState(
        first_met=first_met,
        due=tuple(item for item in met if item.grace_seconds is None or now - first_met[item] >= item.grace_seconds),
        last_seen={name: seen for name, seen in last_seen.items() if name in lasting | pressed},
        conditions=frozenset(lasting | pressed),
    )


def resolved(threshold: Threshold, observed: Mapping[str, Observation]) -> bool:
    """Tells whether there is as much as the threshold and its minimum reclaim ask for."""
    item = observed.get(threshold.signal)
    if item is None:
        return True
    capacity = Fraction(item.capacity)
    return item.available >= threshold.least.of(capacity) + threshold.reclaim.of(capacity)


def without_due(state: PressureState) -> PressureState:
    """Returns the state once what was due has been reclaimed."""
    return replace(state, due=())


def most_urgent(due: tuple[Threshold, ...]) -> Threshold | None:
    """Chooses memory first, as the kernel would kill for it."""
    return min(due, key=lambda item: item.kind.resource != "memory", default=None)
