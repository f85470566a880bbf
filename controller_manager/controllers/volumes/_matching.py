"""Finds the volume that suits a claim best. Pure.

Source: Kubernetes documentation, "Persistent Volumes", "Binding".
"""

from __future__ import annotations

from collections.abc import Iterable

from apimachinery.quantity import parse_quantity
from kubeapi.core.persistentvolume.binding import is_bound_to, same_mode, storage_capacity
from kubeapi.core.persistentvolume.matching import (
    has_access_modes,
    is_large_enough,
    may_keep,
    may_take,
    same_attributes,
    same_class,
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
            if may_keep(volume, claim):
                return volume
        elif delayed or not _is_free(volume) or not may_take(volume, claim):
            continue
        elif best is None or _order(volume) < _order(best):
            best = volume
    return best


def mismatch(volume: PersistentVolume, claim: PersistentVolumeClaim) -> str:
    """Says why a claim can't have the volume that it names; "" where it can."""
    if volume.metadata.deletionTimestamp is not None:
        return f'the volume is marked for deletion "{volume.name}"'
    if not is_large_enough(volume, claim):
        return "requested PV is too small"
    if not same_class(volume, claim):
        return "storageClassName does not match"
    if not same_attributes(volume, claim):
        return "volumeAttributesClassName does not match"
    if not same_mode(volume, claim):
        return "incompatible volumeMode"
    if not has_access_modes(volume, claim):
        return "incompatible accessMode"
    return ""


def _is_free(volume: PersistentVolume) -> bool:
    return volume.spec.claimRef is None and volume.status.phase == AVAILABLE


def _order(volume: PersistentVolume) -> tuple[object, ...]:
    """Orders by size. Among equals, access modes and labels that nobody asked for are kept for those who do."""
    size, modes = parse_quantity(storage_capacity(volume)), len(volume.spec.accessModes or ())
    return size, modes, len(volume.labels), volume.metadata.creationTimestamp or "", volume.name
