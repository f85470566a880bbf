"""Reads what is mounted from the kernel's table. Nothing is looked up behind a link at the end of a path."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

MOUNT_TABLE = "/proc/self/mountinfo"


class MountEntry(NamedTuple):
    """A mount point. `shared`: mounts below it reach those who share it."""

    path: str
    shared: bool


def mount_table() -> list[MountEntry]:
    """Lists all mounts; later ones lie over earlier ones. Raises: OSError."""
    with open(MOUNT_TABLE, encoding="utf-8", errors="surrogateescape") as file:
        rows = [line.split(" ") for line in file]
    return [
        MountEntry(_unescape(row[4]), any(field.startswith("shared:") for field in row[6 : row.index("-", 6)]))
        for row in rows
    ]


def mounts_below(path: str) -> list[str]:
    """Lists mount points at or below the path, the innermost first. Raises: OSError."""
    prefix = f"{_resolved(path)}/"
    return [entry.path for entry in reversed(mount_table()) if f"{entry.path}/".startswith(prefix)]


def is_mounted(path: str) -> bool:
    """Tells whether something is mounted at exactly this path. Raises: OSError."""
    return _resolved(path) in (entry.path for entry in mount_table())


def _resolved(path: str) -> str:
    folder, name = os.path.split(path.rstrip("/"))
    return os.path.join(os.path.realpath(folder), name)


def _unescape(text: str) -> str:
    """Undoes the kernel's octal writing of blanks and backslashes in paths."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
