"""Writes the launcher's progress: one line a step, coloured only on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any, TextIO

from mini_cluster.supervision.keeper import BACKOFF, READY

Cell = str | tuple[str, str]
"""The text of a table's cell, or a text and its colour."""

BOLD, DIM, GREEN, RED, YELLOW = "1", "2", "32", "31", "33"

BAR_WIDTH = 30  # characters
PROGRESS_LINE_SECONDS = 5.0


class Console:
    """Shows progress on `stream` (standard error by default, so that a command's result can be piped)."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._quiet = quiet
        self._terminal = self._stream.isatty()
        self._progress_at = 0.0
        self._began = time.monotonic()
        self._ready: set[str] = set()

    def paint(self, text: str, colour: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self._terminal else text

    def step(self, text: str) -> None:
        """Says that something begins or has been done."""
        if not self._quiet:
            print(text, file=self._stream, flush=True)

    def title(self, text: str) -> None:
        self.step(self.paint(text, BOLD))

    def good(self, text: str) -> None:
        """Says that something that was waited for has come."""
        self.step(f"  {self.paint('ok', GREEN):<4} {text:<44} {self.paint(f'{self.seconds():6.1f} s', DIM)}")

    def warning(self, text: str) -> None:
        self.step(f"  {self.paint('!', YELLOW)}    {text}")

    def error(self, text: str) -> None:
        """Shows an error, even when quiet."""
        print(f"{self.paint('error:', RED)} {text}", file=self._stream, flush=True)

    def component(self, status: dict[str, Any]) -> None:
        """Shows a line of the supervisor's progress: a component that became ready, or died."""
        name = status.get("name")
        if name is None:
            return
        if status["state"] == READY and name not in self._ready:
            self._ready.add(name)
            self.good(f"{name} is ready")
        elif status["state"] == BACKOFF:
            self._ready.discard(name)
            self.warning(f"{name}: {status['detail']}")

    def progress(self, text: str, done: int, total: int) -> None:
        """Shows how much is done: on a terminal a bar that is drawn again, elsewhere a line now and then."""
        now, over = time.monotonic(), done >= total
        if self._quiet or (not over and now - self._progress_at < (0.1 if self._terminal else PROGRESS_LINE_SECONDS)):
            return
        self._progress_at = now
        percent = 100 * done // max(total, 1)
        if not self._terminal:
            if not over:
                self.step(f"  ..   {text} {percent} % of {total} bytes")
            return
        bar = ("=" * (percent * BAR_WIDTH // 100)).ljust(BAR_WIDTH)
        print(
            "\r\033[K" if over else f"\r\033[K  ..   {text} [{bar}] {percent:3} %",
            end="",
            file=self._stream,
            flush=True,
        )

    def table(self, head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Shows a table; each column is as wide as its longest cell."""
        lines = [[cell if isinstance(cell, tuple) else (cell, "") for cell in row] for row in (head, *rows)]
        widths = [max(len(text) for text, _ in column) + 2 for column in zip(*lines, strict=True)]
        for line in lines:
            padded = [(text.ljust(width), colour) for (text, colour), width in zip(line, widths, strict=True)]
            self.step("".join(self.paint(text, colour) if colour else text for text, colour in padded).rstrip())

    def seconds(self) -> float:
        """Returns the seconds since this console was made."""
        return time.monotonic() - self._began
