"""Writes into claims what the scheduler decides: who gets which devices, and who no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from apimachinery.errors import Conflict, NotFound, StatusError
from componentbase import logs
from kubeapi.resource.resourceclaim.model import (
    FINALIZER,
    AllocationResult,
    ResourceClaim,
)
from kubeapi.resource.resourceclaim.pods import PodClaimError, consumer
from kubeclient.rest import RestClient
from scheduler.views.pod import Pod

CONFLICTS = 5  # tries of one write while others change the claim

log = logs.logger(__name__)


class ClaimWriter:
    """Takes devices and reservations back beside the scheduler, one claim after the other; a write that fails is not
    repeated, as the pod that it was for comes back by itself."""

    def __init__(self, rest: RestClient | None) -> None:
        self._rest = rest
        self._waiting: dict[str, tuple[ResourceClaim, Callable[[ResourceClaim], bool]]] = {}
        """By the claim's uid, the last change that is to be made: no more than there are claims."""
        self._writing = ""
        """The uid of the claim that is being changed."""
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()

    async def bind(self, claim: ResourceClaim, pod: Pod, allocation: AllocationResult | None) -> ResourceClaim:
        """Reserves the claim for the pod, and allocates it if it isn't. Raises: PodClaimError; StatusError; OSError."""
        uid = claim.metadata.uid
        for attempt in range(CONFLICTS):
            if claim.metadata.uid != uid or claim.metadata.deletionTimestamp is not None:
                raise PodClaimError(f"claim {claim.key} got deleted in the meantime")
            if allocation is not None and claim.status.allocation is not None:
                raise PodClaimError(f"claim {claim.key} got allocated elsewhere in the meantime")
            if allocation is None and claim.status.allocation is None:
                raise PodClaimError(f"claim {claim.key} got deallocated in the meantime")
            try:
                return await self._bind(claim.clone(), pod, allocation)
            except Conflict:
                if attempt == CONFLICTS - 1:
                    raise
            claim = await self._client().get(ResourceClaim, claim.name, claim.namespace)
        raise AssertionError("unreachable")

    async def _bind(self, claim: ResourceClaim, pod: Pod, allocation: AllocationResult | None) -> ResourceClaim:
        """Protects the claim first: one that is allocated must not vanish."""
        if allocation is not None:
            if FINALIZER not in (claim.metadata.finalizers or ()):
                claim.metadata.finalizers = [*(claim.metadata.finalizers or ()), FINALIZER]
                claim = await self._client().update(claim)
            claim.status.allocation = allocation
        others = [item for item in claim.status.reservedFor or () if item.uid != pod.metadata.uid]
        claim.status.reservedFor = [*others, consumer(pod)]
        return await self._client().update(claim, "status")

    def deallocate(self, claim: ResourceClaim) -> None:
        """Takes the devices back, unless somebody has begun to use the claim."""
        version = claim.metadata.resourceVersion

        def change(current: ResourceClaim) -> bool:
            if current.metadata.resourceVersion != version:
                return False
            current.status.allocation = current.status.reservedFor = None
            return True

        self._submit(claim, change)

    def release(self, claim: ResourceClaim, pod: Pod) -> None:
        """Takes the claim back from a pod that has got no node after all."""

        def change(current: ResourceClaim) -> bool:
            left = [item for item in current.status.reservedFor or () if item.uid != pod.metadata.uid]
            if len(left) == len(current.status.reservedFor or ()):
                return False
            current.status.reservedFor = left or None
            return True

        self._submit(claim, change)

    def _submit(self, claim: ResourceClaim, change: Callable[[ResourceClaim], bool]) -> None:
        self._waiting[claim.metadata.uid or ""] = claim, change
        self._changed.set()

    async def settled(self, claim: ResourceClaim) -> ResourceClaim:
        """Returns the claim once no change to it is to be made, as it is by then. Raises: StatusError; OSError."""
        uid = claim.metadata.uid or ""
        if uid not in self._waiting and uid != self._writing:
            return claim
        while uid in self._waiting or uid == self._writing:
            settled = self._settled
            await settled.wait()
        return await self._client().get(ResourceClaim, claim.name, claim.namespace)

    async def run(self) -> None:
        while await self._changed.wait():
            self._changed.clear()
            while self._waiting:
                uid = self._writing = next(iter(self._waiting))
                claim, change = self._waiting.pop(uid)
                try:
                    await self._write(claim, change)
                finally:
                    self._writing = ""
                    self._settled.set()
                    self._settled = asyncio.Event()

    async def _write(self, claim: ResourceClaim, change: Callable[[ResourceClaim], bool]) -> None:
        def edit(current: ResourceClaim) -> ResourceClaim | None:
            return current if current.metadata.uid == claim.metadata.uid and change(current) else None

        try:
            await self._client().update_with(ResourceClaim, claim.name, claim.namespace, edit, subresource="status")
        except NotFound:
            return
        except (StatusError, OSError) as error:
            log.warning("claim not written", claim=claim.key, error=str(error))

    def _client(self) -> RestClient:
        if self._rest is None:
            raise RuntimeError("allocating needs an API server")
        return self._rest
