"""Works out for every node which volumes the claims of a pod would get there, and what stands against the node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from apimachinery.quantity import byte_count
from apimachinery.selectors import selector_of
from kubeapi.core.persistentvolume.binding import NO_PROVISIONER, SELECTED_NODE, requested_storage
from scheduler.framework import Lister
from scheduler.plugins.volumes._claims import class_of
from scheduler.plugins.volumes._matching import candidates, reachable
from scheduler.state.shape import IntArray
from scheduler.state.table import BoolArray, NodeTable
from scheduler.views.csidriver import CSIDriver
from scheduler.views.csistoragecapacity import CSIStorageCapacity
from scheduler.views.persistentvolume import ClaimReference, PersistentVolume
from scheduler.views.persistentvolumeclaim import PersistentVolumeClaim
from scheduler.views.storageclass import StorageClass

NODE_CONFLICT = "node(s) didn't match PersistentVolume's node affinity"
BIND_CONFLICT = "node(s) didn't find available persistent volumes to bind"
NOT_ENOUGH_SPACE = "node(s) did not have enough free storage"
VOLUME_GONE = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"


@dataclass(frozen=True, slots=True)
class Pending:
    """Knows what pods between Reserve and the end of PreBind get: volume -> claim, and claim -> its node."""

    volumes: Mapping[str, ClaimReference] = field(default_factory=dict)
    nodes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClaimPlan:
    """`chosen[row]` is an index into `volumes`, or -1 where a volume is to be provisioned."""

    claim: PersistentVolumeClaim
    volumes: list[PersistentVolume]
    chosen: IntArray

    def volume(self, row: int) -> PersistentVolume | None:
        index = int(self.chosen[row])
        return self.volumes[index] if index >= 0 else None


@dataclass(slots=True)
class BindingPlan:
    """Holds, by reason, the rows that pass; and for each unbound claim what it gets."""

    passed: dict[str, BoolArray]
    claims: list[ClaimPlan] = field(default_factory=list)

    def mask(self) -> BoolArray:
        masks: BoolArray = np.logical_and.reduce(list(self.passed.values()))
        return masks

    def narrow(self, reason: str, rows: BoolArray) -> None:
        self.passed[reason] = self.passed[reason] & rows


class Planner:
    def __init__(self, table: NodeTable, lister: Lister, pending: Pending) -> None:
        self._table, self._lister, self._pending = table, lister, pending

    def plan(self, bound: list[PersistentVolumeClaim], unbound: list[PersistentVolumeClaim]) -> BindingPlan:
        reasons = (NODE_CONFLICT, BIND_CONFLICT, NOT_ENOUGH_SPACE, VOLUME_GONE)
        plan = BindingPlan({reason: self._all() for reason in reasons})
        for claim in bound:
            volume = self._lister.get(PersistentVolume, claim.spec.volumeName or "")
            if volume is None:
                plan.narrow(VOLUME_GONE, ~self._all())
            else:
                plan.narrow(NODE_CONFLICT, reachable(volume, self._table))
        if unbound:
            self._plan_unbound(plan, unbound)
        return plan

    def _plan_unbound(self, plan: BindingPlan, claims: list[PersistentVolumeClaim]) -> None:
        """Lets the smallest claim choose first. One that has a node already, for its volume is being made, stays."""
        volumes = self._lister.list(PersistentVolume)
        taken: dict[str, BoolArray] = {}
        for claim in sorted(claims, key=lambda item: byte_count(requested_storage(item))):
            node = self._pending.nodes.get(claim.key) or claim.annotations.get(SELECTED_NODE)
            if node:
                plan.narrow(BIND_CONFLICT, self._only(node))
                suitable: list[PersistentVolume] = []
            else:
                suitable = candidates(claim, volumes, self._pending.volumes)
            chosen = self._choose(suitable, taken)
            plan.claims.append(ClaimPlan(claim, suitable, chosen))
            unmatched = chosen < 0
            if unmatched.any():
                self._plan_provisioning(plan, claim, unmatched)

    def _choose(self, volumes: list[PersistentVolume], taken: dict[str, BoolArray]) -> IntArray:
        """Gives each row the first volume that can be reached there and that no other claim of the pod has."""
        chosen = np.full(self._table.size, -1, np.int64)
        for index, volume in enumerate(volumes):
            rows = reachable(volume, self._table) & (chosen < 0)
            if volume.name in taken:
                rows &= ~taken[volume.name]
            chosen[rows] = index
            taken[volume.name] = taken.get(volume.name, ~self._all()) | rows
            if not (chosen < 0).any():
                break
        return chosen

    def _plan_provisioning(self, plan: BindingPlan, claim: PersistentVolumeClaim, needed: BoolArray) -> None:
        storage_class = class_of(claim, self._lister)
        if storage_class is None or storage_class.provisioner in ("", NO_PROVISIONER):
            plan.narrow(BIND_CONFLICT, ~needed)
            return
        plan.narrow(BIND_CONFLICT, ~needed | self._allowed(storage_class))
        plan.narrow(NOT_ENOUGH_SPACE, ~needed | self._roomy(storage_class, claim))

    def _allowed(self, storage_class: StorageClass) -> BoolArray:
        """Returns the rows of one of the class's topologies; every row if it names none."""
        if not storage_class.allowedTopologies:
            return self._all()
        rows = ~self._all()
        for term in storage_class.allowedTopologies:
            matches = self._all() if term.matchLabelExpressions else ~self._all()
            for item in term.matchLabelExpressions or ():
                column = self._table.label(item.key)
                matches &= np.isin(column.ids[self._table.everything], column.numbers(item.values))
            rows |= matches
        return rows

    def _roomy(self, storage_class: StorageClass, claim: PersistentVolumeClaim) -> BoolArray:
        """Returns the rows where the driver says that it has room; every row if it doesn't say."""
        driver = self._lister.get(CSIDriver, storage_class.provisioner)
        if driver is None or not driver.spec.storageCapacity:
            return self._all()
        rows = ~self._all()
        size = byte_count(requested_storage(claim))
        for capacity in self._lister.list(CSIStorageCapacity):
            if capacity.storageClassName != storage_class.name or capacity.nodeTopology is None:
                continue
            if byte_count(capacity.maximumVolumeSize or capacity.capacity or "0") >= size:
                selector = selector_of(capacity.nodeTopology)
                found = [row for row in self._table.rows.values() if selector.matches(self._table.labels[row])]
                rows[found] = True
        return rows

    def _only(self, node: str) -> BoolArray:
        rows = ~self._all()
        row = self._table.rows.get(node)
        if row is not None:
            rows[row] = True
        return rows

    def _all(self) -> BoolArray:
        return np.ones(self._table.size, np.bool_)
