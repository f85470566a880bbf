"""emptyDir: a folder, or shared memory, that lives as long as its pod."""

from __future__ import annotations

import os

from apimachinery.quantity import byte_count
from componentbase.mountinfo import is_mounted
from kubeapi.core.pod.requests import bounding_limits
from kubeapi.core.pod.volumes import EmptyDirVolumeSource
from kubelet.runtime.configs import PodRef
from kubelet.volume import mounts
from kubelet.volume.interface import Mounted, VolumeContext, VolumeError, VolumeType

PLUGIN = "kubernetes.io~empty-dir"
MODE = 0o777  # any user of a container may write


def setup(context: VolumeContext, source: EmptyDirVolumeSource) -> Mounted:
    """Raises: VolumeError for a medium other than the default and Memory."""
    directory = context.directory(PLUGIN)
    if source.medium == "Memory":
        return (
            Mounted(directory, group_owned=True)
            if context.can_mount
            else Mounted(memory_volume=memory_volume_name(context))
        )
    if source.medium:
        raise VolumeError(f"unknown storage medium {source.medium!r} for emptyDir volume {context.volume.name!r}")
    _make(directory)
    return Mounted(directory, group_owned=True)


def _make(directory: str) -> None:
    if not os.path.isdir(directory):
        new = f"{directory}.new"  # no volume's name has a dot; whoever finds the folder finds it with its mode
        os.makedirs(new, exist_ok=True)
        os.chmod(new, MODE)
        os.rename(new, directory)


def memory_volume_name(context: VolumeContext) -> str:
    return f"k8s-{context.pod.metadata.uid}-{context.volume.name}"


async def prepare(context: VolumeContext, source: EmptyDirVolumeSource) -> None:
    """A memory-backed one is a tmpfs: of the node or, where its mounts do not reach containers, of the runtime.

    The runtime's loses its content whenever none of the pod's containers runs.
    """
    if source.medium != "Memory":
        return
    size = memory_bytes(context, source)
    if not context.can_mount:
        pod = PodRef(context.pod.metadata.uid or "", context.pod.namespace, context.pod.name)
        await context.host.runtime.create_memory_volume(memory_volume_name(context), size, pod, MODE)
        return
    directory = context.directory(PLUGIN)
    _make(directory)
    if not is_mounted(directory):
        mounts.mount_memory(directory, f"mode={MODE:o}" + (f",size={size}" if size else ""))


def memory_bytes(context: VolumeContext, source: EmptyDirVolumeSource) -> int:
    """Returns the least of its own limit, the pod's memory limit and the node's memory for pods; 0 for no limit."""
    limits = [
        byte_count(source.sizeLimit) if source.sizeLimit else 0,
        byte_count(bounding_limits(context.pod.spec).get("memory", "0")),
    ]
    limits.append(int(context.node.allocatable.get("memory", 0)))
    return min((limit for limit in limits if limit > 0), default=0)


VOLUME = VolumeType("emptyDir", PLUGIN, setup, prepare=prepare)
