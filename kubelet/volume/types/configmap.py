"""configMap: the keys of a ConfigMap as files, updated while the pod runs."""

from __future__ import annotations

from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.volumes import ConfigMapVolumeSource
from kubelet.volume.interface import Mounted, ObjectRef, VolumeContext, VolumeType
from kubelet.volume.types import _atomic
from kubelet.volume.types._payload import config_map_files

PLUGIN = "kubernetes.io~configmap"


def setup(context: VolumeContext, source: ConfigMapVolumeSource) -> Mounted:
    files = config_map_files(context, source.name, source.items, source.defaultMode, source.optional)
    directory = context.directory(PLUGIN)
    _atomic.write(directory, files, group=context.fs_group)
    return Mounted(directory, read_only=True, managed=True)


def references(pod: Pod, source: ConfigMapVolumeSource) -> list[ObjectRef]:
    return [ObjectRef("ConfigMap", pod.namespace, source.name)]


VOLUME = VolumeType("configMap", PLUGIN, setup, references, live=True)
