"""Decides what becomes of a claim and of a volume. Pure.

A binding is complete when the volume names the claim and the claim the volume. Both are written one after the other, so
every half of it is a state to go on from.
Source: Kubernetes documentation, "Persistent Volumes", and the reference of events and annotations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from controller_manager.controllers.volumes._matching import best_match, mismatch
from kubeapi.core.persistentvolume.binding import (
    BETA_PROVISIONER,
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    PROVISIONED_BY,
    PROVISIONER,
    SELECTED_NODE,
    claim_class,
    claim_reference,
    is_bound_to,
    same_mode,
)
from kubeapi.core.persistentvolume.model import (
    AVAILABLE,
    BOUND,
    DELETE,
    FAILED,
    RECYCLE,
    RELEASED,
    RETAIN,
    PersistentVolume,
)
from kubeapi.core.persistentvolumeclaim.model import LOST, PENDING, PersistentVolumeClaim
from kubeapi.storage.storageclass import WAIT_FOR_FIRST_CONSUMER, StorageClass, is_default_class

IN_TREE = "kubernetes.io/"
"""Begins the names of provisioners that would have to be built in, and are not."""


class EventText(NamedTuple):
    """An event to tell of; `type` is Normal or Warning."""

    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ClaimWorld:
    """What decides about a claim, beside itself."""

    volume: Callable[[str], PersistentVolume | None]
    candidates: Callable[[PersistentVolumeClaim], Iterable[PersistentVolume]]
    classes: Callable[[], Iterable[StorageClass]]
    unscheduled_pods: Callable[[PersistentVolumeClaim], list[str]]


@dataclass(frozen=True, slots=True)
class ClaimPlan:
    """What is to be done for a claim: one of the first three, else the phase; the event is told in each case."""

    bind: PersistentVolume | None = None
    default_class: str = ""
    """The class to be filled in, as there was none by default when the claim was made."""
    provisioner: str = ""
    """The provisioner to hand the claim over to."""
    phase: str = ""
    event: EventText | None = None


@dataclass(frozen=True, slots=True)
class VolumePlan:
    """What is to be done for a volume. `unbind`: take out of it what the controller wrote for a claim."""

    phase: str = ""
    message: str = ""
    event: EventText | None = None
    claim_event: EventText | None = None
    unbind: bool = False


def plan_claim(claim: PersistentVolumeClaim, world: ClaimWorld) -> ClaimPlan:
    """Decides about a claim that is there."""
    if BIND_COMPLETED in claim.annotations:
        return _plan_bound_claim(claim, world)
    if claim.metadata.deletionTimestamp is not None:
        return ClaimPlan()
    if claim.spec.volumeName:
        return _plan_claim_of_named_volume(claim, world)
    storage_class = _class_of(claim, world)
    delayed = _is_delayed(claim, storage_class)
    volume = best_match(claim, world.candidates(claim), delayed=delayed)
    if volume is not None:
        return ClaimPlan(bind=volume)
    return _plan_without_volume(claim, storage_class, world)


def _plan_bound_claim(claim: PersistentVolumeClaim, world: ClaimWorld) -> ClaimPlan:
    if not claim.spec.volumeName:
        why = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
        return ClaimPlan(phase=LOST, event=EventText("Warning", "ClaimLost", why))
    volume = world.volume(claim.spec.volumeName)
    if volume is None:
        why = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
        return ClaimPlan(phase=LOST, event=EventText("Warning", "ClaimLost", why))
    ref = volume.spec.claimRef
    if ref is None or ref.uid == claim.metadata.uid:
        return ClaimPlan(bind=volume)
    why = "Two claims are bound to the same volume, this one is bound incorrectly"
    return ClaimPlan(phase=LOST, event=EventText("Warning", "ClaimMisbound", why))


def _plan_claim_of_named_volume(claim: PersistentVolumeClaim, world: ClaimWorld) -> ClaimPlan:
    volume = world.volume(claim.spec.volumeName or "")
    if volume is None:
        return ClaimPlan(phase=PENDING)
    if volume.spec.claimRef is None:
        if why := mismatch(volume, claim):
            why = f'Cannot bind to requested volume "{volume.name}": {why}'
            return ClaimPlan(phase=PENDING, event=EventText("Warning", "VolumeMismatch", why))
        return ClaimPlan(bind=volume)
    if is_bound_to(volume, claim):
        return ClaimPlan(bind=volume)
    why = f'volume "{volume.name}" already bound to a different claim.'
    return ClaimPlan(phase=PENDING, event=EventText("Warning", "FailedBinding", why))


def _plan_without_volume(
    claim: PersistentVolumeClaim, storage_class: StorageClass | None, world: ClaimWorld
) -> ClaimPlan:
    """Has a volume made, or tells what the claim waits for."""
    name = claim_class(claim)
    if name is None and (default := default_class(world.classes())):
        return ClaimPlan(default_class=default)
    if not name:
        why = "no persistent volumes available for this claim and no storage class is set"
        return ClaimPlan(phase=PENDING, event=EventText("Normal", "FailedBinding", why))
    if storage_class is None:
        why = f'storageclass.storage.k8s.io "{name}" not found'
        return ClaimPlan(phase=PENDING, event=EventText("Warning", "ProvisioningFailed", why))
    if _is_delayed(claim, storage_class) and SELECTED_NODE not in claim.annotations:
        return ClaimPlan(phase=PENDING, event=_waiting_for_consumer(world.unscheduled_pods(claim)))
    provisioner = storage_class.provisioner
    if provisioner.startswith(IN_TREE):
        why = f"no volume plugin matched name: {provisioner}"
        return ClaimPlan(phase=PENDING, event=EventText("Warning", "ProvisioningFailed", why))
    why = (
        f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the "
        "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
        "correctly registered."
    )
    return ClaimPlan(provisioner=provisioner, phase=PENDING, event=EventText("Normal", "ExternalProvisioning", why))


def _waiting_for_consumer(pods: list[str]) -> EventText:
    if not pods:
        return EventText("Normal", "WaitForFirstConsumer", "waiting for first consumer to be created before binding")
    subject = f"pod {pods[0]}" if len(pods) == 1 else f"pods {','.join(pods)}"
    return EventText("Normal", "WaitForPodScheduled", f"waiting for {subject} to be scheduled")


def _class_of(claim: PersistentVolumeClaim, world: ClaimWorld) -> StorageClass | None:
    name = claim_class(claim)
    return next((item for item in world.classes() if item.name == name), None) if name else None


def _is_delayed(claim: PersistentVolumeClaim, storage_class: StorageClass | None) -> bool:
    """Tells whether the scheduler has a say in which volume the claim gets."""
    return storage_class is not None and storage_class.volumeBindingMode == WAIT_FOR_FIRST_CONSUMER


def default_class(classes: Iterable[StorageClass]) -> str:
    """Returns the name of the newest default class; "" where there is none."""
    defaults = [item for item in classes if is_default_class(item)]
    defaults.sort(key=lambda item: item.name)
    defaults.sort(key=lambda item: item.metadata.creationTimestamp or "", reverse=True)
    return defaults[0].name if defaults else ""


def plan_volume(volume: PersistentVolume, claim: PersistentVolumeClaim | None) -> VolumePlan:
    """Decides about a volume that is there. `claim` has the uid that the volume names."""
    ref = volume.spec.claimRef
    if ref is None:
        return VolumePlan(phase=AVAILABLE)
    if not ref.uid:
        return VolumePlan(phase=AVAILABLE)
    if claim is None:
        return plan_reclaim(volume)
    if not claim.spec.volumeName:
        if same_mode(volume, claim):
            return VolumePlan()  # the claim's turn
        why = 'Cannot bind PersistentVolume{} to requested PersistentVolumeClaim "{}" due to incompatible volumeMode.'
        return VolumePlan(
            event=EventText("Warning", "VolumeMismatch", why.format("", claim.name)),
            claim_event=EventText("Warning", "VolumeMismatch", why.format(f' "{volume.name}"', claim.name)),
        )
    if claim.spec.volumeName == volume.name:
        return VolumePlan(phase=BOUND)
    if PROVISIONED_BY in volume.annotations and volume.spec.persistentVolumeReclaimPolicy == DELETE:
        return plan_reclaim(volume)  # it was made for a claim that got another one
    return VolumePlan(phase=AVAILABLE, unbind=True)


def plan_reclaim(volume: PersistentVolume) -> VolumePlan:
    """Decides about a volume whose claim is gone. Its provisioner deletes what it made, nothing else does."""
    policy = volume.spec.persistentVolumeReclaimPolicy
    provisioner = volume.annotations.get(PROVISIONED_BY, "")
    external = volume.spec.csi is not None or bool(provisioner and not provisioner.startswith(IN_TREE))
    if policy == RETAIN or (policy == DELETE and external):
        return VolumePlan(phase="" if volume.status.phase == FAILED else RELEASED)
    if policy == DELETE:
        reason, why = "VolumeFailedDelete", "error getting deleter volume plugin for volume "
        why += f'"{volume.name}": no deletable volume plugin matched'
    elif policy == RECYCLE:
        reason, why = "VolumeFailedRecycle", "No recycler plugin found for the volume!"
    else:
        reason, why = "VolumeUnknownReclaimPolicy", "Volume has an unrecognized reclaim policy"
    return VolumePlan(phase=FAILED, message=why, event=EventText("Warning", reason, why))


# The objects as they are to be written; None where nothing changes.


def bound_volume(volume: PersistentVolume, claim: PersistentVolumeClaim) -> PersistentVolume | None:
    """Returns the volume with the claim's name and uid."""
    ref = volume.spec.claimRef
    if ref is not None and ref.uid == claim.metadata.uid and is_bound_to(volume, claim):
        return None
    changed = volume.clone()
    changed.spec.claimRef = claim_reference(claim)
    if ref is None:
        changed.metadata.annotations = {**volume.annotations, BOUND_BY_CONTROLLER: "yes"}
    return changed


def unbound_volume(volume: PersistentVolume) -> PersistentVolume:
    """Returns the volume without what the controller wrote; of what its user wrote, without the uid."""
    changed = volume.clone()
    notes = dict(volume.annotations)
    if notes.pop(BOUND_BY_CONTROLLER, None) is not None:
        changed.spec.claimRef = None
        changed.metadata.annotations = notes or None
    elif changed.spec.claimRef is not None:
        changed.spec.claimRef.uid = None
    return changed


def volume_in_phase(volume: PersistentVolume, phase: str, message: str = "") -> PersistentVolume | None:
    if not phase or volume.status.phase == phase:
        return None
    changed = volume.clone()
    changed.status.phase, changed.status.message, changed.status.reason = phase, message or None, None
    return changed


def bound_claim(claim: PersistentVolumeClaim, volume: PersistentVolume) -> PersistentVolumeClaim | None:
    """Returns the claim with the volume's name, and the mark that it was bound."""
    notes = {BIND_COMPLETED: "yes"}
    if claim.spec.volumeName != volume.name:
        notes[BOUND_BY_CONTROLLER] = "yes"
    if claim.spec.volumeName == volume.name and BIND_COMPLETED in claim.annotations:
        return None
    changed = claim.clone()
    changed.spec.volumeName = volume.name
    changed.metadata.annotations = {**claim.annotations, **notes}
    return changed


def claim_in_phase(
    claim: PersistentVolumeClaim, phase: str, volume: PersistentVolume | None = None
) -> PersistentVolumeClaim | None:
    """Returns the claim in the phase, with the volume's access modes and, when it is just being bound, its size.

    Later the size is that of the file system, which whoever resizes writes.
    """
    changed = claim.clone()
    status = changed.status
    if volume is None:
        status.accessModes = status.capacity = None
    else:
        status.accessModes = volume.spec.accessModes
        if status.phase != phase or status.capacity is None:
            status.capacity = volume.spec.capacity
            status.currentVolumeAttributesClassName = volume.spec.volumeAttributesClassName or None
    status.phase = phase
    return None if changed.status == claim.status else changed


def claim_for_provisioner(claim: PersistentVolumeClaim, provisioner: str) -> PersistentVolumeClaim | None:
    if all(claim.annotations.get(key) == provisioner for key in (PROVISIONER, BETA_PROVISIONER)):
        return None
    changed = claim.clone()
    changed.metadata.annotations = {**claim.annotations, PROVISIONER: provisioner, BETA_PROVISIONER: provisioner}
    return changed


def claim_of_class(claim: PersistentVolumeClaim, name: str) -> PersistentVolumeClaim:
    changed = claim.clone()
    changed.spec.storageClassName = name
    return changed
