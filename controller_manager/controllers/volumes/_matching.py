"""Finds the volume that suits a claim best. Pure.

Source: Kubernetes documentation, "Persistent Volumes", "Binding".
"""

from __future__ import annotations

from collections.abc import Iterable

from apimachinery.quantity import parse_quantity
from apimachinery.selectors import selector_of
from kubeapi.core.persistentvolume.binding import (
    claim_class,
    is_bound_to,
    requested_storage,
    same_mode,
    storage_capacity,
    volume_class,
)
from kubeapi.core.persistentvolume.model import AVAILABLE, PersistentVolume
from kubeapi.core.persistentvolumeclaim.model import PersistentVolumeClaim


def best_match(
    claim: PersistentVolumeClaim, volumes: Iterable[PersistentVolume], *, delayed: bool
) -> PersistentVolume | None:
    """Returns the volume that is reserved for the claim, else the smallest that fits; None where there is neither.

    A claim that waits for its first consumer (`delayed`) gets the one that is reserved alone: the scheduler reserves.
    """
    best: PersistentVolume | None = None
    for volume in volumes:
        if is_bound_to(volume, claim):
            if _is_large_enough(volume, claim) and _has_same_kind(volume, claim):
                return volume
        elif not delayed and _may_be_taken(volume, claim) and (best is None or _order(volume) < _order(best)):
            best = volume
    return best


def mismatch(volume: PersistentVolume, claim: PersistentVolumeClaim) -> str:
    """Says why a claim can't have the volume that it names; "" where it can."""
    if volume.metadata.deletionTimestamp is not None:
        return f'the volume is marked for deletion "{volume.name}"'
    if not _is_large_enough(volume, claim):
        return "requested PV is too small"
    if volume_class(volume) != (claim_class(claim) or ""):
        return "storageClassName does not match"
    if not _has_same_attributes(volume, claim):
        return "volumeAttributesClassName does not match"
    if not same_mode(volume, claim):
        return "incompatible volumeMode"
    if not _has_access_modes(volume, claim):
        return "incompatible accessMode"
    return ""


def _may_be_taken(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    return (
        volume.spec.claimRef is None
        and volume.status.phase == AVAILABLE
        and _is_large_enough(volume, claim)
        and _has_same_kind(volume, claim)
        and volume_class(volume) == (claim_class(claim) or "")
        and _has_access_modes(volume, claim)
        and (claim.spec.selector is None or selector_of(claim.spec.selector).matches(volume.labels))
    )


def _has_same_kind(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """A volume that is being deleted is not given to anyone."""
    deleting = volume.metadata.deletionTimestamp is not None
    return not deleting and same_mode(volume, claim) and _has_same_attributes(volume, claim)


def _has_same_attributes(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    return (volume.spec.volumeAttributesClassName or "") == (claim.spec.volumeAttributesClassName or "")


def _is_large_enough(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    return parse_quantity(storage_capacity(volume)) >= parse_quantity(requested_storage(claim))


def _has_access_modes(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    return set(claim.spec.accessModes or ()) <= set(volume.spec.accessModes or ())


def _order(volume: PersistentVolume) -> tuple[object, ...]:
    """Orders by size. Among equals, access modes and labels that nobody asked for are kept for those who do."""
    size, modes = parse_quantity(storage_capacity(volume)), len(volume.spec.accessModes or ())
    return size, modes, len(volume.labels), volume.metadata.creationTimestamp or "", volume.name
