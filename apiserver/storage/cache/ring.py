"""The recent changes of one resource, from which watches resume and old pages of a list are rebuilt."""

from __future__ import annotations

from collections import deque

from apiserver.storage.interface import Compacted, Entry, WatchEvent

RING_EVENTS = 20_000  # a resource; the oldest goes first, and a client that needs it gets 410 and lists again
RING_BYTES = 32 << 20  # a resource, counting values; most are shared with the table, so the cost is less


class TableChange(WatchEvent):
    """A change of a key: ADDED, MODIFIED or DELETED, with the object before it (None for ADDED)."""

    __slots__ = ("previous",)

    def __init__(self, type_: str, entry: Entry, revision: int, previous: Entry | None) -> None:
        super().__init__(type_, entry, revision)
        self.previous = previous


class Ring:
    """All changes after `oldest`, in order of revision."""

    def __init__(self, oldest: int, max_events: int = RING_EVENTS, max_bytes: int = RING_BYTES) -> None:
        self.oldest = oldest
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._changes: deque[TableChange] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._changes)

    def append(self, change: TableChange) -> None:
        self._changes.append(change)
        self._bytes += len(change.entry.value)
        while len(self._changes) > self._max_events or self._bytes > self._max_bytes:
            dropped = self._changes.popleft()
            self._bytes -= len(dropped.entry.value)
            self.oldest = dropped.revision

    def after(self, revision: int) -> list[TableChange]:
        """Returns the changes after a revision. Raises: Compacted when changes after `revision` have been dropped."""
        if revision < self.oldest:
            raise Compacted(f"too old resource version: {revision} ({self.oldest})")
        changes = []
        for change in reversed(self._changes):
            if change.revision <= revision:
                break
            changes.append(change)
        changes.reverse()
        return changes
