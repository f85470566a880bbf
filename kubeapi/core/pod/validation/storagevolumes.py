"""Checks of the volume sources that pods and PersistentVolumes share.

Source: Kubernetes documentation, "Volumes"; Kubernetes API reference, "PersistentVolume".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from apimachinery.model import Model
from apimachinery.names import dns_subdomain_errors
from apimachinery.validation import Errors, Path

Check = Callable[[Errors, Path, Any], None]

_HOST_PATH_TYPES = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
)  # fmt: skip
_CACHING_MODES = ("None", "ReadOnly", "ReadWrite")
_AZURE_KINDS = ("Dedicated", "Managed", "Shared")
_AZURE_MANAGED = ("/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",)
_AZURE_BLOBS = ("https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd",)
_ISCSI_NAMES = ("iqn", "eui", "naa")
_ISCSI_RULE = "must be valid format starting with iqn, eui, or naa"


def check_only_source(
    errors: Errors,
    path: Path,
    holder: Model,
    required_fields: Mapping[str, tuple[str, ...]],
    checks: Mapping[str, Check],
) -> None:
    """Checks that a volume has one source, and that source; `required_fields` and `checks` are by its name. Of several
    sources, the first in the order of `required_fields` is the one that counts."""
    sources = [name for name in holder.present() if name in required_fields]
    if not sources:
        errors.required(path, "must specify a volume type")
        return
    if len(sources) > 1:
        sources.sort(key=list(required_fields).index)
    for name in sources[1:]:
        errors.forbidden((*path, name), "may not specify more than 1 volume type")
    name = sources[0]
    source = getattr(holder, name)
    for field in required_fields[name]:
        if not getattr(source, field):
            errors.required((*path, name, field))
    check = checks.get(name)
    if check is not None:
        check(errors, (*path, name), source)


def check_driver_name(errors: Errors, path: Path, name: str) -> None:
    """Requires the name of a CSI driver: a DNS subdomain of at most 63 characters, in either case."""
    if not name:
        errors.required(path)
        return
    if len(name) > 63:
        errors.too_long(path, 63)
    errors.check_messages(path, name, dns_subdomain_errors(name.lower()))


def _check_host_path(errors: Errors, path: Path, source: Any) -> None:
    if ".." in source.path.split("/"):
        errors.invalid((*path, "path"), source.path, "must not contain '..'")
    if source.type not in _HOST_PATH_TYPES:
        errors.not_supported((*path, "type"), source.type, _HOST_PATH_TYPES)


def _check_nfs(errors: Errors, path: Path, source: Any) -> None:
    if not source.path.startswith("/"):
        errors.invalid((*path, "path"), source.path, "must be an absolute path")


def _check_partition(errors: Errors, path: Path, source: Any) -> None:
    errors.check_range((*path, "partition"), source.partition, 0, 255)


def _check_iscsi(errors: Errors, path: Path, source: Any) -> None:
    errors.check_range((*path, "lun"), source.lun, 0, 255)
    if source.iqn and not source.iqn.startswith(_ISCSI_NAMES):
        errors.invalid((*path, "iqn"), source.iqn, _ISCSI_RULE)
    if source.initiatorName is not None and not source.initiatorName.startswith(_ISCSI_NAMES):
        errors.invalid((*path, "initiatorname"), source.initiatorName, _ISCSI_RULE)
    if source.secretRef is None:
        if source.chapAuthDiscovery or source.chapAuthSession:
            errors.required((*path, "secretRef"))
    elif not source.secretRef.name:
        errors.required((*path, "secretRef", "name"))


def _check_flocker(errors: Errors, path: Path, source: Any) -> None:
    if not source.datasetName and not source.datasetUUID:
        errors.required(path, "one of datasetName and datasetUUID is required")
    elif source.datasetName and source.datasetUUID:
        errors.invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously")


def _check_fc(errors: Errors, path: Path, source: Any) -> None:
    if not source.targetWWNs and not source.wwids:
        errors.required((*path, "targetWWNs"), "must specify either targetWWNs or wwids, but not both")
    elif source.targetWWNs and source.wwids:
        text = "targetWWNs and wwids can not be specified simultaneously"
        errors.invalid((*path, "targetWWNs"), source.targetWWNs, text)
    if source.targetWWNs:
        if source.lun is None:
            errors.required((*path, "lun"), "lun is required if targetWWNs is specified")
        else:
            errors.check_range((*path, "lun"), source.lun, 0, 255)


def _check_flex(errors: Errors, path: Path, source: Any) -> None:
    for key in source.options or ():
        domain = "." + key.partition("/")[0].lower()
        if domain.endswith((".kubernetes.io", ".k8s.io")):
            text = "kubernetes.io and k8s.io namespaces are reserved"
            errors.invalid((*path, "options", f"[{key}]"), key, text)


def _check_azure_disk(errors: Errors, path: Path, source: Any) -> None:
    if source.cachingMode is not None and source.cachingMode not in _CACHING_MODES:
        errors.not_supported((*path, "cachingMode"), source.cachingMode, _CACHING_MODES)
    if source.kind is not None and source.kind not in _AZURE_KINDS:
        errors.not_supported((*path, "kind"), source.kind, _AZURE_KINDS)
    if source.kind == "Managed" and not source.diskURI.startswith("/subscriptions/"):
        errors.not_supported((*path, "diskURI"), source.diskURI, _AZURE_MANAGED)
    if source.kind != "Managed" and not source.diskURI.startswith("https://"):
        errors.not_supported((*path, "diskURI"), source.diskURI, _AZURE_BLOBS)


def _check_storageos(errors: Errors, path: Path, source: Any) -> None:
    for field in ("volumeName", "volumeNamespace"):
        if name := getattr(source, field):
            errors.check_dns_label((*path, field), name)
    if source.secretRef is not None and not source.secretRef.name:
        errors.required((*path, "secretRef", "name"))


def _check_quobyte(errors: Errors, path: Path, source: Any) -> None:
    for registry in (source.registry or "").split(",") if source.registry else ():
        host, colon, port = registry.rpartition(":")
        if not (host and colon and port):
            text = "must be a host:port pair or multiple pairs separated by commas"
            errors.invalid((*path, "registry"), source.registry, text)


STORAGE_CHECKS: dict[str, Check] = {
    "awsElasticBlockStore": _check_partition,
    "azureDisk": _check_azure_disk,
    "fc": _check_fc,
    "flexVolume": _check_flex,
    "flocker": _check_flocker,
    "gcePersistentDisk": _check_partition,
    "hostPath": _check_host_path,
    "iscsi": _check_iscsi,
    "nfs": _check_nfs,
    "quobyte": _check_quobyte,
    "storageos": _check_storageos,
}
"""Source -> what is to be checked of it beyond its required fields."""
