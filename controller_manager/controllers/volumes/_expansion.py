"""Decides how a claim grows. Pure.

Source: Kubernetes documentation, "Persistent Volumes", "Expanding Persistent Volumes Claims".
"""

from __future__ import annotations

from apimachinery.conditions import remove_condition, set_condition
from apimachinery.quantity import parse_quantity
from apimachinery.times import format_time
from kubeapi.core.persistentvolume.binding import requested_storage, storage_capacity
from kubeapi.core.persistentvolume.model import PersistentVolume
from kubeapi.core.persistentvolumeclaim.model import BOUND, PersistentVolumeClaim, PersistentVolumeClaimCondition

STORAGE = "storage"
RESIZING = "Resizing"
CONTROLLER_RESIZE_IN_PROGRESS = "ControllerResizeInProgress"


def wants_to_grow(claim: PersistentVolumeClaim) -> bool:
    """Tells whether a bound claim requests more than it has."""
    capacity = (claim.status.capacity or {}).get(STORAGE)
    if claim.status.phase != BOUND or capacity is None:
        return False
    return parse_quantity(requested_storage(claim)) > parse_quantity(capacity)


def resizing_claim(claim: PersistentVolumeClaim, now: float) -> PersistentVolumeClaim | None:
    """Returns the claim that says it is being resized; None where it says so already."""
    changed = claim.clone()
    status = changed.status
    status.allocatedResources = {**(status.allocatedResources or {}), STORAGE: requested_storage(claim)}
    status.allocatedResourceStatuses = {
        **(status.allocatedResourceStatuses or {}),
        STORAGE: CONTROLLER_RESIZE_IN_PROGRESS,
    }
    condition = PersistentVolumeClaimCondition(type=RESIZING, status="True", lastTransitionTime=format_time(now))
    status.conditions = set_condition(status.conditions, condition)
    return None if status == claim.status else changed


def grown_volume(volume: PersistentVolume, claim: PersistentVolumeClaim) -> PersistentVolume | None:
    """Returns the volume in the size that the claim requests; None where it is as large."""
    size = requested_storage(claim)
    if parse_quantity(storage_capacity(volume)) >= parse_quantity(size):
        return None
    changed = volume.clone()
    changed.spec.capacity = {**(volume.spec.capacity or {}), STORAGE: size}
    return changed


def resized_claim(claim: PersistentVolumeClaim, volume: PersistentVolume) -> PersistentVolumeClaim:
    """Returns the claim whose volume needs no more work, on no node either."""
    changed = claim.clone()
    status = changed.status
    status.capacity = {**(status.capacity or {}), STORAGE: storage_capacity(volume)}
    statuses = dict(status.allocatedResourceStatuses or {})
    statuses.pop(STORAGE, None)
    status.allocatedResourceStatuses = statuses or None
    status.conditions = remove_condition(status.conditions, RESIZING) or None
    return changed
