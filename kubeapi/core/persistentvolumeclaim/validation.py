"""Checks of claims, and of their templates in pods.

Source: Kubernetes documentation, "Persistent Volumes", "Ephemeral Volumes", "Volume Attributes Classes".
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from apimachinery.names import dns_label_errors, qualified_name_errors
from apimachinery.quantity import parse_quantity
from apimachinery.validation import GREATER_THAN_ZERO, IMMUTABLE, Errors, Path
from kubeapi.core._references import TypedLocalObjectReference, TypedObjectReference
from kubeapi.core.persistentvolumeclaim.model import (
    ACCESS_MODES,
    BOUND,
    CLASS_ANNOTATION,
    READ_WRITE_ONCE_POD,
    VOLUME_MODES,
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    PersistentVolumeClaimTemplate,
)

_RESIZE_STATES = (
    "ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizePending", "NodeResizeInProgress",
    "NodeResizeInfeasible",
)  # fmt: skip
_SPEC_RULE = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
_REQUEST = ("spec", "resources", "requests", "storage")


def check_access_modes(errors: Errors, path: Path, modes: Iterable[str]) -> None:
    """Refuses unknown modes, and ReadWriteOncePod together with another. A list must not be empty, which callers
    say."""
    modes = list(modes)
    for mode in modes:
        if mode not in ACCESS_MODES:
            errors.not_supported(path, mode, sorted(ACCESS_MODES))
    if READ_WRITE_ONCE_POD in modes and any(mode in ACCESS_MODES and mode != READ_WRITE_ONCE_POD for mode in modes):
        errors.forbidden(path, "may not use ReadWriteOncePod with other access modes")


def check_claim_spec(errors: Errors, path: Path, spec: PersistentVolumeClaimSpec) -> None:
    if not spec.accessModes:
        errors.required((*path, "accessModes"), "at least 1 access mode is required")
    errors.check_selector((*path, "selector"), spec.selector)
    check_access_modes(errors, (*path, "accessModes"), spec.accessModes or ())
    storage = (spec.resources.requests or {}).get("storage")
    if storage is None:
        errors.required((*path, "resources", "[storage]"))
    elif parse_quantity(storage) <= 0:
        errors.invalid((*path, "resources", "[storage]"), storage, GREATER_THAN_ZERO)
    errors.check_subdomain((*path, "storageClassName"), spec.storageClassName)
    if spec.volumeMode is not None and spec.volumeMode not in VOLUME_MODES:
        errors.not_supported((*path, "volumeMode"), spec.volumeMode, VOLUME_MODES)
    _check_data_sources(errors, path, spec)
    errors.check_subdomain((*path, "volumeAttributesClassName"), spec.volumeAttributesClassName)


def check_claim_template(errors: Errors, path: Path, template: PersistentVolumeClaimTemplate) -> None:
    """Checks the template of a claim, whose metadata has labels and annotations alone."""
    meta = template.metadata
    errors.check_annotations((*path, "metadata", "annotations"), meta.annotations)
    errors.check_labels((*path, "metadata", "labels"), meta.labels)
    for field in meta.present():
        if field not in ("labels", "annotations"):
            errors.forbidden((*path, "metadata", field), "cannot be set")
    check_claim_spec(errors, (*path, "spec"), template.spec)


def _check_data_sources(errors: Errors, path: Path, spec: PersistentVolumeClaimSpec) -> None:
    source, reference = spec.dataSource, spec.dataSourceRef
    if source is not None:
        _check_data_source(errors, (*path, "dataSource"), source)
    if reference is None:
        return
    _check_data_source(errors, (*path, "dataSourceRef"), reference)
    if reference.namespace:
        at = (*path, "dataSourceRef", "namespace")
        errors.check_messages(at, reference.namespace, dns_label_errors(reference.namespace))
    if source is None:
        return
    if reference.namespace:
        errors.invalid(path, {}, "may not be specified when dataSourceRef.namespace is specified")
    elif (source.apiGroup, source.kind, source.name) != (reference.apiGroup, reference.kind, reference.name):
        errors.invalid(path, {}, "must match dataSourceRef")


def _check_data_source(errors: Errors, path: Path, source: TypedLocalObjectReference | TypedObjectReference) -> None:
    for field in ("name", "kind"):
        if not getattr(source, field):
            errors.required((*path, field))
    if source.apiGroup:
        errors.check_subdomain((*path, "apiGroup"), source.apiGroup)
    elif source.kind != "PersistentVolumeClaim":
        text = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        errors.invalid(path, source.kind, text)


def check_claim_update(errors: Errors, new: PersistentVolumeClaim, old: PersistentVolumeClaim) -> None:
    """Refuses changes of the spec, but for those that have a reason: the volume may be named once, a missing class
    filled in, and a bound claim may grow, shrink down to what it has, and change its VolumeAttributesClass."""
    _check_class_annotation(errors, new, old)
    if _without_changeable(new, old) != _without_changeable(old, old):
        errors.forbidden(("spec",), _SPEC_RULE)
    requested, before = _storage(new), _storage(old)
    if requested < before:
        capacity = parse_quantity((old.status.capacity or {}).get("storage", "0"))
        if requested <= capacity:
            errors.forbidden(_REQUEST, "field can not be less than status.capacity")
    if new.spec.volumeMode != old.spec.volumeMode:
        errors.invalid(("volumeMode",), new.spec.volumeMode, IMMUTABLE)
    name, stored = new.spec.volumeAttributesClassName, old.spec.volumeAttributesClassName
    if stored is not None and not name:
        what = "nil" if name is None else "an empty string"
        errors.forbidden(("spec", "volumeAttributesClassName"), f"update from non-nil value to {what} is forbidden")


def _storage(claim: PersistentVolumeClaim) -> Fraction:
    return parse_quantity((claim.spec.resources.requests or {}).get("storage", "0"))


def _without_changeable(claim: PersistentVolumeClaim, old: PersistentVolumeClaim) -> PersistentVolumeClaimSpec:
    """Returns the spec of `claim` with what may differ from `old` as it is there."""
    spec = claim.spec.clone()
    if not old.spec.volumeName:
        spec.volumeName = None
    if old.spec.storageClassName is None and spec.storageClassName is not None:
        annotated = old.annotations.get(CLASS_ANNOTATION)
        if annotated is None or annotated == spec.storageClassName:
            spec.storageClassName = None
    if old.status.phase == BOUND:
        if spec.resources.requests is not None:
            storage = (old.spec.resources.requests or {}).get("storage", "0")
            spec.resources.requests = {**spec.resources.requests, "storage": storage}
        if spec.volumeAttributesClassName is not None:
            spec.volumeAttributesClassName = old.spec.volumeAttributesClassName
    return spec


def _check_class_annotation(errors: Errors, new: PersistentVolumeClaim, old: PersistentVolumeClaim) -> None:
    """Refuses another class in the annotation, which may go once storageClassName says the same."""
    before, after = old.annotations.get(CLASS_ANNOTATION), new.annotations.get(CLASS_ANNOTATION)
    moved = old.spec.storageClassName is None and before == new.spec.storageClassName and after in (None, before)
    if before != after and not (before is not None and moved):
        errors.invalid(("metadata", "annotations", f"[{CLASS_ANNOTATION}]"), after or "", IMMUTABLE)


def check_claim_status(errors: Errors, claim: PersistentVolumeClaim) -> None:
    status = claim.status
    for name, amount in (status.capacity or {}).items():
        _check_amount(errors, ("status", "capacity", f"[{name}]"), amount)
    for name, state in (status.allocatedResourceStatuses or {}).items():
        _check_resource_name(errors, ("status", "allocatedResourceStatus"), name)
        if state not in _RESIZE_STATES:
            errors.not_supported(("status", "allocatedResourceStatus"), name, sorted(_RESIZE_STATES))
    for name, amount in (status.allocatedResources or {}).items():
        if _check_resource_name(errors, ("status", "allocatedResources"), name):
            _check_amount(errors, ("status", "allocatedResources", f"[{name}]"), amount)


def _check_amount(errors: Errors, path: Path, amount: str) -> None:
    if parse_quantity(amount) < 0:
        errors.invalid(path, int(parse_quantity(amount)), "must be a valid resource quantity")


def _check_resource_name(errors: Errors, path: Path, name: str) -> bool:
    """Allows `storage` and names with a foreign domain."""
    messages = qualified_name_errors(name)
    errors.check_messages(path, name, messages)
    domain = name.rpartition("/")[0]
    if not messages and name != "storage" and (not domain or domain.endswith("kubernetes.io")):
        errors.not_supported(path, name, ("storage",))
        return False
    return not messages
