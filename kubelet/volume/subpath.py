"""Opens a path within a volume so that nothing a pod does to its links and folders meanwhile leads out of it."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os

from componentbase.host.libc import checked, libc
from kubelet.volume.interface import VolumeError

_OPENAT2 = 437
_NO_MAGIC_LINKS, _BENEATH = 0x02, 0x08
_ATTEMPTS = 64  # the kernel gives up when a folder is renamed while it looks at a ".."


class _OpenHow(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("flags", "mode", "resolve")]


def open_sub_path(base: str, path: str, *, make: bool) -> int:
    """Opens the file or folder that `path` names below `base`, to be mounted; links are followed within it.

    `make`: missing folders are made, with the mode of `base`. The caller closes what is returned.
    Raises: VolumeError.
    """
    try:
        root = os.open(base, os.O_PATH | os.O_CLOEXEC)
        try:
            mode = os.fstat(root).st_mode & 0o7777
            return _open_or_make(root, os.path.normpath(path), mode if make else None)
        finally:
            os.close(root)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.ELOOP):
            raise VolumeError(f'subPath "{path}" leads out of its volume') from None
        if isinstance(error, FileNotFoundError) and not make:
            raise VolumeError(f'subPath "{path}" does not exist in its volume') from None
        raise VolumeError(f'failed to create subPath directory for volumeMount "{path}": {error.strerror}') from None


def _open_or_make(root: int, path: str, mode: int | None) -> int:
    try:
        return _open_beneath(root, path)
    except FileNotFoundError:
        if mode is None:
            raise
    parent_path, _, name = path.rpartition("/")
    parent = _open_or_make(root, parent_path or ".", mode)
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=parent)
            made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            try:
                os.fchmod(made, mode)
            finally:
                os.close(made)
    finally:
        os.close(parent)
    return _open_beneath(root, path)  # not the folder just made: the path may be another one by now


def _open_beneath(root: int, path: str) -> int:
    """Raises: OSError, EXDEV for a path that leads out."""
    how = _OpenHow(os.O_PATH | os.O_CLOEXEC, 0, _BENEATH | _NO_MAGIC_LINKS)
    for _ in range(_ATTEMPTS):
        descriptor: int = libc.syscall(_OPENAT2, root, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
        if descriptor >= 0 or ctypes.get_errno() != errno.EAGAIN:
            break
    return checked(descriptor)
