"""image: the files of an image, read-only, as the image was when the pod came to this node.

The runtime has no mount of an image, so each pod gets a copy in its folder. Nothing in it can be executed, as upstream
mounts it: no file has an execute bit.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from kubeapi.core.pod.volumes import ImageVolumeSource
from kubelet.runtime.interface import EngineError, RuntimeUnavailable
from kubelet.volume.interface import Mounted, VolumeContext, VolumeError, VolumeType

PLUGIN = "kubernetes.io~image"


async def prepare(context: VolumeContext, source: ImageVolumeSource) -> None:
    """Pulls the image and copies its files, unless they are there.

    Raises: ImageUnavailable; RuntimeUnavailable; VolumeError; OSError.
    """
    directory = Path(context.directory(PLUGIN))
    if await asyncio.to_thread(directory.exists):
        return
    if context.host.images is None:
        raise VolumeError("volume type image is not supported")
    image = await context.host.images.ensure(context.pod, source.reference or "", source.pullPolicy)
    await asyncio.to_thread(os.makedirs, directory.parent, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".") as work:  # no volume's name begins so
        try:
            await context.host.runtime.save_image(image.id, f"{work}/archive.tar")
        except RuntimeUnavailable:
            raise
        except EngineError as error:
            raise VolumeError(f'cannot read image "{source.reference}": {error}') from None
        await _unpack(f"{work}/archive.tar", f"{work}/files")
        await asyncio.to_thread(os.rename, f"{work}/files", directory)


async def _unpack(archive: str, directory: str) -> None:
    """Leaves the work to a process that sees nothing but the directory, which it makes. Raises: VolumeError."""
    command = (sys.executable, "-P", "-m", "kubelet.volume.unpack", archive, directory)
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    try:
        _, said = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        lines = said.decode(errors="replace").strip().splitlines()
        raise VolumeError(f"cannot unpack the image: {lines[-1] if lines else process.returncode}")


def setup(context: VolumeContext, source: ImageVolumeSource) -> Mounted:
    return Mounted(context.directory(PLUGIN), read_only=True, managed=True)


VOLUME = VolumeType("image", PLUGIN, setup, prepare=prepare)
