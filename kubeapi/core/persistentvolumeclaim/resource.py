"""The strategy and columns of PersistentVolumeClaim."""

from __future__ import annotations

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.quantity import parse_quantity
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors, Path, render
from kubeapi.core._references import TypedLocalObjectReference, TypedObjectReference
from kubeapi.core.persistentvolumeclaim.model import (
    ACCESS_MODES,
    CLASS_ANNOTATION,
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
)
from kubeapi.core.persistentvolumeclaim.validation import check_claim_spec, check_claim_status, check_claim_update

UNSET = "<unset>"
_CONTENT_KINDS = (("", "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot"))


class PersistentVolumeClaimStrategy(Strategy[PersistentVolumeClaim]):
    """Source: Kubernetes documentation, "Persistent Volumes"."""

    generation_tracks_spec = False

    def prepare_create(self, obj: PersistentVolumeClaim) -> None:
        source, reference = obj.spec.dataSource, obj.spec.dataSourceRef
        if reference is not None and reference.namespace:
            obj.spec.dataSourceRef = reference = (
                None  # content from another namespace is an alpha feature, which is off
            )
        if reference is None and source is not None and (source.apiGroup, source.kind) not in _CONTENT_KINDS:
            obj.spec.dataSource = None
        _align_data_sources(obj.spec)

    def prepare_update(self, obj: PersistentVolumeClaim, old: PersistentVolumeClaim) -> None:
        if old.spec.dataSource is None and old.spec.dataSourceRef is None:
            self.prepare_create(obj)
        else:
            _align_data_sources(obj.spec)

    def validate(self, obj: PersistentVolumeClaim) -> list[FieldError]:
        errors = Errors()
        check_claim_spec(errors, ("spec",), obj.spec)
        return errors

    def validate_update(self, obj: PersistentVolumeClaim, old: PersistentVolumeClaim) -> list[FieldError]:
        errors = Errors()
        check_claim_update(errors, obj, old)
        return errors

    def validate_status_update(self, obj: PersistentVolumeClaim, old: PersistentVolumeClaim) -> list[FieldError]:
        errors = Errors()
        check_claim_status(errors, obj)
        return errors

    def create_warnings(self, obj: PersistentVolumeClaim) -> list[str]:
        return class_annotation_warnings(obj.annotations) + claim_spec_warnings(("spec",), obj.spec)

    def update_warnings(self, obj: PersistentVolumeClaim, old: PersistentVolumeClaim) -> list[str]:
        return self.create_warnings(obj)


def class_of(claim: PersistentVolumeClaim) -> str:
    """Returns the name of the claim's class; "" if it names none."""
    return claim.annotations.get(CLASS_ANNOTATION) or claim.spec.storageClassName or ""


def class_annotation_warnings(annotations: dict[str, str]) -> list[str]:
    if CLASS_ANNOTATION not in annotations:
        return []
    text = 'deprecated since v1.8; use "storageClassName" attribute instead'
    return [f"metadata.annotations[{CLASS_ANNOTATION}]: {text}"]


def claim_spec_warnings(path: Path, spec: PersistentVolumeClaimSpec) -> list[str]:
    warnings: list[str] = []
    for field, amounts in (("requests", spec.resources.requests), ("limits", spec.resources.limits)):
        storage = (amounts or {}).get("storage", "0")
        if parse_quantity(storage).denominator != 1:
            at = render((*path, "resources", field, "[storage]"))
            warnings.append(f'{at}: fractional byte value "{storage}" is invalid, must be an integer')
    return warnings


def short_access_modes(modes: list[str] | None) -> str:
    """Words access modes as tables do: "RWO,ROX"."""
    return ",".join(short for mode, short in ACCESS_MODES.items() if mode in (modes or ()))


def _align_data_sources(spec: PersistentVolumeClaimSpec) -> None:
    """Lets `dataSource` and `dataSourceRef` say the same, where one of them is absent."""
    source, reference = spec.dataSource, spec.dataSourceRef
    if source is not None and reference is None:
        spec.dataSourceRef = TypedObjectReference(apiGroup=source.apiGroup, kind=source.kind, name=source.name)
    elif reference is not None and source is None and not reference.namespace:
        group, kind, name = reference.apiGroup, reference.kind, reference.name
        spec.dataSource = TypedLocalObjectReference(apiGroup=group, kind=kind, name=name)


def _status(obj: PersistentVolumeClaim, now: float) -> str:
    return "Terminating" if obj.metadata.deletionTimestamp is not None else obj.status.phase


def _capacity(obj: PersistentVolumeClaim, now: float) -> str:
    return (obj.status.capacity or {}).get("storage", "0") if obj.spec.volumeName else ""


def _access_modes(obj: PersistentVolumeClaim, now: float) -> str:
    return short_access_modes(obj.status.accessModes) if obj.spec.volumeName else ""


RESOURCE = Resource(
    kind="PersistentVolumeClaim",
    plural="persistentvolumeclaims",
    model=PersistentVolumeClaim,
    short_names=("pvc",),
    strategy=PersistentVolumeClaimStrategy(),
    status=True,
    returned_on_delete=True,
    columns=(
        NAME,
        Column("Status", _status, "Whether the claim has got its volume."),
        Column("Volume", lambda obj, now: obj.spec.volumeName or "", "The volume."),
        Column("Capacity", _capacity, "The size of the volume."),
        Column("Access Modes", _access_modes, "The access modes of the volume, shortened."),
        Column("StorageClass", lambda obj, now: class_of(obj), "The class that was asked for."),
        Column(
            "VolumeAttributesClass",
            lambda obj, now: obj.spec.volumeAttributesClassName or UNSET,
            "The VolumeAttributesClass that was asked for.",
        ),
        AGE,
        Column("VolumeMode", lambda obj, now: obj.spec.volumeMode or UNSET, "Filesystem or Block.", priority=1),
    ),
)
