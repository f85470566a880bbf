"""VolumeBinding: puts a pod where its volumes can be reached, and binds claims that wait for a pod.

Filter plans what each node would give the claims, Reserve keeps it for the pod, PreBind writes it and waits until the
controller (or a provisioner) has bound the claims.

Source: Kubernetes, "Storage Classes", volume binding mode; "Storage Capacity".
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from apimachinery.errors import FieldError, StatusError, invalid
from apimachinery.model import to_dict
from apimachinery.validation import NOT_NEGATIVE
from kubeapi.core.persistentvolume.binding import BOUND_BY_CONTROLLER, SELECTED_NODE, claim_reference, refers_to
from kubeapi.core.pod.scheduling.nodeselection import terms_match
from scheduler.events import NODE, Change, ClusterEvent
from scheduler.framework import SKIP, Cycle, Handle, Plugin, PluginArguments, PluginSpec, Rejected, Skip
from scheduler.plugins.volumes._claims import is_bound, part_claims, pod_claims
from scheduler.plugins.volumes._matching import volume_terms
from scheduler.plugins.volumes._plan import BindingPlan, Pending, Planner
from scheduler.state.shape import IntArray, Shape
from scheduler.state.table import BoolArray, Rows
from scheduler.views.csidriver import CSIDriver
from scheduler.views.csinode import CSINode
from scheduler.views.csistoragecapacity import CSIStorageCapacity
from scheduler.views.persistentvolume import ClaimReference, PersistentVolume
from scheduler.views.persistentvolumeclaim import PersistentVolumeClaim
from scheduler.views.storageclass import StorageClass


class VolumeBindingArgs(PluginArguments, protobuf="bindTimeoutSeconds*"):
    """The plugin's arguments."""

    bindTimeoutSeconds: int = 600
    """How long a pod's claims may take to be bound, a volume being made included."""

    def errors(self) -> list[FieldError]:
        seconds = self.bindTimeoutSeconds
        return [invalid("bindTimeoutSeconds", seconds, NOT_NEGATIVE)] if seconds < 0 else []


class BindingLost(Exception):
    """What PreBind waits for won't come: another pod, node or controller has changed it."""


@dataclass(frozen=True, slots=True)
class Binding:
    """Gives a claim this volume, or leaves it to a provisioner when there is none."""

    claim: PersistentVolumeClaim
    volume: PersistentVolume | None

    def reference(self) -> ClaimReference:
        meta = self.claim.metadata
        return ClaimReference(namespace=meta.namespace, name=meta.name, uid=meta.uid)


@dataclass(slots=True)
class Reserved:
    """Holds what one pod gets on its node."""

    node: str
    bindings: list[Binding]


class VolumeBinding(Plugin):
    local = False
    counts_pods = False

    def __init__(self, name: str, handle: Handle) -> None:
        super().__init__(name, handle)
        self.bind_seconds: float = self.args(VolumeBindingArgs).bindTimeoutSeconds
        self._reserved: dict[str, Reserved] = handle.shared.setdefault(name, {})
        self._changed = asyncio.Event()

    # which nodes

    def pre_filter(self, cycle: Cycle) -> Skip | Rejected | None:
        if cycle.storage is None or not cycle.storage.claims:
            return SKIP
        claims = pod_claims(cycle, self.handle.lister)
        if isinstance(claims, Rejected):
            return claims
        parts = part_claims(claims, self.handle.lister)
        if parts.immediate:
            return Rejected("pod has unbound immediate PersistentVolumeClaims")
        planner = Planner(self.table, self.handle.lister, self._pending())
        cycle.state[self.name] = planner.plan(parts.bound, parts.delayed)
        return None

    def filter(self, cycle: Cycle, rows: Rows) -> BoolArray:
        plan: BindingPlan = cycle.state[self.name]
        mask: BoolArray = plan.mask()[rows]
        return mask

    def reasons(self, cycle: Cycle, rows: IntArray) -> Mapping[str, int]:
        """Counts a node once for each reason that it has."""
        plan: BindingPlan = cycle.state[self.name]
        counts = {reason: int(np.count_nonzero(~passed[rows])) for reason, passed in plan.passed.items()}
        return {reason: count for reason, count in counts.items() if count}

    def _pending(self) -> Pending:
        """Tells what the pods that are being bound get."""
        volumes: dict[str, ClaimReference] = {}
        nodes: dict[str, str] = {}
        for reserved in self._reserved.values():
            for binding in reserved.bindings:
                if binding.volume is not None:
                    volumes[binding.volume.name] = binding.reference()
                else:
                    nodes[binding.claim.key] = reserved.node
        return Pending(volumes, nodes)

    # once a node is chosen

    def reserve(self, cycle: Cycle, node: str) -> Rejected | None:
        plan: BindingPlan | None = cycle.state.get(self.name)
        if plan is not None and plan.claims:
            row = self.table.rows[node]
            bindings = [Binding(item.claim, item.volume(row)) for item in plan.claims]
            self._reserved[cycle.uid] = Reserved(node, bindings)
        return None

    def unreserve(self, cycle: Cycle, node: str) -> None:
        """Leaves what was written: the next attempt finds it, or the controllers take it back."""
        self._reserved.pop(cycle.uid, None)

    def is_slow(self, cycle: Cycle) -> bool:
        return cycle.uid in self._reserved

    async def pre_bind(self, cycle: Cycle, node: str) -> Rejected | None:
        reserved = self._reserved.get(cycle.uid)
        if reserved is None:
            return None
        try:
            versions = [await self._write(binding, node) for binding in reserved.bindings]
            async with asyncio.timeout(self.bind_seconds):
                await self._wait_bound(reserved, versions)
        except TimeoutError:
            return self._failed("context deadline exceeded")
        except (BindingLost, StatusError, ConnectionError) as error:
            return self._failed(str(error))
        del self._reserved[cycle.uid]
        return None

    def _failed(self, why: str) -> Rejected:
        return Rejected(f'running PreBind plugin "{self.name}": binding volumes: {why}')

    async def _write(self, binding: Binding, node: str) -> int:
        """Returns the version of the object that says so. A changed one is a conflict, and the pod is tried again."""
        rest = self.handle.rest
        if rest is None:
            raise RuntimeError("binding needs an API server")
        claim, volume = binding.claim, binding.volume
        if volume is None:
            if claim.annotations.get(SELECTED_NODE) == node:
                return _version(claim.metadata.resourceVersion)
            meta = {"resourceVersion": claim.metadata.resourceVersion, "annotations": {SELECTED_NODE: node}}
            patch = {"metadata": meta}
            claim = await rest.patch(PersistentVolumeClaim, claim.name, claim.namespace, patch)
            return _version(claim.metadata.resourceVersion)
        owner = volume.spec.claimRef
        if owner is not None and owner.uid:
            return _version(volume.metadata.resourceVersion)
        volume = await rest.patch(PersistentVolume, volume.name, "", _claim_patch(volume, claim))
        return _version(volume.metadata.resourceVersion)

    async def _wait_bound(self, reserved: Reserved, versions: list[int]) -> None:
        """Raises: BindingLost."""
        while True:
            changed = self._changed
            bindings = zip(reserved.bindings, versions, strict=True)
            bound = [self._is_bound(binding, version, reserved.node) for binding, version in bindings]
            if all(bound):
                return
            await changed.wait()

    def _is_bound(self, binding: Binding, version: int, node: str) -> bool:
        """Raises: BindingLost. What the caches have from before the write says nothing."""
        lister = self.handle.lister
        claim = lister.get(PersistentVolumeClaim, binding.claim.key)
        if claim is None or claim.metadata.uid != binding.claim.metadata.uid:
            raise BindingLost(f'persistentvolumeclaim "{binding.claim.name}" not found')
        if binding.volume is not None:
            volume = lister.get(PersistentVolume, binding.volume.name)
            if volume is None:
                raise BindingLost(f'persistentvolume "{binding.volume.name}" not found')
            if _version(volume.metadata.resourceVersion) < version:
                return False
            owner = volume.spec.claimRef
            if owner is None or not owner.uid or not refers_to(owner, claim):
                raise BindingLost(f'ClaimRef got reset for pv "{volume.name}"')
            return is_bound(claim)
        if _version(claim.metadata.resourceVersion) < version:
            return False
        return self._is_provisioned(claim, node)

    def _is_provisioned(self, claim: PersistentVolumeClaim, node: str) -> bool:
        """Raises: BindingLost, also when a provisioner gives the claim back for another node to be chosen."""
        selected = claim.annotations.get(SELECTED_NODE)
        if not selected:
            raise BindingLost(f'selectedNode annotation reset for PVC "{claim.name}"')
        if selected != node:
            raise BindingLost(f'provisioning failed for PVC "{claim.name}"')
        if not claim.spec.volumeName:
            return False
        volume = self.handle.lister.get(PersistentVolume, claim.spec.volumeName)
        if volume is None:
            return False
        terms, row = volume_terms(volume), self.table.rows.get(node)
        labels = self.table.labels[row] if row is not None else {}
        if terms is not None and not terms_match(terms, node, labels):
            raise BindingLost(f'pv "{volume.name}" node affinity doesn\'t match node "{node}"')
        return is_bound(claim)

    # what happens meanwhile

    def observe(self, event: ClusterEvent) -> None:
        if self._reserved:
            self._changed.set()
            self._changed = asyncio.Event()

    def hint(self, shape: Shape, event: ClusterEvent) -> bool:
        """Lets a claim help pods of its namespace alone."""
        obj = event.new or event.old
        return not isinstance(obj, PersistentVolumeClaim) or obj.namespace == shape.namespace


def _claim_patch(volume: PersistentVolume, claim: PersistentVolumeClaim) -> dict[str, object]:
    """A volume that its owner had kept for the claim stays so when the claim goes; one chosen here becomes free."""
    meta: dict[str, object] = {"resourceVersion": volume.metadata.resourceVersion}
    if volume.spec.claimRef is None:
        meta["annotations"] = {BOUND_BY_CONTROLLER: "yes"}
    return {"metadata": meta, "spec": {"claimRef": to_dict(claim_reference(claim))}}


def _version(text: str | None) -> int:
    return int(text or 0)


_NEW_OR_CHANGED = Change.ADD | Change.SPEC | Change.LABELS

PLUGIN = PluginSpec(
    "VolumeBinding",
    VolumeBinding,
    order=72,
    arguments=VolumeBindingArgs,
    requeue_on={
        NODE: Change.ADD | Change.LABELS | Change.TAINTS,
        "PersistentVolumeClaim": _NEW_OR_CHANGED,
        "PersistentVolume": _NEW_OR_CHANGED,
        "StorageClass": _NEW_OR_CHANGED,
        "CSINode": _NEW_OR_CHANGED,
        "CSIDriver": _NEW_OR_CHANGED,
        "CSIStorageCapacity": _NEW_OR_CHANGED,
    },
    reads=(PersistentVolumeClaim, PersistentVolume, StorageClass, CSINode, CSIDriver, CSIStorageCapacity),
)
