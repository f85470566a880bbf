"""Checks `metadata`, for every kind alike: its fields, and which of them are immutable.

Source: Kubernetes documentation, "Object Names and IDs", "Labels and Selectors", "Annotations", "Owners and
Dependents", "Finalizers".
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from apimachinery.errors import FieldError, forbidden, invalid, required
from apimachinery.meta import Object, ObjectMeta, OwnerReference
from apimachinery.model import to_dict
from apimachinery.names import (
    dns_label_errors,
    label_value_errors,
    path_segment_errors,
    qualified_name_errors,
)
from apimachinery.resource import Resource
from apimachinery.validation import IMMUTABLE, NOT_NEGATIVE

MAX_ANNOTATIONS_BYTES = 256 * 1024  # keys and values together
MAX_LABEL_CHARS = 253 + 1 + 63 + 63  # of a good key and value; longer ones are not remembered

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"
STANDARD_FINALIZERS = frozenset({ORPHAN, FOREGROUND, "kubernetes"})

_REPEATED_OWNERS = (
    ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject "
    "such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: "
)


def validate_metadata(obj: Object, resource: Resource[Any]) -> list[FieldError]:
    """Everything of `metadata` that is wrong on its own."""
    meta = obj.metadata
    errors = _name_errors(meta, resource)
    if meta.namespace and resource.namespaced:
        errors += [invalid("metadata.namespace", meta.namespace, text) for text in dns_label_errors(meta.namespace)]
    if (meta.generation or 0) < 0:
        errors.append(invalid("metadata.generation", meta.generation, NOT_NEGATIVE))
    errors += validate_labels_and_annotations(meta.labels, meta.annotations)
    if meta.ownerReferences:
        errors += _owner_errors(meta.ownerReferences)
    if meta.finalizers:
        errors += _finalizer_errors(meta.finalizers, plain=resource.strategy.plain_finalizers)
    return errors


def validate_labels_and_annotations(
    labels: dict[str, str] | None, annotations: dict[str, str] | None
) -> list[FieldError]:
    errors = _label_errors(labels) if labels else []
    return errors + (_annotation_errors(annotations) if annotations else [])


def _name_errors(meta: ObjectMeta, resource: Resource[Any]) -> list[FieldError]:
    errors = []
    if meta.generateName:
        start = meta.generateName[:-2] + "a" if meta.generateName.endswith("-") else meta.generateName
        messages = path_segment_errors(start) or resource.strategy.validate_name(start)
        errors = [invalid("metadata.generateName", meta.generateName, message) for message in messages]
    if not meta.name:
        return [*errors, required("metadata.name", "name or generateName is required")]
    messages = path_segment_errors(meta.name) or resource.strategy.validate_name(meta.name)
    return errors + [invalid("metadata.name", meta.name, message) for message in messages]


@lru_cache(maxsize=4096)
def _label_messages(key: str, value: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The faults of the key, and those of the value. Most labels are the same few good ones."""
    return tuple(qualified_name_errors(key)), tuple(label_value_errors(value))


def _label_errors(labels: dict[str, str]) -> list[FieldError]:
    errors = []
    for key, value in labels.items():
        short = len(key) + len(value) <= MAX_LABEL_CHARS
        of_key, of_value = _label_messages(key, value) if short else _label_messages.__wrapped__(key, value)
        errors += [invalid("metadata.labels", key, message) for message in of_key]
        errors += [invalid("metadata.labels", value, message) for message in of_value]
    return errors


def _annotation_errors(annotations: dict[str, str]) -> list[FieldError]:
    errors, size = [], 0
    for key, value in annotations.items():
        errors += [invalid("metadata.annotations", key, message) for message in qualified_name_errors(key.lower())]
        size += len(key.encode()) + len(value.encode())
    if size > MAX_ANNOTATIONS_BYTES:
        text = f"Too long: may not be more than {MAX_ANNOTATIONS_BYTES} bytes"
        errors.append(FieldError("FieldValueTooLong", "metadata.annotations", text))
    return errors


def _owner_errors(owners: list[OwnerReference]) -> list[FieldError]:
    """Names no index, as upstream."""
    path = "metadata.ownerReferences"
    errors, controller = [], ""
    for owner in owners:
        if not owner.apiVersion.rpartition("/")[2] or owner.apiVersion.count("/") > 1:
            errors.append(invalid(f"{path}.apiVersion", owner.apiVersion, "version must not be empty"))
        for field in ("kind", "name", "uid"):
            if not getattr(owner, field):
                errors.append(invalid(f"{path}.{field}", "", "must not be empty"))
        if owner.apiVersion == "v1" and owner.kind == "Event":
            errors.append(invalid(path, to_dict(owner), "/v1, Kind=Event is disallowed from being an owner"))
    for owner in owners:
        if owner.controller:
            name = f"{owner.kind}/{owner.name}"
            if controller:
                text = "Only one reference can have Controller set to true. "
                text += f'Found "true" in references for {controller} and {name}'
                errors.append(invalid(path, [to_dict(owner) for owner in owners], text))
            controller = controller or name
    return errors


def _finalizer_errors(finalizers: list[str], *, plain: bool) -> list[FieldError]:
    path = "metadata.finalizers"
    errors = [invalid(path, name, message) for name in finalizers for message in qualified_name_errors(name)]
    if ORPHAN in finalizers and FOREGROUND in finalizers:
        text = f"finalizer {ORPHAN} and {FOREGROUND} cannot be both set"
        errors.append(invalid(path, finalizers, text))
    for index, name in enumerate(finalizers):
        if not plain and "/" not in name and name not in STANDARD_FINALIZERS:
            text = "name is neither a standard finalizer name nor is it fully qualified"
            errors.append(invalid(f"{path}[{index}]", name, text))
    return errors


def drop_repeated_owners(meta: ObjectMeta) -> tuple[str, ...]:
    """Keeps the first of equal owner references, and returns a warning if there were others."""
    owners = meta.ownerReferences or ()
    if len(owners) < 2:
        return ()
    distinct: list[OwnerReference] = []
    repeated: list[str] = []
    for owner in owners:
        if owner not in distinct:
            distinct.append(owner)
        elif owner.uid not in repeated:
            repeated.append(owner.uid)
    meta.ownerReferences = distinct
    return (_REPEATED_OWNERS + ", ".join(repeated),) if repeated else ()


def validate_metadata_update(new: ObjectMeta, old: ObjectMeta) -> list[FieldError]:
    """The changes that an update may not make; called after the store has filled in what the client left out."""
    errors: list[FieldError] = []
    if old.deletionTimestamp is not None:
        added = [name for name in new.finalizers or () if name not in (old.finalizers or ())]
        if added:
            text = "no new finalizers can be added if the object is being deleted, found new finalizers "
            listed = "{" + ", ".join(f'"{name}"' for name in added) + "}"
            errors.append(forbidden("metadata.finalizers", f"{text}[]string{listed}"))
    for field in ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"):
        value = getattr(new, field)
        if (value or None) != (getattr(old, field) or None):
            errors.append(invalid(f"metadata.{field}", value, IMMUTABLE))
    return errors
