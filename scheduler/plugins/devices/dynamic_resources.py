"""DynamicResources: gives pods the devices that their ResourceClaims ask for, on nodes that can reach these.

PreFilter reads the claims, Filter tries to allocate them on each node, Reserve keeps the devices for the pod, PreBind
writes allocation and reservation into the claims' status.

Source: Kubernetes documentation, "Dynamic Resource Allocation".
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from apimachinery.errors import StatusError
from kubeapi.core.pod.scheduling.nodeselection import terms_match
from kubeapi.resource.deviceclass import DeviceClass
from kubeapi.resource.resourceclaim.model import AllocationResult, ResourceClaim
from kubeapi.resource.resourceclaim.pods import MAX_CONSUMERS, PodClaimError, check_owner, claim_name, is_reserved_for
from kubeapi.resource.resourceslice import ResourceSlice
from scheduler.events import NODE, WAITING_POD, Change, ClusterEvent
from scheduler.framework import (
    SKIP,
    Cycle,
    FloatArray,
    Handle,
    Plugin,
    PluginError,
    PluginSpec,
    PostFilterResult,
    Rejected,
    Skip,
    Unfit,
    scaled,
)
from scheduler.plugins.devices._allocator import NodeUnfit, Patience, Placed, allocate
from scheduler.plugins.devices._inventory import Inventory
from scheduler.plugins.devices._ledger import InFlight, Ledger
from scheduler.plugins.devices._requests import AllocationError, ClaimNeeds, ClassMissing, read_claim
from scheduler.plugins.devices._results import allocation_result, preference
from scheduler.plugins.devices._writer import ClaimWriter
from scheduler.state.shape import IntArray, Shape
from scheduler.state.table import BoolArray, Rows
from scheduler.views.pod import Pod

ELSEWHERE = "resourceclaim not available on the node"
NOT_ENOUGH = "cannot allocate all claims"


@dataclass(slots=True)
class Attempt:
    """What is known of a pod's claims in one attempt. `needs` are of those that have no devices yet."""

    claims: list[ResourceClaim]
    needs: list[ClaimNeeds]
    patience: Patience = field(default_factory=Patience)
    placed: dict[int, list[list[Placed]]] = field(default_factory=dict)
    """By row, the devices of each of `needs`."""
    refusals: dict[int, str] = field(default_factory=dict)
    """By row, the reason."""
    unreachable: dict[str, ResourceClaim] = field(default_factory=dict)
    """Claims whose devices some node can't reach, by their keys."""
    reserved: dict[str, AllocationResult] = field(default_factory=dict)
    """By the claim's key, what Reserve has kept for it."""


class DynamicResources(Plugin):
    local = False
    counts_pods = False
    by_node = True

    def __init__(self, name: str, handle: Handle) -> None:
        super().__init__(name, handle)
        self._ledger = Ledger(handle.lister, handle.shared.setdefault(name, InFlight()))
        self._writer = ClaimWriter(handle.rest)
        self._inventory, self._inventory_version = Inventory(()), ""

    # before the queue

    def pre_enqueue(self, pod: Pod) -> Rejected | None:
        if pod.spec.resourceClaims:
            try:
                self._claims(pod)
            except PodClaimError as error:
                return Rejected(str(error))
        return None

    def _claims(self, pod: Pod) -> list[ResourceClaim]:
        """Raises: PodClaimError."""
        claims = []
        for entry in pod.spec.resourceClaims or ():
            name = claim_name(pod, entry, pod.status.resourceClaimStatuses or ())
            if name is None:
                continue
            key = f"{pod.namespace}/{name}"
            claim = self._ledger.claim(key)
            if claim is None:
                raise PodClaimError(f'could not find resource claim "{key}"')
            if claim.metadata.deletionTimestamp is not None:
                raise PodClaimError(f'resourceclaim "{name}" is being deleted')
            check_owner(pod, entry, claim)
            claims.append(claim)
        return list({claim.key: claim for claim in claims}.values())

    # which nodes

    def pre_filter(self, cycle: Cycle) -> Skip | Rejected | None:
        pod = cycle.pod
        if not pod.spec.resourceClaims:
            return SKIP
        try:
            claims = self._claims(pod)
            if not claims:
                return SKIP
            needs = []
            for claim in claims:
                if claim.status.allocation is None:
                    needs.append(read_claim(claim, lambda name: self.handle.lister.get(DeviceClass, name)))
                    if self._ledger.is_pending(claim):
                        return Rejected(f"resource claim {claim.key} is in the process of being allocated")
                elif len(claim.status.reservedFor or ()) >= MAX_CONSUMERS and not is_reserved_for(claim, pod):
                    return Rejected("resourceclaim in use")
        except (PodClaimError, ClassMissing) as error:
            return Rejected(str(error))
        except AllocationError as error:
            raise PluginError(str(error)) from None
        cycle.state[self.name] = Attempt(claims, needs)
        return None

    def filter(self, cycle: Cycle, rows: Rows) -> BoolArray:
        """Raises: PluginError for a selector that can't be evaluated."""
        attempt: Attempt = cycle.state[self.name]
        numbers = np.arange(self.table.size)[rows]
        taken = self._ledger.taken() if attempt.needs else set()
        mask = np.zeros(len(numbers), np.bool_)
        for place, row in enumerate(numbers.tolist()):
            if not self.table.valid[row]:
                continue
            attempt.refusals.pop(row, None)
            name, labels = self.table.names[row], self.table.labels[row]
            elsewhere = [claim for claim in attempt.claims if not _reaches(claim, name, labels)]
            placed: list[list[Placed]] | None = []
            try:
                if attempt.needs:
                    placed = allocate(attempt.needs, self._devices().of_node(name, labels), taken, attempt.patience)
            except NodeUnfit as error:
                attempt.refusals[row] = str(error)
                continue
            except AllocationError as error:
                raise PluginError(str(error)) from None
            if placed is None:
                attempt.refusals[row] = NOT_ENOUGH
            elif elsewhere:
                attempt.refusals[row] = ELSEWHERE
                attempt.unreachable |= {claim.key: claim for claim in elsewhere}
            else:
                attempt.placed[row] = placed
                mask[place] = True
        return mask

    def _devices(self) -> Inventory:
        version = self.handle.lister.version(ResourceSlice)
        if version != self._inventory_version:
            self._inventory = Inventory(self.handle.lister.list(ResourceSlice), self._inventory)
            self._inventory_version = version
        return self._inventory

    def reasons(self, cycle: Cycle, rows: IntArray) -> Mapping[str, int]:
        attempt: Attempt = cycle.state[self.name]
        return Counter(attempt.refusals[row] for row in rows.tolist())

    async def post_filter(self, cycle: Cycle, unfit: Unfit) -> PostFilterResult | None:
        """Takes the devices from a claim that keeps the pod away from nodes, where nobody else uses it."""
        if not cycle.pod.spec.resourceClaims:
            return None
        attempt: Attempt | None = cycle.state.get(self.name)
        if attempt is None:
            return PostFilterResult("no new claims to deallocate")
        uid = cycle.pod.metadata.uid
        idle = [
            claim
            for claim in attempt.unreachable.values()
            if all(item.uid == uid for item in claim.status.reservedFor or ())
        ]
        if not idle:
            return PostFilterResult("still not schedulable")
        self._writer.deallocate(random.choice(idle))
        return PostFilterResult("deallocation of ResourceClaim completed")

    # which of them is best

    def pre_score(self, cycle: Cycle) -> Skip | None:
        attempt: Attempt | None = cycle.state.get(self.name)
        if attempt is None or all(len(item) == 1 for needs in attempt.needs for item in needs.requests):
            return SKIP
        return None

    def score(self, cycle: Cycle, rows: Rows) -> IntArray:
        """Prefers nodes that have what requests name first."""
        attempt: Attempt = cycle.state[self.name]
        numbers = np.arange(self.table.size)[rows].tolist()
        return np.array([sum(map(preference, attempt.needs, attempt.placed[row])) for row in numbers], np.int64)

    def normalize(self, cycle: Cycle, scores: FloatArray) -> FloatArray:
        return scaled(scores)

    # once a node is chosen

    def reserve(self, cycle: Cycle, node: str) -> Rejected | None:
        attempt: Attempt | None = cycle.state.get(self.name)
        if attempt is None:
            return None
        if attempt.needs:
            placed = attempt.placed.get(self.table.rows[node])
            if placed is None:
                return Rejected("claim allocation not found for node")
            for needs, devices in zip(attempt.needs, placed, strict=True):
                allocation = allocation_result(needs, devices)
                attempt.reserved[needs.claim.key] = allocation
                self._ledger.reserve(needs.claim, allocation)
        return None

    def unreserve(self, cycle: Cycle, node: str) -> None:
        attempt: Attempt | None = cycle.state.get(self.name)
        if attempt is None:
            return
        for claim in attempt.claims:
            if attempt.reserved.pop(claim.key, None) is not None:
                self._ledger.give_up(claim)
            if claim.status.allocation is not None and is_reserved_for(claim, cycle.pod):
                self._writer.release(claim, cycle.pod)

    async def pre_bind(self, cycle: Cycle, node: str) -> Rejected | None:
        attempt: Attempt | None = cycle.state.get(self.name)
        if attempt is None:
            return None
        for number, claim in enumerate(attempt.claims):
            try:
                claim = await self._writer.settled(claim)
                if claim.key in attempt.reserved or not is_reserved_for(claim, cycle.pod):
                    written = await self._writer.bind(claim, cycle.pod, attempt.reserved.get(claim.key))
                    self._ledger.wrote(written)
                    attempt.claims[number] = written
            except (PodClaimError, StatusError, OSError) as error:
                return Rejected(f'running PreBind plugin "{self.name}": {error}')
            finally:
                if attempt.reserved.pop(claim.key, None) is not None:
                    self._ledger.give_up(claim)
        return None

    # what happens meanwhile

    async def run(self) -> None:
        await self._writer.run()

    def observe(self, event: ClusterEvent) -> None:
        old, new = event.old, event.new
        if isinstance(old, ResourceClaim | None) and isinstance(new, ResourceClaim | None):
            self._ledger.observe(old, new)

    def hint(self, shape: Shape, event: ClusterEvent) -> bool:
        """Lets a claim help pods of its namespace, and others where it gives devices back."""
        old, new = event.old, event.new
        if event.resource != "ResourceClaim":
            return True
        had_devices = isinstance(old, ResourceClaim) and old.status.allocation is not None
        if not isinstance(new, ResourceClaim):
            return had_devices
        if had_devices and new.status.allocation is None:
            return True
        changed = not isinstance(old, ResourceClaim) or old.status != new.status
        return changed and new.namespace == shape.namespace


def _reaches(claim: ResourceClaim, node: str, labels: Mapping[str, str]) -> bool:
    """Tells whether the node can reach the claim's devices, if it has any."""
    selector = claim.status.allocation.nodeSelector if claim.status.allocation is not None else None
    return selector is None or terms_match(selector.nodeSelectorTerms, node, labels)


PLUGIN = PluginSpec(
    "DynamicResources",
    DynamicResources,
    weight=2,
    order=99,  # it costs most of all
    requeue_on={
        NODE: Change.ADD | Change.LABELS,
        WAITING_POD: Change.SPEC,
        "ResourceClaim": Change.ADD | Change.SPEC | Change.LABELS | Change.DELETE,
        "DeviceClass": Change.ADD | Change.SPEC | Change.LABELS,
        "ResourceSlice": Change.ADD | Change.SPEC | Change.LABELS,
    },
    reads=(ResourceClaim, DeviceClass, ResourceSlice),
)
