"""Knows which devices are taken: by allocated claims, and by those that are about to be.

What a pod gets between Reserve and the end of PreBind is known here alone; so is what PreBind wrote, until the cache
has it, too. The profiles of a scheduler share both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from kubeapi.resource.resourceclaim.model import AllocationResult, DeviceId, ResourceClaim
from scheduler.framework import Lister


@dataclass(slots=True)
class InFlight:
    """`pending` by the claim's uid; `written` by its key."""

    pending: dict[str, AllocationResult] = field(default_factory=dict)
    written: dict[str, ResourceClaim] = field(default_factory=dict)


class Ledger:
    def __init__(self, lister: Lister, in_flight: InFlight) -> None:
        self._lister, self._in_flight = lister, in_flight
        self._taken: Counter[DeviceId] | None = None
        """The devices of all claims in the cache, once they have been counted."""

    def claim(self, key: str) -> ResourceClaim | None:
        """Returns the newest that is known of a claim."""
        cached, written = self._lister.get(ResourceClaim, key), self._in_flight.written.get(key)
        if written is None:
            return cached
        if cached is None or cached.metadata.uid != written.metadata.uid or _version(cached) >= _version(written):
            del self._in_flight.written[key]
            return cached
        return written

    def taken(self) -> set[DeviceId]:
        if self._taken is None:
            claims = self._lister.list(ResourceClaim)
            self._taken = Counter(device for claim in claims for device in _devices(claim.status.allocation))
        taken = set(self._taken)
        for allocation in self._in_flight.pending.values():
            taken.update(_devices(allocation))
        for key in list(self._in_flight.written):
            claim = self.claim(key)
            if claim is not None:
                taken.update(_devices(claim.status.allocation))
        return taken

    def observe(self, old: ResourceClaim | None, new: ResourceClaim | None) -> None:
        """Takes in a change of the cache."""
        if self._taken is not None:
            self._taken.subtract(_devices(old.status.allocation) if old is not None else ())
            self._taken.update(_devices(new.status.allocation) if new is not None else ())
            self._taken = +self._taken

    def is_pending(self, claim: ResourceClaim) -> bool:
        return (claim.metadata.uid or "") in self._in_flight.pending

    def reserve(self, claim: ResourceClaim, allocation: AllocationResult) -> None:
        self._in_flight.pending[claim.metadata.uid or ""] = allocation

    def wrote(self, claim: ResourceClaim) -> None:
        self._in_flight.written[claim.key] = claim

    def give_up(self, claim: ResourceClaim) -> None:
        """Forgets what is pending for the claim."""
        self._in_flight.pending.pop(claim.metadata.uid or "", None)


def _devices(allocation: AllocationResult | None) -> Iterator[DeviceId]:
    """Yields the devices that nobody else may have; administrators share theirs."""
    for item in (allocation.devices.results if allocation is not None and allocation.devices else None) or ():
        if not item.adminAccess:
            yield item.id


def _version(claim: ResourceClaim) -> int:
    return int(claim.metadata.resourceVersion or 0)
