"""local: a folder or disk of this node, which a PersistentVolume offers."""

from __future__ import annotations

import os
import stat

from componentbase.host.mountinfo import is_mounted
from kubeapi.core.persistentvolume.sources import LocalVolumeSource
from kubelet.volume import mounts
from kubelet.volume.interface import Mounted, VolumeContext, VolumeError, VolumeType

PLUGIN = "kubernetes.io~local-volume"


async def prepare(context: VolumeContext, source: LocalVolumeSource) -> None:
    """Mount options need a mount of their own; else containers mount the folder itself. Raises: VolumeError."""
    if not context.mount_options or context.block or stat.S_ISBLK(_mode(source.path)):
        return
    context.require_mounts()
    directory = context.directory(PLUGIN)
    if not is_mounted(directory):
        os.makedirs(directory, mode=0o750, exist_ok=True)
        await mounts.mount_with_tools("", source.path, directory, ["bind", *context.mount_options])


def setup(context: VolumeContext, source: LocalVolumeSource) -> Mounted:
    """Raises: VolumeError."""
    if stat.S_ISBLK(_mode(source.path)):
        raise VolumeError(
            f'path "{source.path}" is a block device: mount its file system on the node and name that folder, '
            "or ask for volumeMode Block"
        )
    if not os.path.isdir(source.path):
        raise VolumeError(f'path "{source.path}" is not a directory')
    return Mounted(context.directory(PLUGIN) if context.mount_options else source.path, group_owned=True)


def set_up_block(context: VolumeContext, source: LocalVolumeSource) -> Mounted:
    """Raises: VolumeError."""
    if not stat.S_ISBLK(_mode(source.path)):
        raise VolumeError(f'path "{source.path}" is not a block device')
    return Mounted(device=os.path.realpath(source.path))


def _mode(path: str) -> int:
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        raise VolumeError(f'path "{path}" does not exist') from None


VOLUME = VolumeType("local", PLUGIN, setup, prepare=prepare, set_up_block=set_up_block, mount_options=True)
