"""Wakes readers of folders when a file in one is written, made, renamed or removed. One inotify instance serves all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from componentbase.host.libc import checked, libc

CHANGES = 0x2 | 0x40 | 0x80 | 0x100 | 0x200  # IN_MODIFY, IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE
QUEUE_BYTES = 64 * 1024  # taken at once; when the kernel's own queue is full, all readers are woken
_HEAD = struct.Struct("iIII")  # watch, mask, cookie, length of the name behind it


class FolderWatcher:
    def __init__(self) -> None:
        self._instance = -1  # a file, from the first use on
        self._readers: dict[int, list[asyncio.Event]] = {}  # by watch

    @contextlib.contextmanager
    def watching(self, folder: Path) -> Iterator[asyncio.Event]:
        """Gives an event that every change sets; the reader clears it before it looks. Raises: OSError."""
        if self._instance < 0:
            self._instance = checked(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
            asyncio.get_running_loop().add_reader(self._instance, self._take)
        watch = checked(libc.inotify_add_watch(self._instance, os.fsencode(folder), CHANGES))
        changed = asyncio.Event()
        readers = self._readers.setdefault(watch, [])
        readers.append(changed)
        try:
            yield changed
        finally:
            readers.remove(changed)
            if not readers:
                del self._readers[watch]
                libc.inotify_rm_watch(self._instance, watch)  # fails for a folder that is gone, and with it the watch

    def close(self) -> None:
        if self._instance >= 0:
            asyncio.get_running_loop().remove_reader(self._instance)
            os.close(self._instance)
            self._instance = -1

    def _take(self) -> None:
        data, offset = os.read(self._instance, QUEUE_BYTES), 0
        while offset < len(data):
            watch, _, _, name_length = _HEAD.unpack_from(data, offset)
            offset += _HEAD.size + name_length
            readers = [self._readers.get(watch, [])] if watch >= 0 else self._readers.values()
            for changed in (changed for group in readers for changed in group):
                changed.set()
