"""Checks of volumes.

Source: Kubernetes documentation, "Persistent Volumes", "Volumes"; Kubernetes API reference, "PersistentVolume".
"""

from __future__ import annotations

import posixpath
from typing import Any

from apimachinery.model import to_dict
from apimachinery.names import dns_label_errors, dns_subdomain_errors
from apimachinery.quantity import parse_quantity
from apimachinery.validation import GREATER_THAN_ZERO, IMMUTABLE, Errors, Path
from kubeapi.core._references import SecretReference
from kubeapi.core.persistentvolume.model import (
    DELETE,
    RECYCLE,
    RETAIN,
    PersistentVolume,
    PersistentVolumeSource,
    PersistentVolumeSpec,
    VolumeNodeAffinity,
)
from kubeapi.core.persistentvolumeclaim.model import FILESYSTEM, VOLUME_MODES
from kubeapi.core.persistentvolumeclaim.validation import check_access_modes
from kubeapi.core.pod.scheduling.affinity import NodeSelectorTerm
from kubeapi.core.pod.validation.affinity import check_node_selector
from kubeapi.core.pod.validation.storagevolumes import (
    STORAGE_CHECKS,
    Check,
    check_driver_name,
    check_only_source,
)

_REQUIRED_FIELDS = {
    "hostPath": ("path",),
    "gcePersistentDisk": ("pdName",),
    "awsElasticBlockStore": ("volumeID",),
    "glusterfs": ("endpoints", "path"),
    "flocker": (),
    "nfs": ("server", "path"),
    "rbd": ("monitors", "image"),
    "quobyte": ("registry", "volume"),
    "cephfs": ("monitors",),
    "iscsi": ("targetPortal", "iqn"),
    "cinder": ("volumeID",),
    "fc": (),
    "flexVolume": ("driver",),
    "azureFile": ("secretName", "shareName"),
    "vsphereVolume": ("volumePath",),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
    "azureDisk": ("diskName", "diskURI"),
    "scaleIO": ("gateway", "system", "volumeName"),
    "local": ("path",),
    "storageos": ("volumeName",),
    "csi": (),
}
"""Source -> its required fields. Of several sources in one volume, the first in this order is the one that counts."""
_CSI_SECRETS = (
    "controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef",
)  # fmt: skip
_RECLAIM_POLICIES = (DELETE, RECYCLE, RETAIN)
_INLINE = "may not be specified in the context of inline volumes"
_SOURCE_RULE = "spec.persistentvolumesource is immutable after creation"
_SUCCESSORS = {
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
}
"""Node label of the past -> the label that has taken its place, which a volume's node affinity may move to."""


def check_volume(errors: Errors, path: Path, spec: PersistentVolumeSpec) -> None:
    """Checks the spec of a PersistentVolume."""
    if not spec.accessModes:
        errors.required((*path, "accessModes"))
    check_access_modes(errors, (*path, "accessModes"), spec.accessModes or ())
    _check_capacity(errors, (*path, "capacity"), spec.capacity)
    policy = spec.persistentVolumeReclaimPolicy
    if policy not in _RECLAIM_POLICIES:
        errors.not_supported((*path, "persistentVolumeReclaimPolicy"), policy, _RECLAIM_POLICIES)
    if spec.nodeAffinity is not None:
        _check_node_affinity(errors, (*path, "nodeAffinity"), spec.nodeAffinity)
    _check_source(errors, path, spec)
    errors.check_subdomain((*path, "storageClassName"), spec.storageClassName)
    if spec.volumeMode is not None and spec.volumeMode not in VOLUME_MODES:
        errors.not_supported((*path, "volumeMode"), spec.volumeMode, VOLUME_MODES)
    _check_attributes_class(errors, path, spec)


def check_inline_volume(errors: Errors, path: Path, spec: PersistentVolumeSpec) -> None:
    """Checks the volume of a VolumeAttachment, which is a driver's and has no claim."""
    for field in ("claimRef", "capacity"):
        if getattr(spec, field):
            errors.forbidden((*path, field), _INLINE)
    if spec.csi is None:
        errors.required((*path, "csi"), "has to be specified in the context of inline volumes")
    if not spec.accessModes:
        errors.required((*path, "accessModes"))
    check_access_modes(errors, (*path, "accessModes"), spec.accessModes or ())
    if spec.persistentVolumeReclaimPolicy != RETAIN:
        text = f"may only be {RETAIN} in the context of inline volumes"
        errors.forbidden((*path, "persistentVolumeReclaimPolicy"), text)
    if spec.nodeAffinity is not None:
        errors.forbidden((*path, "nodeAffinity"), _INLINE)
    _check_source(errors, path, spec)
    if spec.storageClassName:
        errors.forbidden((*path, "storageClassName"), _INLINE)
    if spec.volumeMode not in (None, FILESYSTEM):
        text = f"may not specify volumeMode other than {FILESYSTEM} in the context of inline volumes"
        errors.forbidden((*path, "volumeMode"), text)
    _check_attributes_class(errors, path, spec)


def check_volume_update(errors: Errors, new: PersistentVolume, old: PersistentVolume) -> None:
    """Refuses another source, volume mode or node affinity; an affinity may come later, and a driver's Secret for
    growing the volume."""
    source, stored = _source_of(new.spec), _source_of(old.spec)
    if stored.csi is not None and stored.csi.controllerExpandSecretRef is None and source.csi is not None:
        source.csi.controllerExpandSecretRef = None
    if source != stored:
        errors.forbidden(("spec", "persistentvolumesource"), _SOURCE_RULE)
    errors.check_immutable(("volumeMode",), new.spec.volumeMode, old.spec.volumeMode)
    affinity, before = new.spec.nodeAffinity, old.spec.nodeAffinity
    if before is not None and affinity != before and not _only_renames_labels(affinity, before):
        text = f"{IMMUTABLE}, except for updating from beta label to GA"
        errors.invalid(("nodeAffinity",), affinity and to_dict(affinity), text)
    if old.spec.volumeAttributesClassName is not None and new.spec.volumeAttributesClassName is None:
        errors.forbidden(("spec", "volumeAttributesClassName"), "update from non-nil value to nil is forbidden")


def _source_of(spec: PersistentVolumeSpec) -> PersistentVolumeSource:
    """Returns a copy of the source alone."""
    names = PersistentVolumeSource.model_fields
    return PersistentVolumeSource.model_construct(**{name: getattr(spec, name) for name in names}).clone()


def _check_capacity(errors: Errors, path: Path, capacity: dict[str, str] | None) -> None:
    if not capacity:
        errors.required(path)
    if not capacity or list(capacity) != ["storage"]:
        errors.not_supported(path, capacity, ("storage",))
    for name, amount in (capacity or {}).items():
        value = parse_quantity(amount)
        if value < 0:
            errors.invalid((*path, f"[{name}]"), int(value), "must be a valid resource quantity")
        if value <= 0:
            errors.invalid((*path, f"[{name}]"), amount, GREATER_THAN_ZERO)


def _check_node_affinity(errors: Errors, path: Path, affinity: VolumeNodeAffinity) -> None:
    if affinity.required is None:
        errors.required((*path, "required"), "must specify required node constraints")
    else:
        check_node_selector(errors, (*path, "required"), affinity.required)


def _check_source(errors: Errors, path: Path, spec: PersistentVolumeSpec) -> None:
    check_only_source(errors, path, spec, _REQUIRED_FIELDS, _CHECKS)
    if spec.local is not None and (spec.nodeAffinity is None or spec.nodeAffinity.required is None):
        errors.required((*path, "nodeAffinity"), "Local volume requires node affinity")
    is_root = spec.hostPath is not None and posixpath.normpath(spec.hostPath.path) == "/"
    if is_root and spec.persistentVolumeReclaimPolicy == RECYCLE:
        text = "may not be 'recycle' for a hostPath mount of '/'"
        errors.forbidden((*path, "persistentVolumeReclaimPolicy"), text)


def _check_attributes_class(errors: Errors, path: Path, spec: PersistentVolumeSpec) -> None:
    name = spec.volumeAttributesClassName
    if name is None:
        return
    if not name:
        errors.required((*path, "volumeAttributesClassName"), "an empty string is disallowed")
    else:
        errors.check_subdomain((*path, "volumeAttributesClassName"), name)
    if spec.csi is None:
        errors.required((*path, "csi"), "has to be specified when using volumeAttributesClassName")


def _only_renames_labels(new: VolumeNodeAffinity | None, old: VolumeNodeAffinity) -> bool:
    """Tells whether the affinities differ only in labels that have got another name."""
    if new is None or new.required is None or old.required is None:
        return False
    terms, before = new.required.nodeSelectorTerms, old.required.nodeSelectorTerms
    return len(terms) == len(before) and all(map(_is_renamed, terms, before))


def _is_renamed(new: NodeSelectorTerm, old: NodeSelectorTerm) -> bool:
    renamed = old.clone()
    for expression, wanted in zip(renamed.matchExpressions or (), new.matchExpressions or (), strict=False):
        if wanted.key != expression.key:
            expression.key = _SUCCESSORS.get(expression.key, expression.key)
    return renamed == new


def _check_csi(errors: Errors, path: Path, source: Any) -> None:
    check_driver_name(errors, (*path, "driver"), source.driver)
    if not source.volumeHandle:
        errors.required((*path, "volumeHandle"))
    for field in _CSI_SECRETS:
        reference: SecretReference | None = getattr(source, field)
        if reference is not None:
            errors.check_name((*path, field, "name"), reference.name, dns_subdomain_errors)
            errors.check_name((*path, field, "namespace"), reference.namespace, dns_label_errors)


def _check_local(errors: Errors, path: Path, source: Any) -> None:
    if ".." in source.path.split("/"):
        errors.invalid((*path, "path"), source.path, "must not contain '..'")


def _check_secret_namespace(errors: Errors, path: Path, source: Any) -> None:
    if source.secretNamespace == "":
        errors.required((*path, "secretNamespace"))


def _check_endpoints_namespace(errors: Errors, path: Path, source: Any) -> None:
    if (namespace := source.endpointsNamespace) is None:
        return
    if not namespace:
        text = "if the endpointnamespace is set, it must be a valid namespace name"
        errors.invalid((*path, "endpointsNamespace"), namespace, text)
    else:
        errors.check_messages((*path, "endpointsNamespace"), namespace, dns_label_errors(namespace))


def _check_full_secret(errors: Errors, path: Path, source: Any) -> None:
    """Requires both names of the Secret."""
    if (reference := source.secretRef) is not None:
        for field in ("name", "namespace"):
            if not getattr(reference, field):
                errors.required((*path, "secretRef", field))


def _check_storageos(errors: Errors, path: Path, source: Any) -> None:
    STORAGE_CHECKS["storageos"](errors, path, source)
    if source.secretRef is not None and not source.secretRef.namespace:
        errors.required((*path, "secretRef", "namespace"))


_CHECKS: dict[str, Check] = {
    **STORAGE_CHECKS,
    "azureFile": _check_secret_namespace,
    "cinder": _check_full_secret,
    "csi": _check_csi,
    "glusterfs": _check_endpoints_namespace,
    "local": _check_local,
    "storageos": _check_storageos,
}
