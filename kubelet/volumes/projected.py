"""projected: ConfigMaps, Secrets and the downward API in one folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelet.volumes import _atomic
from kubelet.volumes._atomic import File
from kubelet.volumes._interface import Mounted, ObjectRef, VolumeContext, VolumeError, VolumeType
from kubelet.volumes._payload import config_map_files, downward_files, secret_files

if TYPE_CHECKING:
    from kubeapi._volumes import ProjectedVolumeSource, VolumeProjection
    from kubeapi.pod import Pod

PLUGIN = "kubernetes.io~projected"

UNSUPPORTED = ("serviceAccountToken", "clusterTrustBundle", "podCertificate")


def setup(context: VolumeContext, source: ProjectedVolumeSource) -> Mounted:
    """Raises: VolumeError for a source that this cluster cannot provide, and those of the single volumes."""
    files: dict[str, File] = {}
    for projection in source.sources or ():
        files |= _files(context, projection, source.defaultMode)
    directory = context.directory(PLUGIN)
    _atomic.write(directory, files, group=context.fs_group)
    return Mounted(directory, read_only=True)


def _files(context: VolumeContext, projection: VolumeProjection, mode: int | None) -> dict[str, File]:
    if (config_map := projection.configMap) is not None:
        return config_map_files(context, config_map.name, config_map.items, mode, config_map.optional)
    if (secret := projection.secret) is not None:
        return secret_files(context, secret.name, secret.items, mode, secret.optional)
    if (downward := projection.downwardAPI) is not None:
        return downward_files(context, downward.items, mode)
    name = next((name for name in UNSUPPORTED if getattr(projection, name) is not None), "")
    if name == "serviceAccountToken":
        raise VolumeError("projected source serviceAccountToken is not supported: this cluster issues no tokens")
    raise VolumeError(f"projected source {name or 'of unknown type'} is not supported")


def references(pod: Pod, source: ProjectedVolumeSource) -> list[ObjectRef]:
    found = []
    for projection in source.sources or ():
        if projection.configMap is not None:
            found.append(ObjectRef("ConfigMap", pod.namespace, projection.configMap.name))
        if projection.secret is not None:
            found.append(ObjectRef("Secret", pod.namespace, projection.secret.name))
    return found


VOLUME = VolumeType("projected", PLUGIN, setup, references, live=True)
