"""Packs and unpacks tar streams for `cp`: writes nothing outside of the destination, nor through a link."""

from __future__ import annotations

import os
import posixpath
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

CHUNK_BYTES = 32 * 1024

Warn = Callable[[str], None]


class _Writer:
    """Lets tarfile write to a function."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send

    def write(self, data: bytes) -> int:
        self._send(bytes(data))
        return len(data)


def pack(source: Path, name: str, send: Callable[[bytes], None], warn: Warn) -> None:
    """Sends the file or the tree under `name`; links stay links. Raises: OSError."""
    with tarfile.open(fileobj=cast(BinaryIO, _Writer(send)), mode="w|", bufsize=CHUNK_BYTES) as archive:
        for path, member in _walk(source, name):
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode):
                archive.add(path, member, recursive=False)
            else:
                warn(f"skipping {path}: neither a file nor a folder nor a link")


def _walk(source: Path, name: str) -> Iterator[tuple[Path, str]]:
    yield source, name
    if source.is_dir() and not source.is_symlink():
        for entry in sorted(source.iterdir()):
            yield from _walk(entry, f"{name}/{entry.name}")


def unpack(stream: BinaryIO, prefix: str, target: Path, warn: Warn, skipped_link: Callable[[str, str], None]) -> int:
    """Writes what lies at or below `prefix` in the archive to or below `target`, and returns the number of entries.

    A single file goes into a `target` that is a folder. Links are not made: one to a place outside could be written
    through by a later entry.
    Raises: tarfile.TarError, OSError.
    """
    count = 0
    prefix = _clean(prefix)
    base = Path(os.path.realpath(target))
    with tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK_BYTES) as archive:
        for member in archive:
            name = _clean(member.name)
            if name != prefix and prefix != "." and not name.startswith(prefix + "/"):
                warn(f"tar contents corrupted: {member.name} is not below {prefix}")
                continue
            count += 1
            rest = name[len(prefix) :].lstrip("/") if prefix != "." else name
            place = base.joinpath(*PurePosixPath(rest).parts) if rest not in ("", ".") else base
            if place == base and member.isfile() and base.is_dir():
                place = base / posixpath.basename(name)
            if member.issym() or member.islnk():
                skipped_link(member.name, member.linkname)
            elif not _inside(base, place):
                warn(f"file {member.name!r} is outside target destination, skipping")
            elif member.isdir():
                place.mkdir(parents=True, exist_ok=True)
            elif member.isfile():
                _write(archive, member, place)
            else:
                warn(f"skipping {member.name}: neither a file nor a folder")
    return count


def _clean(name: str) -> str:
    """Removes the slash in front; ".." stays, and is refused where it leads out."""
    return posixpath.normpath(name.lstrip("/") or ".")


def _inside(base: Path, place: Path) -> bool:
    """True of a place below `base`, also where folders on the way are links that were there before."""
    if place == base:
        return True
    if ".." in place.parts or place.is_symlink():
        return False
    return Path(os.path.realpath(place.parent)).is_relative_to(base)


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    content = archive.extractfile(member)
    assert content is not None  # a file has content
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with os.fdopen(os.open(place, flags, 0o666), "wb") as out:
        while data := content.read(CHUNK_BYTES):
            out.write(data)
