"""Gives the files of a volume to the pod's group.

Source: Kubernetes, "Configure a Security Context for a Pod or Container", fsGroup and fsGroupChangePolicy.
"""

from __future__ import annotations

import errno
import os
import stat

READ_WRITE, READ_ONLY, EXECUTE = 0o660, 0o440, 0o110
ON_ROOT_MISMATCH = "OnRootMismatch"


def give_to_group(path: str, group: int, *, policy: str | None, read_only: bool = False) -> None:
    """Lets the group read, and write unless `read_only`, all that is below `path`; new files will be the group's too.

    Walks by open folders, so a link that is swapped meanwhile leads nowhere. With the policy OnRootMismatch nothing
    happens if the volume's own folder is right already. Raises: OSError.
    """
    if policy == ON_ROOT_MISMATCH and _is_right(os.stat(path), group, read_only):
        return
    root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for _, folders, files, folder in os.fwalk(".", topdown=False, follow_symlinks=False, dir_fd=root):
            for name in (*files, *folders):
                _give(name, folder, group, read_only)
        _give(".", root, group, read_only)  # last: a walk that was cut short is taken up again
    except RecursionError:  # the walk holds a call for each level
        raise OSError(errno.ENAMETOOLONG, "its folders are nested too deeply for fsGroup", path) from None
    finally:
        os.close(root)


def _is_right(found: os.stat_result, group: int, read_only: bool) -> bool:
    wanted = _wanted_mode(stat.S_IFDIR, read_only)
    return found.st_gid == group and found.st_mode & wanted == wanted


def _wanted_mode(kind: int, read_only: bool) -> int:
    mode = READ_ONLY if read_only else READ_WRITE
    return mode | EXECUTE | stat.S_ISGID if stat.S_ISDIR(kind) else mode


def _give(name: str, folder: int, group: int, read_only: bool) -> None:
    """Files that vanish meanwhile don't count. A link has an owner, but no mode."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if found.st_gid != group:
            os.chown(name, -1, group, dir_fd=folder, follow_symlinks=False)
        mode = stat.S_IMODE(found.st_mode) | _wanted_mode(found.st_mode, read_only)
        if stat.S_ISLNK(found.st_mode) or (mode == stat.S_IMODE(found.st_mode) and found.st_gid == group):
            return
        descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            if not stat.S_ISLNK(os.fstat(descriptor).st_mode):
                os.chmod(f"/proc/self/fd/{descriptor}", mode)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return
