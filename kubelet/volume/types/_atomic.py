"""Writes a folder of files so that readers see either all of the old content or all of the new.

Files live in `..<time>.<random>/`; `..data` is a symbolic link to it, swapped by one rename; each visible name is a
link through `..data`. Source: the layout that Kubernetes documents for mounted ConfigMaps.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

DATA = "..data"
_NEW_DATA = "..data_tmp"


@dataclass(frozen=True, slots=True)
class File:
    """`owner` is a user id; None leaves the file to the kubelet's user."""

    content: bytes
    mode: int = 0o644
    owner: int | None = None


def write(directory: str, files: Mapping[str, File], *, group: int | None = None) -> bool:
    """Makes `directory` show exactly `files` (relative path -> file); False when it did already.

    `group` owns the files and may read them, as `fsGroup` asks. Raises: OSError; ValueError for a path that leaves the
    folder.
    """
    new_files = {_checked(path): _with_group(file, group) for path, file in files.items()}
    os.makedirs(directory, mode=0o755, exist_ok=True)
    data = os.path.join(directory, DATA)
    old = os.readlink(data) if os.path.islink(data) else ""
    if old and _shows(os.path.join(directory, old), new_files):
        _link_names(directory, new_files)
        return False
    new = tempfile.mkdtemp(prefix=time.strftime("..%Y_%m_%d_%H_%M_%S."), dir=directory)
    os.chmod(new, 0o755)
    for path, file in new_files.items():
        _write_file(os.path.join(new, path), file, group)
    link = os.path.join(directory, _NEW_DATA)
    if os.path.lexists(link):
        os.unlink(link)
    os.symlink(os.path.basename(new), link)
    os.rename(link, data)
    _link_names(directory, new_files)
    for name in os.listdir(directory):
        stale = name.startswith("..") and name not in (DATA, os.path.basename(new))
        if stale and not os.path.islink(os.path.join(directory, name)):
            shutil.rmtree(os.path.join(directory, name), ignore_errors=True)
    return True


def _checked(path: str) -> str:
    parts = path.split("/")
    if not path or path.startswith("/") or ".." in parts or parts[0].startswith(".."):
        raise ValueError(f"invalid path {path!r}: must be relative and stay in the volume")
    return os.path.normpath(path)


def _with_group(file: File, group: int | None) -> File:
    """Lets the group read what the owner may."""
    if group is None:
        return file
    return replace(file, mode=file.mode | 0o040 | (0o010 if file.mode & 0o100 else 0))


def _write_file(path: str, file: File, group: int | None) -> None:
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(file.content)
        if group is not None or file.owner is not None:
            os.fchown(out.fileno(), -1 if file.owner is None else file.owner, -1 if group is None else group)
        os.fchmod(out.fileno(), file.mode)


def _shows(directory: str, new_files: Mapping[str, File]) -> bool:
    paths = set()
    for root, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(root, name)
            relative = os.path.relpath(path, directory)
            file = new_files.get(relative)
            if file is None or os.stat(path).st_mode & 0o7777 != file.mode:
                return False
            with open(path, "rb") as content:
                if content.read() != file.content:
                    return False
            paths.add(relative)
    return paths == set(new_files)


def _link_names(directory: str, new_files: Mapping[str, File]) -> None:
    """Makes one link per first path element; links of names that are gone go last, when nothing shows through them."""
    names = {path.split("/")[0] for path in new_files}
    for name in names:
        link, target = os.path.join(directory, name), os.path.join(DATA, name)
        if os.path.islink(link) and os.readlink(link) == target:
            continue
        if os.path.lexists(link):
            os.unlink(link)
        os.symlink(target, link)
    for name in os.listdir(directory):
        link = os.path.join(directory, name)
        if not name.startswith("..") and name not in names and os.path.islink(link):
            os.unlink(link)
