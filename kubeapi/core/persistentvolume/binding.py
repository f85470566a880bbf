"""How claims and volumes name each other: the words that the binder, the scheduler and provisioners agree by.

Source: Kubernetes documentation, "Persistent Volumes" and "Well-Known Labels, Annotations and Taints".
"""

from __future__ import annotations

from typing import Protocol

from apimachinery.meta import LabelSelector, ObjectMeta
from kubeapi.core._references import ObjectReference
from kubeapi.core.persistentvolumeclaim.model import CLASS_ANNOTATION, FILESYSTEM

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


# What a binding reads of claims and volumes. The API's models have it, and so have the scheduler's views.


class Reference(Protocol):
    namespace: str | None
    name: str | None
    uid: str | None


class _Object(Protocol):
    metadata: ObjectMeta

    @property
    def name(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def labels(self) -> dict[str, str]: ...
    @property
    def annotations(self) -> dict[str, str]: ...


class _Spec(Protocol):
    accessModes: list[str] | None
    storageClassName: str | None
    volumeMode: str | None
    volumeAttributesClassName: str | None


class _Resources(Protocol):
    requests: dict[str, str] | None


class _ClaimSpec(_Spec, Protocol):
    selector: LabelSelector | None

    @property
    def resources(self) -> _Resources: ...


class _VolumeSpec(_Spec, Protocol):
    capacity: dict[str, str] | None

    @property
    def claimRef(self) -> Reference | None: ...  # noqa: N802


class Claim(_Object, Protocol):
    @property
    def spec(self) -> _ClaimSpec: ...


class Volume(_Object, Protocol):
    @property
    def spec(self) -> _VolumeSpec: ...


def claim_class(claim: Claim) -> str | None:
    """Returns the name of the claim's class; "" for no class, None where the default class may still be filled in."""
    annotated = claim.annotations.get(CLASS_ANNOTATION)
    return annotated if annotated is not None else claim.spec.storageClassName


def volume_class(volume: Volume) -> str:
    annotated = volume.annotations.get(CLASS_ANNOTATION)
    return annotated if annotated is not None else volume.spec.storageClassName or ""


def claim_reference(claim: Claim) -> ObjectReference:
    """Returns what a volume that is bound to the claim has as its claimRef."""
    meta = claim.metadata
    return ObjectReference(
        apiVersion="v1",
        kind="PersistentVolumeClaim",
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        resourceVersion=meta.resourceVersion,
    )


def refers_to(reference: Reference, claim: Claim) -> bool:
    """Tells whether the reference means this claim; without a uid it means whatever claim has that name."""
    if (reference.namespace or "", reference.name) != (claim.namespace, claim.name):
        return False
    return not reference.uid or reference.uid == claim.metadata.uid


def is_bound_to(volume: Volume, claim: Claim) -> bool:
    """Tells whether the volume names the claim. One without a uid was reserved for whatever claim has that name."""
    ref = volume.spec.claimRef
    return ref is not None and refers_to(ref, claim)


def same_mode(volume: Volume, claim: Claim) -> bool:
    """Tells whether both are file systems, or both are block devices."""
    return (volume.spec.volumeMode or FILESYSTEM) == (claim.spec.volumeMode or FILESYSTEM)


def requested_storage(claim: Claim) -> str:
    """Returns the requested size as a quantity."""
    return (claim.spec.resources.requests or {}).get("storage", "0")


def storage_capacity(volume: Volume) -> str:
    """Returns the size of the volume as a quantity."""
    return (volume.spec.capacity or {}).get("storage", "0")
