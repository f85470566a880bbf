"""The log back end: a line of JSON an event, in files that are rotated by size and removed by age and number."""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from apiserver.audit.event import encode
from apiserver.audit.queue import EventQueue, QueueLimits
from componentbase import logs

AT_ONCE = 1000  # events of one write

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class LogOptions:
    path: str
    """"-" is the standard output, which is not rotated."""
    max_age_days: int = 0
    """0: of any age."""
    max_backups: int = 0
    """0: any number."""
    max_megabytes: int = 100
    queue: QueueLimits = field(default_factory=QueueLimits)


class LogBackend:
    """Writes in a thread of its own. What can't be written is lost and counted, and the next is tried again."""

    name = "log"

    def __init__(self, options: LogOptions) -> None:
        """Raises: OSError, for a file that can't be opened."""
        self.queue = EventQueue(options.queue)
        self.lost = 0
        self._file = RotatingFile(options)
        self._thread = threading.Thread(target=self._run, name="audit-log", daemon=True)
        self._thread.start()

    def close(self, seconds: float) -> None:
        """Writes what is left, for at most so long."""
        self.queue.close()
        self._thread.join(seconds)

    def _run(self) -> None:
        failing = False
        while events := self.queue.take(AT_ONCE, 0):
            try:
                self._file.write(b"".join(encode(event) + b"\n" for event in events))
                failing = False
            except OSError as error:
                self.lost += len(events)
                if not failing:
                    log.error("audit events lost", error=str(error))
                failing = True


class RotatingFile:
    """Appends to a file; a full one is renamed to NAME-TIME.EXTENSION, and the oldest of these go."""

    def __init__(self, options: LogOptions) -> None:
        self._options = options
        self._path = Path(options.path)
        self._size = 0
        self._file: BinaryIO | None = None
        self._open()

    def write(self, lines: bytes) -> None:
        """Raises: OSError; then part of the lines may be in the file."""
        if self._file is None:
            self._open()
        limit = self._options.max_megabytes * 1024 * 1024
        if limit and self._size and self._size + len(lines) > limit and self._options.path != "-":
            self._rotate()
        file = self._file
        assert file is not None
        self._size += len(lines)
        file.write(lines)
        file.flush()

    def _open(self) -> None:
        if self._options.path == "-":
            self._file = sys.stdout.buffer
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._file = os.fdopen(descriptor, "ab", buffering=0)
        self._size = os.fstat(descriptor).st_size

    def _rotate(self) -> None:
        assert self._file is not None
        self._file.close()
        self._file = None
        when = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S.%f")
        self._path.rename(self._path.with_name(f"{self._path.stem}-{when}{self._path.suffix}"))
        self._open()
        self._remove_old()

    def _remove_old(self) -> None:
        pattern = f"{self._path.stem}-????-??-??T??-??-??.??????{self._path.suffix}"
        backups = sorted(self._path.parent.glob(pattern), reverse=True)
        most, days = self._options.max_backups, self._options.max_age_days
        oldest = time.time() - days * 86_400 if days else 0.0
        for index, backup in enumerate(backups):
            if (most and index >= most) or backup.stat().st_mtime < oldest:
                backup.unlink(missing_ok=True)
