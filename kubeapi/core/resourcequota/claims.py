"""What claims use of a quota: their number and the storage that they ask for, together and by class.

Source: Kubernetes documentation, "Resource Quotas", "Storage Resource Quota", "Quota scopes".
"""

from __future__ import annotations

from apimachinery.quantity import ResourceList, parse_quantity
from kubeapi.core.persistentvolumeclaim.model import PersistentVolumeClaim
from kubeapi.core.persistentvolumeclaim.resource import class_of
from kubeapi.core.resourcequota.evaluator import Evaluator, names_class
from kubeapi.core.resourcequota.model import ScopedResourceSelectorRequirement

_CLAIMS, _STORAGE = "persistentvolumeclaims", "requests.storage"
_OF_CLASS = ".storageclass.storage.k8s.io/"
"""Stands between the name of a class and the resource that is limited for it."""


class ClaimEvaluator(Evaluator):
    model = PersistentVolumeClaim
    charged_updates = frozenset({""})

    def __init__(self, group: str, plural: str) -> None:
        super().__init__(group, plural)
        self._names = self._names | {_CLAIMS, _STORAGE}

    def measures(self, name: str) -> bool:
        of_class, separator, resource = name.partition(_OF_CLASS)
        return name in self._names or (bool(of_class and separator) and resource in (_CLAIMS, _STORAGE))

    def usage(self, obj: PersistentVolumeClaim, now: float) -> ResourceList:
        used = {_CLAIMS: "1"}
        if storage := _storage(obj):
            used[_STORAGE] = storage
        if name := class_of(obj):
            used |= {f"{name}{_OF_CLASS}{resource}": amount for resource, amount in used.items()}
        return {self.count: "1", **used}

    def may_free(self, old: PersistentVolumeClaim, new: PersistentVolumeClaim | None) -> bool:
        return new is None or _facts(old) != _facts(new)

    def in_scope(self, obj: PersistentVolumeClaim, condition: ScopedResourceSelectorRequirement) -> bool:
        """A claim is of the VolumeAttributesClass that it asks for, has, and is being changed to."""
        if condition.scopeName != "VolumeAttributesClass":
            return False
        status, names = obj.status, {obj.spec.volumeAttributesClassName, obj.status.currentVolumeAttributesClassName}
        if status.modifyVolumeStatus is not None:
            names.add(status.modifyVolumeStatus.targetVolumeAttributesClassName)
        names -= {None, ""}
        return any(names_class(name, condition) for name in names or {None})


def _storage(claim: PersistentVolumeClaim) -> str:
    """Returns the request or, while a larger size is being allocated, that."""
    amounts = [
        (claim.spec.resources.requests or {}).get("storage"),
        (claim.status.allocatedResources or {}).get("storage"),
    ]
    return max(filter(None, amounts), key=parse_quantity, default="")


def _facts(claim: PersistentVolumeClaim) -> tuple[object, ...]:
    """Returns what decides about the use of a claim, and the quotas about it."""
    status, spec = claim.status, claim.spec
    classes = (spec.volumeAttributesClassName, status.currentVolumeAttributesClassName, status.modifyVolumeStatus)
    return (_storage(claim), class_of(claim), *classes)
