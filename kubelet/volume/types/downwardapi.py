"""downwardAPI: the pod's own fields and resources as files, updated while the pod runs."""

from __future__ import annotations

from kubeapi.core.pod.volumes import DownwardAPIVolumeSource
from kubelet.volume.interface import Mounted, VolumeContext, VolumeType
from kubelet.volume.types import _atomic
from kubelet.volume.types._payload import downward_files

PLUGIN = "kubernetes.io~downward-api"


def setup(context: VolumeContext, source: DownwardAPIVolumeSource) -> Mounted:
    directory = context.directory(PLUGIN)
    files = downward_files(context, source.items, source.defaultMode)
    _atomic.write(directory, files, group=context.fs_group)
    return Mounted(directory, read_only=True, managed=True)


VOLUME = VolumeType("downwardAPI", PLUGIN, setup, live=True)
