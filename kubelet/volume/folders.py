"""Makes and deletes the folders of volumes that provisioners keep on nodes.

A folder is named by its volume, and lies in a root of the kubelet's own. A name never leads out of it: only the folder
itself is opened, renamed and removed, symbolic links are not followed, and other file systems are not entered.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from apimachinery.names import dns_subdomain_errors
from componentbase import logs
from componentbase.host.mountinfo import mounts_below
from componentbase.host.removal import remove_folder

LOCAL, SHARED = "local", "shared"
LOCAL_FOLDER = "local-volumes"
"""The folder of local volumes below --root-dir."""
NEW, DELETED = ".new-", ".deleted-"
"""Begin the names of folders that are being made or removed; no volume's name begins with a dot."""

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class FolderRefusal(Exception):
    """Says why a folder isn't made or deleted; `status` is the answer's."""

    status: int
    message: str


def folder_roots(root_dir: str, shared_volumes_dir: str) -> dict[str, str]:
    """Maps kinds of folders to where they lie; nodes without a folder that all nodes share don't have that kind."""
    roots = {LOCAL: os.path.join(root_dir, LOCAL_FOLDER)}
    return roots | ({SHARED: shared_volumes_dir} if shared_volumes_dir else {})


class FolderKeeper:
    """Keeps nothing in memory: a folder is there or not. `run` removes what `delete` has put out of sight."""

    def __init__(self, roots: Mapping[str, str]) -> None:
        self._roots = roots
        self._lock = asyncio.Lock()
        self._deleted = asyncio.Event()

    async def run(self) -> None:
        """Removes deleted folders until it is cancelled, first those that an earlier process has left."""
        while True:
            self._deleted.clear()
            await self.remove_deleted()
            await self._deleted.wait()

    async def make(self, kind: str, name: str) -> str:
        """Makes the folder unless it is there, and returns its path. Raises: FolderRefusal."""
        root = self._root(kind, name)
        async with self._lock:
            await self._in_thread(_make, root, name)
        return os.path.join(root, name)

    async def delete(self, kind: str, name: str) -> None:
        """Takes the folder out of sight, at once and for good; one that isn't there is fine. Raises: FolderRefusal."""
        root = self._root(kind, name)
        async with self._lock:
            await self._in_thread(_put_away, root, name)
        self._deleted.set()

    async def remove_deleted(self) -> None:
        """Removes the folders that are out of sight; what can't be removed is tried again after the next deletion."""
        for root in self._roots.values():
            try:
                await asyncio.to_thread(_empty_bin, root)
            except OSError as error:
                log.warning("deleted folders not found", root=root, error=str(error))

    def _root(self, kind: str, name: str) -> str:
        if kind not in self._roots:
            raise FolderRefusal(404, f"this node keeps no {kind} folders")
        if problems := dns_subdomain_errors(name):
            raise FolderRefusal(400, f"invalid folder name {name!r}: {problems[0]}")
        return self._roots[kind]

    async def _in_thread(self, work: Callable[[str, str], None], root: str, name: str) -> None:
        try:
            await asyncio.to_thread(work, root, name)
        except OSError as error:
            raise FolderRefusal(500, f"{name}: {error}") from None


def _make(root: str, name: str) -> None:
    os.makedirs(root, mode=0o711, exist_ok=True)
    directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        mode = _mode(name, directory)
        if mode is None:
            new = NEW + name
            if _mode(new, directory) is None:
                os.mkdir(new, dir_fd=directory)
            os.chmod(new, 0o777, dir_fd=directory)  # a container's user may be anybody
            os.rename(new, name, src_dir_fd=directory, dst_dir_fd=directory)
            os.fsync(directory)
        elif not stat.S_ISDIR(mode):
            raise FolderRefusal(409, f"{name} is not a directory")
    finally:
        os.close(directory)


def _put_away(root: str, name: str) -> None:
    """Renames the folder: whoever dies behind that has deleted it."""
    if not os.path.isdir(root):
        return
    directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _mode(name, directory) is None:
            return
        if mounts := mounts_below(os.path.join(root, name)):
            raise FolderRefusal(409, f"{name} is in use: {mounts[0]} is mounted")
        os.rename(name, f"{DELETED}{name}-{os.urandom(4).hex()}", src_dir_fd=directory, dst_dir_fd=directory)
        os.fsync(directory)
        log.info("folder of volume deleted", root=root, name=name)
    finally:
        os.close(directory)


def _empty_bin(root: str) -> None:
    if not os.path.isdir(root):
        return
    for name in os.listdir(root):
        path = os.path.join(root, name)
        try:
            if not name.startswith(DELETED):
                continue
            if os.path.isdir(path) and not os.path.islink(path):
                remove_folder(path)
            else:
                os.unlink(path)
        except FileNotFoundError:  # another node removes what all share
            continue
        except OSError as error:  # the others go nevertheless
            log.warning("deleted folder not removed", path=path, error=str(error))


def _mode(name: str, directory: int) -> int | None:
    """Returns the mode of the entry itself, of a link too; None where there is none."""
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None
