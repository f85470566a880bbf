"""Reads a container's log from the files that the engine writes, across their rotations.

The `json-file` driver writes one document a line, `{"log": …, "stream": …, "time": …}`. A file that is full gets ".1"
behind its name, ".1" becomes ".2" and so on; the oldest is removed. The engine's own reader, up to version 22, loses
lines and repeats others when that happens to a log that is followed.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from apimachinery.times import format_micro_time
from kubelet.runtime.interface import LogOptions

READ_BYTES = 64 * 1024  # read at once, forwards or backwards
OPEN_ATTEMPTS = 20
RENAME_SECONDS = 0.005  # for the engine to make a new file in place of the one that it has renamed


class LogReader:
    """The lines of one log that the options select. All methods block a little: call them in a thread.

    Keeps the file that it reads open, so a rotation takes nothing away from it. A reader that is so slow that its next
    file has been removed goes on with the oldest one there is.
    """

    def __init__(self, path: Path, options: LogOptions) -> None:
        """Raises: OSError."""
        self._path = path
        self._lock = threading.Lock()  # a thread may still read when its caller was cancelled
        self._options = options
        self._since = _fixed_time(format_micro_time(options.since)) if options.since > 0 else ""
        self._rest = b""
        self._inside_line = {"stdout": False, "stderr": False}
        files = _open_all(path)
        number, offset = self._start(files)
        self._file = files[number]
        self._file.seek(offset)
        for file in files[:number] + files[number + 1 :]:
            file.close()

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def read(self) -> bytes | None:
        """Returns the next part, which may be empty; None when nothing more has been written yet."""
        with self._lock:
            return None if self._file.closed else self._next()

    def _next(self) -> bytes | None:
        data = self._file.read(READ_BYTES)
        if not data:
            if _is_same(self._file, self._path):
                return None
            data = self._file.read(READ_BYTES)  # written before it was renamed, but after the last look
            if not data:
                return b"" if self._open_next() else None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return b"".join(map(self._rendered, lines))

    def _start(self, files: list[BinaryIO]) -> tuple[int, int]:
        """Returns the number of the file to begin with, and the place in it."""
        if self._options.tail_lines is not None:
            return _tail_start(files, self._options.tail_lines)
        for number in range(len(files) - 1, 0, -1):
            if self._since and (first := _decoded(files[number].readline())) and _time(first) < self._since:
                return number, 0
        return 0, 0

    def _open_next(self) -> bool:
        """Goes on with the file that was begun when this one was full; False while that is not there."""
        try:
            files = _open_all(self._path)
        except OSError:
            return False
        inodes = [os.fstat(file.fileno()).st_ino for file in files]
        own = os.fstat(self._file.fileno()).st_ino
        number = inodes.index(own) + 1 if own in inodes else 0
        is_there = number < len(files)
        if is_there:
            self._file.close()
            self._file, self._rest = files[number], b""
        for file in files:
            if file is not self._file:
                file.close()
        return is_there

    def _rendered(self, line: bytes) -> bytes:
        """Makes the log's own line of a document; b"" when the options leave it out, or it is damaged."""
        document = _decoded(line)
        if document is None or self._options.stream not in ("", document["stream"]):
            return b""
        if self._since and _time(document) < self._since:
            return b""
        text: bytes = document["log"].encode()
        inside, self._inside_line[document["stream"]] = self._inside_line[document["stream"]], text[-1:] != b"\n"
        if self._options.timestamps and not inside:
            return _time(document).encode() + b" " + text
        return text


def _open_all(path: Path) -> list[BinaryIO]:
    """Opens the files of the log, the oldest first; again if they are renamed meanwhile. Raises: OSError."""
    for _ in range(OPEN_ATTEMPTS):
        paths = [path]
        while (older := Path(f"{path}.{len(paths)}")).exists():
            paths.append(older)
        files: list[BinaryIO] = []
        try:
            files.extend(older.open("rb", buffering=0) for older in reversed(paths))
            if all(map(_is_same, files, reversed(paths))):
                return files
        except FileNotFoundError:
            time.sleep(RENAME_SECONDS)
        for file in files:
            file.close()
    raise FileNotFoundError(f"no log at {path}")


def _is_same(file: BinaryIO, path: Path) -> bool:
    """Tells whether the open file still has this name; a name that is missing for now is taken for the same."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return True


def _tail_start(files: list[BinaryIO], count: int) -> tuple[int, int]:
    """Finds where the last `count` lines begin: the number of the file, and the place in it."""
    newest = len(files) - 1
    if count == 0:
        return newest, files[newest].seek(0, os.SEEK_END)
    ends = 0
    for number in range(newest, -1, -1):
        for start, line in _backwards(files[number]):
            document = _decoded(line)
            if document is None or (ends and not document["log"].endswith("\n")):
                continue  # a long line is written in several parts, and only the last one ends it
            if ends == count:
                return number, start + len(line) + 1
            ends += 1
    return 0, 0


def _backwards(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yields the lines of a file from the last complete one to the first, each with its place."""
    position = file.seek(0, os.SEEK_END)
    rest, end_found = b"", False
    while position:
        size = min(READ_BYTES, position)
        position -= size
        file.seek(position)
        rest, *lines = (file.read(size) + rest).split(b"\n")
        if lines and not end_found:
            lines.pop()  # what is behind the last line's end is not complete
            end_found = True
        starts = itertools.accumulate((len(line) + 1 for line in lines), initial=position + len(rest) + 1)
        yield from reversed(list(zip(starts, lines, strict=False)))
    if end_found:
        yield 0, rest


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None  # the machine lost power while it was written
    return document


def _time(document: dict[str, Any]) -> str:
    return _fixed_time(document["time"])


def _fixed_time(text: str) -> str:
    """Gives a time nine digits behind the point, as the engine's own reader does, so that times compare as texts."""
    seconds, _, fraction = text.rstrip("Z").partition(".")
    return f"{seconds}.{fraction:0<9}Z"
