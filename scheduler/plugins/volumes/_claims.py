"""Reads the claims of a pod, and says what a claim still lacks.

Source: Kubernetes, "Persistent Volumes" and "Storage Classes", volume binding mode.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kubeapi.core.persistentvolume.binding import BIND_COMPLETED, claim_class
from scheduler.framework import Cycle, Lister, Rejected
from scheduler.views.persistentvolumeclaim import PersistentVolumeClaim
from scheduler.views.storageclass import StorageClass

WAIT_FOR_FIRST_CONSUMER = "WaitForFirstConsumer"


@dataclass(slots=True)
class PodClaims:
    """Parts the claims of a pod: bound, to be bound once it has a node, and to be bound by a controller before."""

    bound: list[PersistentVolumeClaim] = field(default_factory=list)
    delayed: list[PersistentVolumeClaim] = field(default_factory=list)
    immediate: list[PersistentVolumeClaim] = field(default_factory=list)


def pod_claims(cycle: Cycle, lister: Lister) -> list[PersistentVolumeClaim] | Rejected:
    """Returns the pod's claims, or why one of them can't be used."""
    claims: list[PersistentVolumeClaim] = []
    storage = cycle.storage
    for use in storage.claims if storage else ():
        claim = lister.get(PersistentVolumeClaim, f"{cycle.pod.namespace}/{use.name}")
        if claim is None:
            if use.ephemeral:
                wait = f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{use.name}"'
                return Rejected(wait)
            return Rejected(f'persistentvolumeclaim "{use.name}" not found')
        if claim.status.phase == "Lost":
            volume = claim.spec.volumeName or ""
            return Rejected(f'persistentvolumeclaim "{use.name}" bound to non-existent persistentvolume "{volume}"')
        if claim.metadata.deletionTimestamp is not None:
            return Rejected(f'persistentvolumeclaim "{use.name}" is being deleted')
        if use.ephemeral and not _owned_by(claim, cycle):
            pod = cycle.pod.key
            return Rejected(f"PVC {claim.key} was not created for pod {pod} (pod is not owner)")
        claims.append(claim)
    return claims


def _owned_by(claim: PersistentVolumeClaim, cycle: Cycle) -> bool:
    return any(item.controller and item.uid == cycle.pod.metadata.uid for item in claim.metadata.ownerReferences or ())


def part_claims(claims: list[PersistentVolumeClaim], lister: Lister) -> PodClaims:
    """Counts a claim that names its volume but isn't bound yet as one of the controller's, whatever its class says."""
    parts = PodClaims()
    for claim in claims:
        if is_bound(claim):
            parts.bound.append(claim)
        elif not claim.spec.volumeName and _is_delayed(claim, lister):
            parts.delayed.append(claim)
        else:
            parts.immediate.append(claim)
    return parts


def is_bound(claim: PersistentVolumeClaim) -> bool:
    return bool(claim.spec.volumeName) and BIND_COMPLETED in claim.annotations


def class_of(claim: PersistentVolumeClaim, lister: Lister) -> StorageClass | None:
    return lister.get(StorageClass, claim_class(claim) or "")


def _is_delayed(claim: PersistentVolumeClaim, lister: Lister) -> bool:
    storage_class = class_of(claim, lister)
    return storage_class is not None and storage_class.volumeBindingMode == WAIT_FOR_FIRST_CONSUMER
