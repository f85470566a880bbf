"""Measures the disk that pods use: writable layers, logs and volumes. `du` does the walking, in a process of its own.

The figures are kept until the next measurement, as walking costs the more the more files there are.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from componentbase import logs

TIMEOUT_SECONDS = 300.0
PATHS_PER_COMMAND = 200  # a command line is limited

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class DiskUse:
    """Bytes and inodes below a path."""

    bytes: int = 0
    inodes: int = 0

    def __add__(self, other: DiskUse) -> DiskUse:
        return DiskUse(self.bytes + other.bytes, self.inodes + other.inodes)


async def measure(paths: Collection[str]) -> dict[str, DiskUse]:
    """Returns what each path holds, in its own file system; those that do not exist are left out."""
    there = await asyncio.to_thread(lambda: sorted(path for path in {*paths} if path and os.path.isdir(path)))
    found: dict[str, DiskUse] = {}
    for first in range(0, len(there), PATHS_PER_COMMAND):
        part = there[first : first + PATHS_PER_COMMAND]
        sizes, inodes = await _du(part, "--block-size=1"), await _du(part, "--inodes")
        found |= {path: DiskUse(size, inodes.get(path, 0)) for path, size in sizes.items()}
    return found


async def _du(paths: Sequence[str], unit: str) -> Mapping[str, int]:
    """Takes what `du` prints even when it fails, as it does for files that vanish meanwhile."""
    process = await asyncio.create_subprocess_exec(
        "du",
        "--summarize",
        "--one-file-system",
        "--null",
        unit,
        "--",
        *paths,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        log.warning("disk use not measured in time", paths=len(paths))
        return {}
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    rows = (line.partition("\t") for line in os.fsdecode(output).split("\0") if line)
    return {path: int(number) for number, _, path in rows}
