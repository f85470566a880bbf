"""Reads the thresholds at which a node begins to evict pods, and checks them. Pure.

Source: Kubernetes documentation, "Node-pressure Eviction"; messages as upstream's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from apimachinery.quantity import QuantityError, parse_quantity
from componentbase.flags import parse_duration

MEMORY_AVAILABLE, PID_AVAILABLE = "memory.available", "pid.available"
ALLOCATABLE_MEMORY = "allocatableMemory.available"
NODEFS_AVAILABLE, NODEFS_INODES = "nodefs.available", "nodefs.inodesFree"
IMAGEFS_AVAILABLE, IMAGEFS_INODES = "imagefs.available", "imagefs.inodesFree"
CONTAINERFS_AVAILABLE, CONTAINERFS_INODES = "containerfs.available", "containerfs.inodesFree"

DEFAULT_HARD = (
    "memory.available<100Mi,nodefs.available<10%,nodefs.inodesFree<5%,imagefs.available<15%,imagefs.inodesFree<5%"
)


@dataclass(frozen=True, slots=True)
class SignalKind:
    """The node condition that a signal leads to, and the resource that is then reclaimed, as messages name it."""

    condition: str
    resource: str


_DISK = SignalKind("DiskPressure", "ephemeral-storage")
_INODES = SignalKind("DiskPressure", "inodes")
SIGNALS: Mapping[str, SignalKind] = {
    MEMORY_AVAILABLE: SignalKind("MemoryPressure", "memory"),
    ALLOCATABLE_MEMORY: SignalKind("MemoryPressure", "memory"),
    NODEFS_AVAILABLE: _DISK,
    NODEFS_INODES: _INODES,
    IMAGEFS_AVAILABLE: _DISK,
    IMAGEFS_INODES: _INODES,
    CONTAINERFS_AVAILABLE: _DISK,
    CONTAINERFS_INODES: _INODES,
    PID_AVAILABLE: SignalKind("PIDPressure", "pids"),
}


@dataclass(frozen=True, slots=True)
class Amount:
    """A quantity, or a share of the capacity."""

    quantity: Fraction | None = None
    share: Fraction = Fraction(0)

    def of(self, capacity: Fraction) -> Fraction:
        return self.quantity if self.quantity is not None else capacity * self.share


@dataclass(frozen=True, slots=True)
class Threshold:
    """The node is under pressure while less than `least` is available. `grace_seconds` None: a hard threshold.

    Pods are evicted until `least` and `reclaim` are available.
    """

    signal: str
    least: Amount
    grace_seconds: float | None = None
    reclaim: Amount = Amount(Fraction(0))

    @property
    def kind(self) -> SignalKind:
        return SIGNALS[self.signal]


@dataclass(frozen=True, slots=True)
class EvictionPolicy:
    """All thresholds; how long a condition stays after its signal has recovered, and the longest grace of a pod."""

    thresholds: tuple[Threshold, ...] = ()
    transition_seconds: float = 300.0
    max_pod_grace_seconds: int = 0

    def hard(self, signal: str, capacity: Fraction) -> Fraction:
        """Returns how much of a resource the hard threshold of a signal keeps free; 0 without one."""
        found = (
            item.least.of(capacity) for item in self.thresholds if item.signal == signal and item.grace_seconds is None
        )
        return next(found, Fraction(0))


def parse_thresholds(text: str) -> dict[str, str]:
    """Splits "memory.available<100Mi,nodefs.available<10%". Raises: ValueError."""
    values: dict[str, str] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        signal, sign, value = item.partition("<")
        if not sign:
            raise ValueError(f"invalid eviction threshold syntax {item}, expected <signal><operator><value>")
        if signal in values:
            raise ValueError(f"duplicate eviction threshold signal: {signal}")
        values[signal] = value
    return values


def eviction_thresholds(
    hard: Mapping[str, str], soft: Mapping[str, str], soft_grace: Mapping[str, str], reclaim: Mapping[str, str]
) -> tuple[Threshold, ...]:
    """Makes the thresholds of the four flags. Raises: ValueError."""
    minimums = {signal: _amount(signal, value, "minimum reclaim") for signal, value in reclaim.items()}
    periods = {signal: _grace(signal, value) for signal, value in soft_grace.items()}
    thresholds: list[Threshold] = []
    for values, is_soft in ((hard, False), (soft, True)):
        for signal, value in values.items():
            amount = _amount(signal, value, "threshold")
            if value in ("0%", "100%"):
                continue
            if amount.quantity == 0:
                raise ValueError(f"eviction threshold {signal} must be positive: {value}")
            if is_soft and signal not in periods:
                raise ValueError(f"grace period must be specified for the soft eviction threshold {signal}")
            grace = periods[signal] if is_soft else None
            thresholds.append(Threshold(signal, amount, grace, minimums.get(signal, Amount(Fraction(0)))))
    return tuple(thresholds)


def with_allocatable(thresholds: tuple[Threshold, ...]) -> tuple[Threshold, ...]:
    """Adds what holds for the group of all pods: they are evicted before the kernel kills for the group's limit."""
    hard = [item for item in thresholds if item.signal == MEMORY_AVAILABLE and item.grace_seconds is None]
    return (*thresholds, *(replace(item, signal=ALLOCATABLE_MEMORY) for item in hard))


def _amount(signal: str, text: str, what: str) -> Amount:
    if signal not in SIGNALS:
        raise ValueError(f"unsupported eviction {'threshold signal' if what == 'threshold' else 'signal'} {signal}")
    try:
        if text.endswith("%"):
            share = parse_quantity(text.removesuffix("%")) / 100
            if not 0 <= share <= 1:
                bound = ">= 0%" if share < 0 else "<= 100%"
                raise ValueError(f"eviction percentage {what} {signal} must be {bound}: {text}")
            return Amount(share=share)
        quantity = parse_quantity(text)
    except QuantityError as error:
        raise ValueError(f"eviction {what} {signal}: {error}") from None
    if quantity < 0:
        raise ValueError(f"eviction {what} {signal} must be positive: {text}")
    return Amount(quantity)


def _grace(signal: str, text: str) -> float:
    if signal not in SIGNALS:
        raise ValueError(f"unsupported eviction signal {signal}")
    seconds = parse_duration(text)
    if seconds < 0:
        raise ValueError(f"invalid eviction grace period specified: {text}, must be a positive value")
    return seconds
