"""emptyDir: a folder, or shared memory, that lives as long as its pod."""

from __future__ import annotations

import os

from apimachinery.quantity import byte_count
from kubeapi.core.pod.volumes import EmptyDirVolumeSource
from kubelet.runtime.interface import PodRef
from kubelet.volume.interface import Mounted, VolumeContext, VolumeError, VolumeType

PLUGIN = "kubernetes.io~empty-dir"
MODE = 0o777  # any user of a container may write


def setup(context: VolumeContext, source: EmptyDirVolumeSource) -> Mounted:
    """Raises: VolumeError for a medium other than the default and Memory."""
    if source.medium == "Memory":
        return Mounted(memory_volume=memory_volume_name(context))
    if source.medium:
        raise VolumeError(f"unknown storage medium {source.medium!r} for emptyDir volume {context.volume.name!r}")
    directory = context.directory(PLUGIN)
    if not os.path.isdir(directory):
        os.makedirs(directory, exist_ok=True)
        os.chmod(directory, MODE)
    if context.fs_group is not None:
        os.chown(directory, -1, context.fs_group)
        os.chmod(directory, MODE | 0o2000)
    return Mounted(directory)


def memory_volume_name(context: VolumeContext) -> str:
    return f"k8s-{context.pod.metadata.uid}-{context.volume.name}"


async def prepare(context: VolumeContext, source: EmptyDirVolumeSource) -> None:
    """A memory-backed one is a tmpfs of the runtime, as large as `sizeLimit`."""
    if source.medium != "Memory":
        return
    pod = PodRef(context.pod.metadata.uid or "", context.pod.namespace, context.pod.name)
    size = byte_count(source.sizeLimit) if source.sizeLimit else 0
    await context.runtime.create_memory_volume(memory_volume_name(context), size, pod, MODE)


VOLUME = VolumeType("emptyDir", PLUGIN, setup, prepare=prepare)
