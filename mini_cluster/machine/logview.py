"""Shows the end of a component's log, and goes on as it grows."""

from __future__ import annotations

import os
import time
from collections import deque
from pathlib import Path
from typing import IO, TextIO

from mini_cluster.cluster.layout import Layout
from mini_cluster.errors import LauncherError

FOLLOW_SECONDS = 0.2  # between looks at a log that is followed


class LogError(LauncherError):
    """There is no such log."""


def log_names(layout: Layout) -> list[str]:
    """Returns the names of components that have written a log."""
    return sorted(path.stem for path in layout.logs.glob("*.log"))


def last_lines(layout: Layout, component: str, count: int) -> str:
    """Returns the end of a component's log; "" when it has none."""
    try:
        with layout.log(component).open(errors="replace") as file:
            return "".join(deque(file, maxlen=count)).rstrip("\n")
    except FileNotFoundError:
        return ""


def show_log(layout: Layout, component: str, lines: int, *, follow: bool, out: TextIO) -> None:
    """Writes the last `lines` (negative: all) to `out`; with `follow` until interrupted.

    Raises: LogError.
    """
    path = layout.log(component)
    if not path.is_file():
        names = ", ".join(log_names(layout)) or "none yet"
        raise LogError(f"there is no log of {component!r} (logs: {names})")
    file = path.open(errors="replace")
    try:
        for line in file if lines < 0 else deque(file, maxlen=lines):
            out.write(line)
        out.flush()
        while follow:
            chunk = file.read()
            if chunk:
                out.write(chunk)
                out.flush()
            elif _was_replaced(path, file):
                file.close()
                file = path.open(errors="replace")
            else:
                time.sleep(FOLLOW_SECONDS)
    finally:
        file.close()


def _was_replaced(path: Path, file: IO[str]) -> bool:
    """Tells whether the log was full and has been renamed, and a new one begun in its place."""
    try:
        return os.stat(path).st_ino != os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return False
