"""Checks of a pod's volumes.

Source: Kubernetes documentation, "Volumes", "Projected Volumes", "Ephemeral Volumes".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apimachinery.names import dns_label_errors, dns_subdomain_errors
from apimachinery.quantity import parse_quantity
from apimachinery.validation import Errors, Path, check_relative_path
from kubeapi.core.persistentvolumeclaim.validation import check_claim_template
from kubeapi.core.pod.validation.env import check_field_ref, check_resource_ref
from kubeapi.core.pod.validation.storagevolumes import STORAGE_CHECKS, Check, check_driver_name, check_only_source
from kubeapi.core.pod.volumes import DownwardAPIVolumeFile, KeyToPath, Volume, VolumeProjection

_MODE_RULE = "must be a number between 0 and 0777 (octal), both inclusive"
_MIN_TOKEN_SECONDS = 10 * 60
_MAX_TOKEN_SECONDS = 2**32
_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")

_REQUIRED_FIELDS = {
    "emptyDir": (),
    "hostPath": ("path",),
    "gitRepo": ("repository",),
    "gcePersistentDisk": ("pdName",),
    "awsElasticBlockStore": ("volumeID",),
    "secret": ("secretName",),
    "nfs": ("server", "path"),
    "iscsi": ("targetPortal", "iqn"),
    "glusterfs": ("endpoints", "path"),
    "flocker": (),
    "persistentVolumeClaim": ("claimName",),
    "rbd": ("monitors", "image"),
    "cinder": ("volumeID",),
    "cephfs": ("monitors",),
    "quobyte": ("registry", "volume"),
    "downwardAPI": (),
    "fc": (),
    "flexVolume": ("driver",),
    "configMap": ("name",),
    "azureFile": ("secretName", "shareName"),
    "vsphereVolume": ("volumePath",),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
    "azureDisk": ("diskName", "diskURI"),
    "storageos": ("volumeName",),
    "projected": (),
    "scaleIO": ("gateway", "system", "volumeName"),
    "csi": (),
    "ephemeral": (),
    "image": ("reference",),
}
"""Source -> its required fields. Of several sources in one volume, the first in this order is the one that counts."""


def check_volumes(errors: Errors, path: Path, volumes: list[Volume] | None) -> dict[str, Volume]:
    """Checks the volumes and returns them by name, for the checks of mounts."""
    by_name: dict[str, Volume] = {}
    for index, volume in enumerate(volumes or ()):
        at = (*path, index)
        check_only_source(errors, at, volume, _REQUIRED_FIELDS, _CHECKS)
        if not volume.name:
            errors.required((*at, "name"))
        else:
            errors.check_dns_label((*at, "name"), volume.name)
            if volume.name in by_name:
                errors.duplicate((*at, "name"), volume.name)
        by_name[volume.name] = volume
    return by_name


def check_token_volumes(errors: Errors, path: Path, volumes: list[Volume]) -> None:
    """Refuses tokens of the service account for a pod without one."""
    for index, volume in enumerate(volumes):
        for number, source in enumerate((volume.projected and volume.projected.sources) or ()):
            if source.serviceAccountToken is not None:
                at = (*path, index, "projected", "sources", number, "serviceAccountToken")
                errors.forbidden(at, "must not be specified when serviceAccountName is not set")


def check_claim_names(errors: Errors, path: Path, pod_name: str, volumes: list[Volume]) -> None:
    """Refuses volumes whose claim, which is named by the pod and the volume, can't have that name."""
    for index, volume in enumerate(volumes):
        if volume.ephemeral is not None:
            name = f"{pod_name}-{volume.name}"
            messages = [f'PVC name "{name}": {message}' for message in dns_subdomain_errors(name)]
            errors.check_messages((*path, index, "name"), volume.name, messages)


def _check_empty_dir(errors: Errors, path: Path, source: Any) -> None:
    if source.sizeLimit is not None and parse_quantity(source.sizeLimit) < 0:
        errors.forbidden((*path, "sizeLimit"), "SizeLimit field must be a valid resource quantity")


def _check_keyed(errors: Errors, path: Path, source: Any) -> None:
    """Checks a ConfigMap or Secret volume."""
    _check_mode(errors, (*path, "defaultMode"), source.defaultMode)
    _check_items(errors, path, source.items)


def _check_items(errors: Errors, path: Path, items: list[KeyToPath] | None) -> None:
    for index, item in enumerate(items or ()):
        at = (*path, "items", index)
        if not item.key:
            errors.required((*at, "key"))
        _check_file_path(errors, (*at, "path"), item.path)
        _check_mode(errors, (*at, "mode"), item.mode)


def _check_file_path(errors: Errors, path: Path, value: str) -> None:
    """Checks the path of a file that the kubelet writes. Names that begin with two dots are reserved for its own
    use."""
    if not value:
        errors.required(path)
        return
    check_relative_path(errors, path, value)
    if value.startswith("..") and not value.startswith("../"):
        errors.invalid(path, value, "must not start with '..'")


def _check_mode(errors: Errors, path: Path, mode: int | None) -> None:
    if mode is not None and not 0 <= mode <= 0o777:
        errors.invalid(path, mode, _MODE_RULE)


def _check_downward(errors: Errors, path: Path, source: Any) -> None:
    _check_mode(errors, (*path, "defaultMode"), source.defaultMode)
    _check_downward_files(errors, path, source.items)


def _check_downward_files(errors: Errors, path: Path, items: list[DownwardAPIVolumeFile] | None) -> None:
    for index, item in enumerate(items or ()):
        at = (*path, "items", index)
        _check_file_path(errors, (*at, "path"), item.path)
        if item.fieldRef is not None:
            check_field_ref(errors, (*at, "fieldRef"), item.fieldRef, _FIELDS)
            if item.resourceFieldRef is not None:
                text = "fieldRef and resourceFieldRef can not be specified simultaneously"
                errors.invalid(at, "resource", text)
        elif item.resourceFieldRef is not None:
            check_resource_ref(errors, (*at, "resourceFieldRef"), item.resourceFieldRef, container_required=True)
        else:
            errors.required(at, "one of fieldRef and resourceFieldRef is required")
        _check_mode(errors, (*at, "mode"), item.mode)


def _check_projected(errors: Errors, path: Path, source: Any) -> None:
    _check_mode(errors, (*path, "defaultMode"), source.defaultMode)
    files: set[str] = set()
    for index, projection in enumerate(source.sources or ()):
        _check_projection(errors, (*path, "sources", index), projection)
        named = projection.secret or projection.configMap
        for file in _projected_paths(projection):
            if file in files:
                errors.invalid(path, named.name if named is not None else file, "conflicting duplicate paths")
            files.add(file)


def _projected_paths(projection: VolumeProjection) -> Iterable[str]:
    """Lists the files that a projection names; those of whole ConfigMaps and Secrets are known only at the mount."""
    for listed in (projection.secret, projection.configMap, projection.downwardAPI):
        if listed is not None:
            yield from (item.path for item in listed.items or () if item.path)
    for file in (projection.serviceAccountToken, projection.clusterTrustBundle):
        if file is not None and file.path:
            yield file.path


def _check_projection(errors: Errors, path: Path, projection: VolumeProjection) -> None:
    if len(projection.present()) > 1:
        errors.forbidden(path, "may not specify more than 1 volume type per source")
    if projection.secret is not None:
        _check_named_projection(errors, (*path, "secret"), projection.secret)
    elif projection.configMap is not None:
        _check_named_projection(errors, (*path, "configMap"), projection.configMap)
    elif projection.downwardAPI is not None:
        _check_downward_files(errors, (*path, "downwardAPI"), projection.downwardAPI.items)
    elif projection.serviceAccountToken is not None:
        _check_token(errors, (*path, "serviceAccountToken"), projection.serviceAccountToken)
    elif projection.clusterTrustBundle is not None:
        _check_trust_bundle(errors, (*path, "clusterTrustBundle"), projection.clusterTrustBundle)
    elif projection.podCertificate is not None:
        for field in ("signerName", "keyType"):
            if not getattr(projection.podCertificate, field):
                errors.required((*path, "podCertificate", field))


def _check_named_projection(errors: Errors, path: Path, source: Any) -> None:
    if not source.name:
        errors.required((*path, "name"))
    _check_items(errors, path, source.items)


def _check_token(errors: Errors, path: Path, source: Any) -> None:
    seconds = source.expirationSeconds
    if seconds is not None and seconds < _MIN_TOKEN_SECONDS:
        errors.invalid((*path, "expirationSeconds"), seconds, "may not specify a duration less than 10 minutes")
    if seconds is not None and seconds > _MAX_TOKEN_SECONDS:
        errors.invalid((*path, "expirationSeconds"), seconds, "may not specify a duration larger than 2^32 seconds")
    _check_file_path(errors, (*path, "path"), source.path)


def _check_trust_bundle(errors: Errors, path: Path, source: Any) -> None:
    if source.name and source.signerName:
        errors.invalid(path, source.name, "only one of name and signerName may be used")
    elif not source.name and not source.signerName:
        errors.required(path, "either name or signerName must be specified")
    errors.check_selector((*path, "labelSelector"), source.labelSelector)
    _check_file_path(errors, (*path, "path"), source.path)


def _check_csi(errors: Errors, path: Path, source: Any) -> None:
    check_driver_name(errors, (*path, "driver"), source.driver)
    if source.nodePublishSecretRef is not None and not source.nodePublishSecretRef.name:
        errors.required((*path, "nodePublishSecretRef", "name"))


def _check_image(errors: Errors, path: Path, source: Any) -> None:
    if source.pullPolicy not in ("Always", "IfNotPresent", "Never"):
        errors.not_supported((*path, "pullPolicy"), source.pullPolicy, ("Always", "IfNotPresent", "Never"))


def _check_ephemeral(errors: Errors, path: Path, source: Any) -> None:
    template = source.volumeClaimTemplate
    if template is None:
        errors.required((*path, "volumeClaimTemplate"))
    else:
        check_claim_template(errors, (*path, "volumeClaimTemplate"), template)


def check_resource_claims(errors: Errors, path: Path, claims: Iterable[Any]) -> frozenset[str]:
    """Checks the pod's `resourceClaims` and returns their names."""
    names: set[str] = set()
    for index, claim in enumerate(claims):
        at = (*path, index)
        if claim.name in names:
            errors.duplicate((*at, "name"), claim.name)
        errors.check_name((*at, "name"), claim.name, dns_label_errors)
        names.add(claim.name)
        if claim.resourceClaimName and claim.resourceClaimTemplateName:
            text = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            errors.invalid(at, claim.name, text)
        elif not claim.resourceClaimName and not claim.resourceClaimTemplateName:
            text = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            errors.invalid(at, claim.name, text)
        for field in ("resourceClaimName", "resourceClaimTemplateName"):
            errors.check_subdomain((*at, field), getattr(claim, field))
    return frozenset(names)


_CHECKS: dict[str, Check] = {
    **STORAGE_CHECKS,
    "configMap": _check_keyed,
    "csi": _check_csi,
    "downwardAPI": _check_downward,
    "emptyDir": _check_empty_dir,
    "ephemeral": _check_ephemeral,
    "image": _check_image,
    "projected": _check_projected,
    "secret": _check_keyed,
}
