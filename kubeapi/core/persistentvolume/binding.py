"""How claims and volumes name each other: the words that the binder, the scheduler and provisioners agree by.

Source: Kubernetes documentation, "Persistent Volumes" and "Well-Known Labels, Annotations and Taints".
"""

from __future__ import annotations

from kubeapi.core.persistentvolume.model import PersistentVolume
from kubeapi.core.persistentvolumeclaim.model import CLASS_ANNOTATION, FILESYSTEM, PersistentVolumeClaim

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
"""Marks a claim that was bound once: it is never bound to another volume."""
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
"""Marks the side of a binding that the controller wrote, and may undo."""
SELECTED_NODE = "volume.kubernetes.io/selected-node"
"""The node that the scheduler chose for the first pod of a claim."""
PROVISIONER = "volume.kubernetes.io/storage-provisioner"
BETA_PROVISIONER = "volume.beta.kubernetes.io/storage-provisioner"
"""Both name the provisioner that is to make a volume for the claim."""
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
"""Names the provisioner that made a volume, and is to delete it."""
NO_PROVISIONER = "kubernetes.io/no-provisioner"


def claim_class(claim: PersistentVolumeClaim) -> str | None:
    """Returns the name of the claim's class; "" for no class, None where the default class may still be filled in."""
    annotated = claim.annotations.get(CLASS_ANNOTATION)
    return annotated if annotated is not None else claim.spec.storageClassName


def volume_class(volume: PersistentVolume) -> str:
    annotated = volume.annotations.get(CLASS_ANNOTATION)
    return annotated if annotated is not None else volume.spec.storageClassName or ""


def is_bound_to(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """Tells whether the volume names the claim. One without a uid was reserved for whatever claim has that name."""
    ref = volume.spec.claimRef
    if ref is None or (ref.namespace or "", ref.name) != (claim.namespace, claim.name):
        return False
    return not ref.uid or ref.uid == claim.metadata.uid


def same_mode(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """Tells whether both are file systems, or both are block devices."""
    return (volume.spec.volumeMode or FILESYSTEM) == (claim.spec.volumeMode or FILESYSTEM)


def requested_storage(claim: PersistentVolumeClaim) -> str:
    """Returns the requested size as a quantity."""
    return (claim.spec.resources.requests or {}).get("storage", "0")


def storage_capacity(volume: PersistentVolume) -> str:
    """Returns the size of the volume as a quantity."""
    return (volume.spec.capacity or {}).get("storage", "0")
