"""PersistentVolumeClaimResize: a claim grows only if its class allows it; that it must be bound, validation says.

Source: Kubernetes documentation, "Persistent Volumes", "Expanding Persistent Volumes Claims".
"""

from __future__ import annotations

from fractions import Fraction

from apimachinery.quantity import parse_quantity
from apiserver.admission._plugin import UPDATE, Attributes, Lookup, Plugin, refused
from apiserver.admission.storage._classes import storage_classes
from kubeapi.core.persistentvolumeclaim.model import PersistentVolumeClaim
from kubeapi.core.persistentvolumeclaim.resource import class_of


def check(attributes: Attributes, lookup: Lookup) -> None:
    claim: PersistentVolumeClaim = attributes.obj
    old: PersistentVolumeClaim = attributes.old
    if _requested(claim) <= _requested(old):
        return
    name = class_of(claim)
    storage_class = storage_classes(lookup).get(name) if name else None
    if storage_class is None or not storage_class.allowVolumeExpansion:
        text = (
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support "
            "resize"
        )
        raise refused(attributes, text)


def _requested(claim: PersistentVolumeClaim) -> Fraction:
    return parse_quantity((claim.spec.resources.requests or {}).get("storage", "0"))


ADMISSION = Plugin(
    "PersistentVolumeClaimResize", frozenset({UPDATE}), frozenset({"persistentvolumeclaims"}), validate=check
)
