"""configMap: the keys of a ConfigMap as files, updated while the pod runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelet.volume.types import _atomic
from kubelet.volume.types._interface import Mounted, ObjectRef, VolumeContext, VolumeType
from kubelet.volume.types._payload import config_map_files

if TYPE_CHECKING:
    from kubeapi.core.pod.model import Pod
    from kubeapi.core.pod.volumes import ConfigMapVolumeSource

PLUGIN = "kubernetes.io~configmap"


def setup(context: VolumeContext, source: ConfigMapVolumeSource) -> Mounted:
    files = config_map_files(context, source.name, source.items, source.defaultMode, source.optional)
    directory = context.directory(PLUGIN)
    _atomic.write(directory, files, group=context.fs_group)
    return Mounted(directory, read_only=True)


def references(pod: Pod, source: ConfigMapVolumeSource) -> list[ObjectRef]:
    return [ObjectRef("ConfigMap", pod.namespace, source.name)]


VOLUME = VolumeType("configMap", PLUGIN, setup, references, live=True)
