"""hostPath: a file or folder of the node itself."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from kubeapi.core.pod.volumes import HostPathVolumeSource
from kubelet.volume.interface import Mounted, VolumeContext, VolumeError, VolumeType

_CHECKS: dict[str, tuple[Callable[[int], bool], str]] = {
    "Directory": (stat.S_ISDIR, "is not a directory"),
    "DirectoryOrCreate": (stat.S_ISDIR, "is not a directory"),
    "File": (stat.S_ISREG, "is not a file"),
    "FileOrCreate": (stat.S_ISREG, "is not a file"),
    "Socket": (stat.S_ISSOCK, "is not a socket file"),
    "CharDevice": (stat.S_ISCHR, "is not a character device"),
    "BlockDevice": (stat.S_ISBLK, "is not a block device"),
}


def setup(context: VolumeContext, source: HostPathVolumeSource) -> Mounted:
    """Checks, and for the …OrCreate types makes, what the type promises.

    Raises: VolumeError when the path is missing or something else.
    Source: Kubernetes, "Volumes", the table of hostPath types.
    """
    path = source.path
    if source.type in ("", "DirectoryOrCreate") and not os.path.exists(path):
        os.makedirs(path, mode=0o755, exist_ok=True)
    elif source.type == "FileOrCreate" and not os.path.exists(path):
        _create_file(path)
    elif source.type and source.type not in _CHECKS:
        raise VolumeError(f"hostPath type check failed: {source.type} is an invalid volume type")
    mode = _mode(path)
    if source.type:
        right, complaint = _CHECKS[source.type]
        if mode is None or not right(mode):
            raise VolumeError(f"hostPath type check failed: {path} {complaint}")
    return Mounted(path, file=mode is not None and not stat.S_ISDIR(mode))


def _create_file(path: str) -> None:
    """The folder it lies in is not made."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
    except OSError as error:
        raise VolumeError(f"hostPath type check failed: {error}") from None


def _mode(path: str) -> int | None:
    try:
        return os.stat(path).st_mode
    except OSError:
        return None


VOLUME = VolumeType("hostPath", "kubernetes.io~host-path", setup)
