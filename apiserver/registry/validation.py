"""Checks `metadata`, for every kind alike: its fields, and which of them are immutable.

Source: Kubernetes documentation, "Object Names and IDs", "Labels and Selectors", "Annotations", "Owners and
Dependents", "Finalizers".
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from apimachinery.errors import FieldError, forbidden, invalid, required
from apimachinery.meta import Object, ObjectMeta, OwnerReference
from apimachinery.names import (
    dns_label_errors,
    label_value_errors,
    path_segment_errors,
    qualified_name_errors,
)
from apimachinery.resource import Resource

MAX_ANNOTATIONS_BYTES = 256 * 1024  # keys and values together
MAX_LABEL_CHARS = 253 + 1 + 63 + 63  # of a good key and value; longer ones are not remembered
IMMUTABLE = "field is immutable"

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"
STANDARD_FINALIZERS = frozenset({ORPHAN, FOREGROUND, "kubernetes"})


def validate_metadata(obj: Object, resource: Resource[Any]) -> list[FieldError]:
    """Everything of `metadata` that is wrong on its own."""
    meta = obj.metadata
    errors = _name_errors(meta, resource)
    if meta.namespace and resource.namespaced:
        errors += [invalid("metadata.namespace", meta.namespace, text) for text in dns_label_errors(meta.namespace)]
    if meta.labels:
        errors += _label_errors(meta.labels)
    if meta.annotations:
        errors += _annotation_errors(meta.annotations)
    if meta.ownerReferences:
        errors += _owner_errors(meta.ownerReferences)
    if meta.finalizers:
        errors += _finalizer_errors(meta.finalizers)
    return errors


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
    errors, controllers = [], []
    for index, owner in enumerate(owners):
        path = f"metadata.ownerReferences[{index}]"
        version = owner.apiVersion.rpartition("/")[2]
        if not version or owner.apiVersion.count("/") > 1:
            errors.append(invalid(f"{path}.apiVersion", owner.apiVersion, "version must not be empty"))
        if not owner.kind:
            errors.append(invalid(f"{path}.kind", owner.kind, "must not be empty"))
        if not owner.name:
            errors.append(invalid(f"{path}.name", owner.name, "must not be empty"))
        if not owner.uid:
            errors.append(invalid(f"{path}.uid", owner.uid, "must not be empty"))
        if owner.apiVersion == "v1" and owner.kind == "Event":
            errors.append(invalid(path, f"{owner.apiVersion}, Kind={owner.kind}", "is disallowed from being an owner"))
        if owner.controller:
            controllers.append(owner.name)
    if len(controllers) > 1:
        text = 'Only one reference can have Controller set to true. Found "true" in references for '
        text += " and ".join(controllers[:2])
        errors.append(invalid("metadata.ownerReferences", [owner.name for owner in owners], text))
    return errors


def _finalizer_errors(finalizers: list[str]) -> list[FieldError]:
    errors = []
    for index, name in enumerate(finalizers):
        errors += [invalid(f"metadata.finalizers[{index}]", name, message) for message in qualified_name_errors(name)]
        if "/" not in name and name not in STANDARD_FINALIZERS:
            text = "name is neither a standard finalizer name nor is it fully qualified"
            errors.append(invalid(f"metadata.finalizers[{index}]", name, text))
    if ORPHAN in finalizers and FOREGROUND in finalizers:
        text = f"finalizer {ORPHAN} and {FOREGROUND} cannot be both set"
        errors.append(invalid("metadata.finalizers", finalizers, text))
    return errors


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
