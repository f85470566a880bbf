"""csi: a volume of a storage driver, of the pod alone or behind a claim."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from apimachinery.errors import StatusError
from kubelet.plugins.rpc import RpcError
from kubelet.volume.csi.drivers import CsiError
from kubelet.volume.csi.volume import PLUGIN, CsiVolume, claimed_volume, inline_volume
from kubelet.volume.csi.volumes import CsiVolumes
from kubelet.volume.interface import Mounted, VolumeContext, VolumeError, VolumeHost, VolumeType


async def prepare(context: VolumeContext, source: Any) -> None:
    """Raises: VolumeError; OSError."""
    context.require_mounts()
    try:
        await _drivers(context.host).set_up(context.pod, _volume(context), context.volume.name)
    except (CsiError, RpcError, StatusError) as error:
        raise VolumeError(str(error)) from None


def setup(context: VolumeContext, source: Any) -> Mounted:
    mount = _drivers(context.host).mount_of(context.pod.metadata.uid or "", _volume(context))
    return Mounted(mount.path, read_only=mount.read_only, group_owned=mount.owns_files)


def set_up_block(context: VolumeContext, source: Any) -> Mounted:
    """Raises: VolumeError."""
    mount = _drivers(context.host).mount_of(context.pod.metadata.uid or "", _volume(context))
    if not stat.S_ISBLK(os.stat(mount.path).st_mode):
        raise VolumeError(f"{mount.path}, where the driver published the volume, is not a block device")
    return Mounted(device=mount.path, read_only=mount.read_only)


async def tear_down(host: VolumeHost, folder: str) -> None:
    """Raises: VolumeError; OSError."""
    try:
        await _drivers(host).tear_down(Path(folder))
    except (CsiError, RpcError, ValueError) as error:
        raise VolumeError(f"UnmountVolume.TearDown failed for {folder}: {error}") from None


def _volume(context: VolumeContext) -> CsiVolume:
    if context.persistent is None:
        return inline_volume(context.pod, context.volume)
    return claimed_volume(context.persistent, read_only=context.read_only)


def _drivers(host: VolumeHost) -> CsiVolumes:
    if host.csi is None:
        raise VolumeError("storage drivers are not served here")
    return host.csi


VOLUME = VolumeType(
    "csi",
    PLUGIN,
    setup,
    prepare=prepare,
    set_up_block=set_up_block,
    mount_options=True,
    tear_down=tear_down,
)
