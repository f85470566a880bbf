"""Tells whether a volume fits a claim: the binder and the scheduler, which binds for pods, have to agree about it.

Source: Kubernetes documentation, "Persistent Volumes", "Binding".
"""

from __future__ import annotations

from apimachinery.quantity import parse_quantity
from apimachinery.selectors import selector_of
from kubeapi.core.persistentvolume.binding import (
    Claim,
    Volume,
    claim_class,
    requested_storage,
    same_mode,
    storage_capacity,
    volume_class,
)


def may_keep(volume: Volume, claim: Claim) -> bool:
    """Tells whether the claim can be bound to a volume that is reserved for it; not to one that is being deleted."""
    return (
        volume.metadata.deletionTimestamp is None
        and same_mode(volume, claim)
        and same_attributes(volume, claim)
        and is_large_enough(volume, claim)
    )


def may_take(volume: Volume, claim: Claim) -> bool:
    """Tells whether the claim can be bound to a volume that is free. Whether it is free, the caller knows."""
    return (
        same_class(volume, claim)
        and has_access_modes(volume, claim)
        and may_keep(volume, claim)
        and (claim.spec.selector is None or selector_of(claim.spec.selector).matches(volume.labels))
    )


def is_large_enough(volume: Volume, claim: Claim) -> bool:
    return parse_quantity(storage_capacity(volume)) >= parse_quantity(requested_storage(claim))


def same_class(volume: Volume, claim: Claim) -> bool:
    return volume_class(volume) == (claim_class(claim) or "")


def same_attributes(volume: Volume, claim: Claim) -> bool:
    return (volume.spec.volumeAttributesClassName or "") == (claim.spec.volumeAttributesClassName or "")


def has_access_modes(volume: Volume, claim: Claim) -> bool:
    return set(claim.spec.accessModes or ()) <= set(volume.spec.accessModes or ())
