"""emptyDir: a folder, or shared memory, that lives as long as its pod."""

from __future__ import annotations

import os

from apimachinery.quantity import byte_count
from componentbase.host.mountinfo import is_mounted
from kubeapi.core.pod.requests import HUGE_PAGES_PREFIX, bounding_limits
from kubeapi.core.pod.spec import PodSpec
from kubeapi.core.pod.volumes import EmptyDirVolumeSource
from kubelet.runtime.configs import PodRef
from kubelet.volume import mounts
from kubelet.volume.interface import Mounted, VolumeContext, VolumeError, VolumeType

PLUGIN = "kubernetes.io~empty-dir"
MEMORY, HUGE_PAGES = "Memory", "HugePages"
MODE = 0o777  # any user of a container may write


def setup(context: VolumeContext, source: EmptyDirVolumeSource) -> Mounted:
    directory = context.directory(PLUGIN)
    if source.medium and not context.can_mount:
        return Mounted(memory_volume=memory_volume_name(context))
    if not source.medium:
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
    """One in memory is a file system of the node or, where its mounts do not reach containers, of the runtime.

    The runtime's loses its content whenever none of the pod's containers runs.
    Raises: VolumeError for an unknown medium, and for huge pages that the pod does not request.
    """
    medium = source.medium
    if not medium:
        return
    if medium != MEMORY and medium.partition("-")[0] != HUGE_PAGES:
        raise VolumeError(f"unknown storage medium {medium!r} for emptyDir volume {context.volume.name!r}")
    page = 0 if medium == MEMORY else page_bytes(context.pod.spec, medium)
    size = memory_bytes(context, source) if medium == MEMORY else _size_limit(source)
    if not context.can_mount:
        pod = PodRef(context.pod.metadata.uid or "", context.pod.namespace, context.pod.name)
        await context.host.runtime.create_memory_volume(memory_volume_name(context), size, pod, MODE, page)
        return
    directory = context.directory(PLUGIN)
    _make(directory)
    if not is_mounted(directory):
        mounts.mount_memory(directory, size, MODE, page)


def page_bytes(spec: PodSpec, medium: str) -> int:
    """Returns the size of the pages that "HugePages-2Mi" names, or "HugePages" leaves to the one size requested.

    Raises: VolumeError.
    """
    containers = (*spec.containers, *(spec.initContainers or ()))
    names = {
        name for item in containers for name in item.resources.requests or () if name.startswith(HUGE_PAGES_PREFIX)
    }
    sizes = {byte_count(name.removeprefix(HUGE_PAGES_PREFIX)) for name in names}
    if medium != HUGE_PAGES:
        sizes &= {byte_count(medium.partition("-")[2])}
    if not sizes:
        raise VolumeError(
            f"medium {medium}: hugePages storage requested, but there is no resource request for huge pages"
        )
    if len(sizes) > 1:
        raise VolumeError(f"medium {medium} can't be used if container requests multiple huge page sizes")
    return sizes.pop()


def _size_limit(source: EmptyDirVolumeSource) -> int:
    return byte_count(source.sizeLimit) if source.sizeLimit else 0


def memory_bytes(context: VolumeContext, source: EmptyDirVolumeSource) -> int:
    """Returns the least of its own limit, the pod's memory limit and the node's memory for pods; 0 for no limit."""
    limits = (
        _size_limit(source),
        byte_count(bounding_limits(context.pod.spec).get("memory", "0")),
        int(context.node.allocatable.get("memory", 0)),
    )
    return min((limit for limit in limits if limit > 0), default=0)


VOLUME = VolumeType("emptyDir", PLUGIN, setup, prepare=prepare)
