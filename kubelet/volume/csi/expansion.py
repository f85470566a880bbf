"""Grows the file systems of volumes that a driver's controller has made larger, and tells their claims.

A node may get claims and volumes but not watch them, so each is looked at once in a while.
Source: upstream: the Node's part of an expansion, its events, and the fields of the claim's status.
"""

from __future__ import annotations

from dataclasses import dataclass

from apimachinery.conditions import remove_condition
from apimachinery.quantity import parse_quantity
from componentbase import logs
from kubeapi.core.persistentvolume.binding import storage_capacity
from kubeapi.core.persistentvolume.model import PersistentVolume
from kubeapi.core.persistentvolumeclaim.model import PersistentVolumeClaim
from kubeapi.core.pod.model import Pod
from kubeclient.rest import RestClient
from kubelet.container.events import Events
from kubelet.plugins.rpc import RpcError
from kubelet.volume.csi.driver import Driver
from kubelet.volume.csi.messages import NodeExpandVolumeRequest

STORAGE = "storage"
PENDING_CONDITIONS = ("FileSystemResizePending", "Resizing")

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Growth:
    """A volume that became larger than its file system, and the size that this is to have."""

    volume: PersistentVolume
    claim: PersistentVolumeClaim
    size_bytes: int


def growth(volume: PersistentVolume, claim: PersistentVolumeClaim) -> Growth | None:
    """Returns None where the file system is as large as its volume."""
    size = parse_quantity(storage_capacity(volume))
    has = parse_quantity((claim.status.capacity or {}).get(STORAGE, "0"))
    return Growth(volume, claim, int(size)) if has and size > has else None


def grown_claim(claim: PersistentVolumeClaim, capacity: str) -> PersistentVolumeClaim:
    """Returns the claim with its new size, and nothing left to do."""
    changed = claim.clone()
    status = changed.status
    status.capacity = (status.capacity or {}) | {STORAGE: capacity}
    statuses = {name: state for name, state in (status.allocatedResourceStatuses or {}).items() if name != STORAGE}
    status.allocatedResourceStatuses = statuses or None
    for kind in PENDING_CONDITIONS:
        status.conditions = remove_condition(status.conditions, kind) or None
    return changed


class CsiExpansion:
    def __init__(self, rest: RestClient, events: Events) -> None:
        self._rest = rest
        self._events = events

    async def pending(self, volume_name: str) -> Growth | None:
        """Returns what a volume that became larger lacks; else None. Raises: StatusError; OSError."""
        volume = await self._rest.get(PersistentVolume, volume_name)
        reference = volume.spec.claimRef
        if reference is None:
            return None
        claim = await self._rest.get(PersistentVolumeClaim, reference.name or "", reference.namespace or "")
        return growth(volume, claim)

    async def grow(self, driver: Driver, pod: Pod, pending: Growth, request: NodeExpandVolumeRequest) -> None:
        """Has the driver grow the file system, and tells the claim. Raises: StatusError; OSError."""
        volume, claim = pending.volume, pending.claim
        try:
            await driver.expand(request)
        except RpcError as error:
            text = f'NodeExpandVolume.NodeExpandVolume failed for volume "{volume.name}" : {error}'
            self._events.event(pod, "Warning", "VolumeResizeFailed", text)
            return
        capacity = storage_capacity(volume)
        await self._rest.update_with(
            PersistentVolumeClaim,
            claim.name,
            claim.namespace,
            lambda fresh: grown_claim(fresh, capacity),
            subresource="status",
        )
        text = f'MountVolume.NodeExpandVolume succeeded for volume "{volume.name}" {pod.spec.nodeName}'
        for obj in (pod, claim):
            self._events.event(obj, "Normal", "FileSystemResizeSuccessful", text)
        log.info("volume grown", volume=volume.name, bytes=pending.size_bytes)
