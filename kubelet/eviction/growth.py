"""Has the kernel tell that memory in use has grown by some amount, before the next look at it is due.

Control groups of version 1 alone can; with version 2 the regular looks have to do, as upstream.
Source: the kernel's documentation, "Memory Resource Controller" (v1), "Memory thresholds".
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import ExitStack

from kubelet.cgroups.files import ROOT


async def memory_grown(room: Mapping[str, int], root: str = ROOT) -> None:
    """Returns once one of the control groups, "/" or "/kubepods", uses as many bytes more as it had room for.

    With control groups of version 2 it waits until it is cancelled. Raises: OSError, for a group that is gone.
    """
    grown, loop = asyncio.Event(), asyncio.get_running_loop()
    with ExitStack() as opened:
        for path, room_bytes in room.items() if _has_levels(root) else ():
            counter = _watch(f"{root}/memory{path}".rstrip("/"), room_bytes)
            opened.callback(os.close, counter)  # by which the kernel forgets the level
            loop.add_reader(counter, grown.set)
            opened.callback(loop.remove_reader, counter)
        await grown.wait()


def _has_levels(root: str) -> bool:
    return os.path.exists(f"{root}/memory/cgroup.event_control")


def _watch(folder: str, room_bytes: int) -> int:
    """Returns the descriptor of a counter that becomes readable. Raises: OSError."""
    counter = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    try:
        with (
            open(f"{folder}/memory.usage_in_bytes", encoding="ascii") as usage,
            open(f"{folder}/cgroup.event_control", "w", encoding="ascii") as control,
        ):
            control.write(f"{counter} {usage.fileno()} {int(usage.read()) + room_bytes}")
    except OSError:
        os.close(counter)
        raise
    return counter
