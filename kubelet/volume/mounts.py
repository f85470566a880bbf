"""Mounts folders and files of pods on the node. Linux only.

Mounts of open files go by the kernel's own calls: no path that a pod can change is looked up twice.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import stat
from collections.abc import Sequence

from componentbase.host.libc import checked, libc
from componentbase.host.mountinfo import mount_table, mounts_below
from componentbase.host.removal import remove_folder
from kubelet.volume.interface import VolumeError

_MS_BIND, _MS_REC, _MS_PRIVATE, _MS_SHARED = 0x1000, 0x4000, 0x40000, 0x100000
_UMOUNT_NOFOLLOW = 0x8
_MOUNT_SETATTR, _AT_RECURSIVE, _MOUNT_ATTR_RDONLY = 442, 0x8000, 0x1
MOUNT_SECONDS = 120.0  # for a server to answer


class _MountAttributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "user_namespace")]


def bind(descriptor: int, target: str, *, read_only: bool = False) -> None:
    """Shows the open file or folder, with what is mounted below it, at `target`. Raises: OSError.

    `read_only` holds for what is mounted below it too; a kernel before 5.12 can't do that (ENOSYS).
    """
    checked(libc.mount(b"/proc/self/fd/%d" % descriptor, os.fsencode(target), None, _MS_BIND | _MS_REC, None))
    try:
        checked(libc.mount(None, os.fsencode(target), None, _MS_PRIVATE | _MS_REC, None))
        if read_only:
            wanted = _MountAttributes(set=_MOUNT_ATTR_RDONLY)
            arguments = -1, os.fsencode(target), _AT_RECURSIVE, ctypes.byref(wanted), ctypes.sizeof(wanted)
            checked(libc.syscall(_MOUNT_SETATTR, *arguments))
    except OSError:
        unmount(target)
        raise


def make_shared(folder: str) -> None:
    """Lets what is mounted below the folder reach containers that ask for it, and the other way round.

    It becomes a mount of its own, unless it lies on a shared one already. Raises: OSError.
    """
    if _is_shared(folder):
        return
    path = os.fsencode(folder)
    checked(libc.mount(path, path, None, _MS_BIND | _MS_REC, None))
    checked(libc.mount(None, path, None, _MS_SHARED | _MS_REC, None))


def _is_shared(path: str) -> bool:
    inside = f"{os.path.realpath(path)}/"
    around = [entry for entry in mount_table() if inside.startswith(f"{entry.path.rstrip('/')}/")]
    nearest = max(len(entry.path) for entry in around)
    return [entry for entry in around if len(entry.path) == nearest][-1].shared  # the others lie below it


def mount_memory(target: str, size_bytes: int, mode: int, page_bytes: int = 0) -> None:
    """Mounts a file system in memory, of huge pages where their size is given. `size_bytes` 0: the kernel's default.

    Raises: OSError.
    """
    kind = b"hugetlbfs" if page_bytes else b"tmpfs"
    options = f"mode={mode:o}" + (f",size={size_bytes}" if size_bytes else "")
    options += f",pagesize={page_bytes}" if page_bytes else ""
    checked(libc.mount(kind, os.fsencode(target), kind, 0, options.encode()))


async def mount_with_tools(filesystem: str, source: str, target: str, options: Sequence[str]) -> None:
    """Runs the node's `mount`, which knows the helpers of network file systems. Raises: VolumeError.

    `filesystem` is "" for a bind mount.
    """
    arguments = [*(("-t", filesystem) if filesystem else ()), *(("-o", ",".join(options)) if options else ())]
    arguments += [source, target]
    shown = f"Mounting command: mount\nMounting arguments: {' '.join(arguments)}\n"
    try:
        process = await asyncio.create_subprocess_exec(
            "mount",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as error:
        raise VolumeError(f"mount failed: {error}\n{shown}") from None
    try:
        async with asyncio.timeout(MOUNT_SECONDS):
            said, _ = await process.communicate()
    except (TimeoutError, asyncio.CancelledError) as error:
        process.kill()
        await process.wait()
        if isinstance(error, TimeoutError):
            raise VolumeError(f"mount failed: not over within {MOUNT_SECONDS:.0f}s\n{shown}") from None
        raise
    if process.returncode != 0:
        text = said.decode(errors="replace").strip()
        raise VolumeError(f"mount failed: exit status {process.returncode}\n{shown}Output: {text}\n")


def unmount(target: str) -> None:
    """Raises: OSError, EBUSY while a process uses it."""
    checked(libc.umount2(os.fsencode(target), _UMOUNT_NOFOLLOW))


def unmount_below(path: str) -> None:
    """Unmounts everything at or below the path. Raises: OSError."""
    for target in mounts_below(path):
        unmount(target)


def remove_tree(path: str) -> None:
    """Removes a folder with its content; refuses while anything is mounted in it. Raises: OSError."""
    if not os.path.isdir(path):
        return
    mounted = mounts_below(path)
    if mounted:
        raise OSError(f"{mounted[0]} is still mounted: {path} is not removed")
    remove_folder(path)


def make_target(path: str, *, like: int) -> None:
    """Makes the empty file or folder that something like the open one can be mounted on. Raises: OSError."""
    os.makedirs(os.path.dirname(path), mode=0o750, exist_ok=True)
    folder = stat.S_ISDIR(os.fstat(like).st_mode)
    if os.path.lexists(path) and os.path.isdir(path) != folder:  # it was one of the other kind before
        remove = os.unlink if folder else os.rmdir
        remove(path)
    if folder:
        os.makedirs(path, mode=0o750, exist_ok=True)
    elif not os.path.lexists(path):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640))
