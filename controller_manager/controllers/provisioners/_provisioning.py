"""Decides what a provisioner does for a claim or a volume. Pure.

A claim gets a finalizer before its folder is made and loses it when its volume is there, so that a folder without a
volume is always found again by its claim.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from apimachinery.meta import Object, ObjectMeta
from kubeapi.core.persistentvolume.binding import (
    BETA_PROVISIONER,
    BIND_COMPLETED,
    PROVISIONED_BY,
    PROVISIONER,
    SELECTED_NODE,
    claim_reference,
    requested_storage,
)
from kubeapi.core.persistentvolume.model import (
    AVAILABLE,
    DELETE,
    FAILED,
    RELEASED,
    PersistentVolume,
    PersistentVolumeSpec,
)
from kubeapi.core.persistentvolumeclaim.model import BLOCK, PersistentVolumeClaim
from kubeapi.storage.storageclass import WAIT_FOR_FIRST_CONSUMER, StorageClass

CLAIM_FINALIZER = "mini-kubernetes.io/provisioning"
VOLUME_FINALIZER = "external-provisioner.volume.kubernetes.io/finalizer"
"""Keeps a volume until its folder is deleted; the name is that of upstream's provisioners."""
VOLUME_NAME = re.compile(r"pvc-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")

ClaimStep = Literal["", "provision", "undo", "settle"]
VolumeStep = Literal["", "reclaim", "let go"]


@dataclass(frozen=True, slots=True)
class Abilities:
    """What the volumes of a provisioner can do."""

    provisioner: str
    access_modes: frozenset[str]
    parameters: frozenset[str] = frozenset()
    waits_for_node: bool = False


def volume_name(claim: PersistentVolumeClaim) -> str:
    return f"pvc-{claim.metadata.uid}"


def is_asked(claim: PersistentVolumeClaim, provisioner: str) -> bool:
    """Tells whether the claim was handed over to this provisioner."""
    asked = claim.annotations.get(PROVISIONER) or claim.annotations.get(BETA_PROVISIONER)
    return asked == provisioner


def plan_claim(
    claim: PersistentVolumeClaim, storage_class: StorageClass | None, volume: PersistentVolume | None
) -> ClaimStep:
    """Says what comes next for a claim that was handed over; `volume` is the one that was made for it.

    "provision" it, "settle" what is provisioned by taking the finalizer off, or "undo" what was begun.
    """
    begun = CLAIM_FINALIZER in (claim.metadata.finalizers or ())
    if volume is not None:
        return "settle" if begun else ""
    unwanted = (
        claim.metadata.deletionTimestamp is not None or claim.spec.volumeName or BIND_COMPLETED in claim.annotations
    )
    if unwanted:
        return "undo" if begun else ""
    if storage_class is None:
        return ""
    delayed = storage_class.volumeBindingMode == WAIT_FOR_FIRST_CONSUMER
    return "" if delayed and not claim.annotations.get(SELECTED_NODE) else "provision"


def refusal(claim: PersistentVolumeClaim, storage_class: StorageClass, can: Abilities) -> str:
    """Says why the provisioner can't make this volume; "" where it can."""
    modes = [mode for mode in claim.spec.accessModes or () if mode not in can.access_modes]
    unknown = sorted(set(storage_class.parameters or {}) - can.parameters)
    if can.waits_for_node and storage_class.volumeBindingMode != WAIT_FOR_FIRST_CONSUMER:
        return f"the class must have the volumeBindingMode {WAIT_FOR_FIRST_CONSUMER}, as its volumes lie on one node"
    if modes:
        return f"access mode {modes[0]} is not supported, only {', '.join(sorted(can.access_modes))}"
    if unknown:
        return f'parameter "{unknown[0]}" of the class is not known'
    if storage_class.mountOptions:
        return "mountOptions of the class are not supported"
    if claim.spec.volumeMode == BLOCK:
        return "volumeMode Block is not supported"
    for field in ("selector", "dataSource", "dataSourceRef", "volumeAttributesClassName"):
        if getattr(claim.spec, field):
            return f"spec.{field} is not supported"
    return ""


def new_volume(
    claim: PersistentVolumeClaim, storage_class: StorageClass, provisioner: str, source: PersistentVolumeSpec
) -> PersistentVolume:
    """Makes the claim's volume; `source` has what tells where it lies and which nodes reach it."""
    spec = source.clone()
    spec.capacity = {"storage": requested_storage(claim)}
    spec.accessModes = claim.spec.accessModes
    spec.claimRef = claim_reference(claim)
    spec.persistentVolumeReclaimPolicy = storage_class.reclaimPolicy or DELETE
    spec.storageClassName = storage_class.name
    spec.volumeMode = claim.spec.volumeMode
    meta = ObjectMeta(name=volume_name(claim), annotations={PROVISIONED_BY: provisioner}, finalizers=[VOLUME_FINALIZER])
    return PersistentVolume(metadata=meta, spec=spec)


def plan_volume(volume: PersistentVolume) -> VolumeStep:
    """Says what comes next for a volume of this provisioner: "reclaim" its folder, or "let go" of it with its data."""
    deleted = volume.metadata.deletionTimestamp is not None
    released = volume.status.phase == RELEASED or (deleted and volume.status.phase in (AVAILABLE, FAILED))
    if not released or (deleted and VOLUME_FINALIZER not in (volume.metadata.finalizers or ())):
        return ""
    if volume.spec.persistentVolumeReclaimPolicy == DELETE:
        return "reclaim"
    return "let go" if deleted else ""


def claim_uid(volume: PersistentVolume) -> str:
    """Returns the uid of the claim that the volume was made for; "" where its name and its claim don't agree.

    A volume that somebody forged must not lead to another one's folder.
    """
    match = VOLUME_NAME.fullmatch(volume.name)
    if match is None:
        return ""
    ref = volume.spec.claimRef
    return match[1] if ref is None or ref.uid in (None, "", match[1]) else ""


def with_finalizer(claim: PersistentVolumeClaim) -> PersistentVolumeClaim:
    changed = claim.clone()
    changed.metadata.finalizers = [*(claim.metadata.finalizers or ()), CLAIM_FINALIZER]
    return changed


def drop_finalizer(obj: Object, finalizer: str) -> bool:
    """Takes a finalizer out of a fresh object, and tells whether it had it."""
    finalizers = obj.metadata.finalizers or []
    obj.metadata.finalizers = [item for item in finalizers if item != finalizer] or None
    return finalizer in finalizers


def is_made_for(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """Tells whether a volume of the claim's name is really the claim's."""
    ref = volume.spec.claimRef
    return ref is not None and ref.uid == claim.metadata.uid
