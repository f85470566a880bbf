"""DefaultStorageClass: a claim that names no class is of the default class, if there is one.

Source: Kubernetes documentation, "Storage Classes", "Default StorageClass".
"""

from __future__ import annotations

from apiserver.admission._plugin import CREATE, Attributes, Lookup, Plugin
from apiserver.admission.storage._classes import storage_classes
from kubeapi.core.persistentvolumeclaim.model import CLASS_ANNOTATION, PersistentVolumeClaim


def admit(attributes: Attributes, lookup: Lookup) -> None:
    claim: PersistentVolumeClaim = attributes.obj
    if claim.spec.storageClassName is not None or CLASS_ANNOTATION in claim.annotations:
        return
    default = storage_classes(lookup).get("")
    if default is not None:
        claim.spec.storageClassName = default.name


ADMISSION = Plugin("DefaultStorageClass", frozenset({CREATE}), frozenset({"persistentvolumeclaims"}), mutate=admit)
