"""The strategy and columns of PersistentVolume."""

from __future__ import annotations

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors
from kubeapi.core.persistentvolume.model import RECYCLE, PersistentVolume
from kubeapi.core.persistentvolume.validation import check_volume, check_volume_update
from kubeapi.core.persistentvolumeclaim.model import CLASS_ANNOTATION
from kubeapi.core.persistentvolumeclaim.resource import UNSET, class_annotation_warnings, short_access_modes
from kubeapi.core.pod.strategy.deprecations import node_label_warnings, volume_warnings

_MOUNT_OPTIONS = "volume.beta.kubernetes.io/mount-options"


class PersistentVolumeStrategy(Strategy[PersistentVolume]):
    """Source: Kubernetes documentation, "Persistent Volumes"."""

    generation_tracks_spec = False

    def prepare_create(self, obj: PersistentVolume) -> None:
        obj.status.lastPhaseTransitionTime = obj.metadata.creationTimestamp

    def prepare_status_update(self, obj: PersistentVolume, old: PersistentVolume) -> None:
        """The server sets the time of a new phase as it stores the volume."""
        if obj.status.phase == old.status.phase and obj.status.lastPhaseTransitionTime is None:
            obj.status.lastPhaseTransitionTime = old.status.lastPhaseTransitionTime

    def validate(self, obj: PersistentVolume) -> list[FieldError]:
        errors = Errors()
        check_volume(errors, ("spec",), obj.spec)
        return errors

    def validate_update(self, obj: PersistentVolume, old: PersistentVolume) -> list[FieldError]:
        errors = Errors()
        check_volume_update(errors, obj, old)
        return errors

    def create_warnings(self, obj: PersistentVolume) -> list[str]:
        warnings = class_annotation_warnings(obj.annotations)
        if _MOUNT_OPTIONS in obj.annotations:
            text = 'deprecated since v1.31; use "mountOptions" attribute instead'
            warnings.append(f"metadata.annotations[{_MOUNT_OPTIONS}]: {text}")
        if obj.spec.persistentVolumeReclaimPolicy == RECYCLE:
            warnings.append(
                "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the "
                "recommended approach is to use dynamic provisioning."
            )
        affinity = obj.spec.nodeAffinity
        for index, term in enumerate(affinity.required.nodeSelectorTerms if affinity and affinity.required else ()):
            path = ("spec", "nodeAffinity", "required", "nodeSelectorTerms", index)
            warnings += node_label_warnings(path, term)
        return warnings + list(volume_warnings(("spec",), obj.spec))

    def update_warnings(self, obj: PersistentVolume, old: PersistentVolume) -> list[str]:
        return self.create_warnings(obj)


def class_of(volume: PersistentVolume) -> str:
    """Returns the name of the volume's class; "" if it has none."""
    return volume.annotations.get(CLASS_ANNOTATION) or volume.spec.storageClassName or ""


def _status(obj: PersistentVolume, now: float) -> str:
    return "Terminating" if obj.metadata.deletionTimestamp is not None else obj.status.phase


def _claim(obj: PersistentVolume, now: float) -> str:
    claim = obj.spec.claimRef
    return f"{claim.namespace or ''}/{claim.name or ''}" if claim is not None else ""


RESOURCE = Resource(
    kind="PersistentVolume",
    plural="persistentvolumes",
    model=PersistentVolume,
    namespaced=False,
    short_names=("pv",),
    strategy=PersistentVolumeStrategy(),
    status=True,
    returned_on_delete=True,
    columns=(
        NAME,
        Column("Capacity", lambda obj, now: (obj.spec.capacity or {}).get("storage", "0"), "The volume's size."),
        Column(
            "Access Modes",
            lambda obj, now: short_access_modes(obj.spec.accessModes),
            "The ways in which it can be mounted, shortened.",
        ),
        Column(
            "Reclaim Policy",
            lambda obj, now: obj.spec.persistentVolumeReclaimPolicy,
            "What happens to the volume when its claim is gone.",
        ),
        Column("Status", _status, "Whether the volume is bound to a claim."),
        Column("Claim", _claim, "The claim, with its namespace."),
        Column("StorageClass", lambda obj, now: class_of(obj), "The class of the volume."),
        Column(
            "VolumeAttributesClass",
            lambda obj, now: obj.spec.volumeAttributesClassName or UNSET,
            "The VolumeAttributesClass that the volume has.",
        ),
        Column("Reason", lambda obj, now: obj.status.reason or "", "Why the volume is in its phase."),
        AGE,
        Column("VolumeMode", lambda obj, now: obj.spec.volumeMode or UNSET, "Filesystem or Block.", priority=1),
    ),
)
