"""nfs: a folder that a server exports, mounted by the node's own tools (Debian's nfs-common)."""

from __future__ import annotations

import os

from componentbase.host.mountinfo import is_mounted
from kubeapi.core.pod.storagevolumes import NFSVolumeSource
from kubelet.volume import mounts
from kubelet.volume.interface import Mounted, VolumeContext, VolumeType

PLUGIN = "kubernetes.io~nfs"


async def prepare(context: VolumeContext, source: NFSVolumeSource) -> None:
    """Raises: VolumeError."""
    context.require_mounts()
    directory = context.directory(PLUGIN)
    if is_mounted(directory):
        return
    os.makedirs(directory, mode=0o750, exist_ok=True)
    server = f"[{source.server}]" if ":" in source.server else source.server
    options = [*context.mount_options, *(("ro",) if source.readOnly or context.read_only else ())]
    await mounts.mount_with_tools("nfs", f"{server}:{source.path}", directory, options)


def setup(context: VolumeContext, source: NFSVolumeSource) -> Mounted:
    return Mounted(context.directory(PLUGIN), read_only=bool(source.readOnly))


VOLUME = VolumeType("nfs", PLUGIN, setup, prepare=prepare, mount_options=True)
