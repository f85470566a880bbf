"""What the rest of the API server sees of storage: entries, pages, watchers and the ways an operation fails.

Revisions are etcd's: one counter for the whole store, raised by every write; an object's resourceVersion is the
revision of its last write (`mod_revision`). Values are encoded JSON whose `metadata` starts with that resourceVersion.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

ADDED = "ADDED"
MODIFIED = "MODIFIED"
DELETED = "DELETED"
BOOKMARK = "BOOKMARK"

Match = Literal["", "Exact", "NotOlderThan"]

BODY_PIECE_BYTES = 1 << 20  # lists and initial events are handed out in pieces of about this size


class StorageError(Exception):
    """Base of everything an operation on storage raises."""


class KeyExists(StorageError):
    """A create found the key taken."""


class RevisionConflict(StorageError):
    """An update or delete expected another revision; `current` is what is stored now, None when nothing is."""

    def __init__(self, current: Entry | None) -> None:
        super().__init__("nothing is stored" if current is None else f"stored at revision {current.revision}")
        self.current = current


class Compacted(StorageError):
    """The revision asked for is no longer kept: the client has to list again (410).

    `continue_token` is set when a continued list outlived its snapshot: with it the client may take the rest of the
    list as it is now, at the price of an inconsistent whole.
    """

    def __init__(self, message: str, continue_token: str = "") -> None:
        super().__init__(message)
        self.continue_token = continue_token


class RevisionTooLarge(StorageError):
    """The revision asked for is not reached in time; the client may retry (504, cause ResourceVersionTooLarge)."""

    def __init__(self, wanted: int, current: int) -> None:
        super().__init__(f"Too large resource version: {wanted}, current: {current}")
        self.wanted = wanted
        self.current = current


class BadContinueToken(StorageError):
    """`continue` is not something this server gave out (400)."""


class ValueTooLarge(StorageError):
    """etcd takes no request of that size (413)."""


class StorageUnavailable(StorageError):
    """etcd does not answer. A write that fails so may or may not have happened (as with any lost connection)."""


class Entry:
    """An object as it is stored and served; never changed after it is made.

    `value` is the encoded JSON with resourceVersion. `labels` may be shared between entries: never change them.
    """

    __slots__ = ("_fields", "key", "labels", "name", "namespace", "revision", "value")

    def __init__(
        self,
        key: str,
        namespace: str,
        name: str,
        revision: int,
        value: bytes,
        labels: Mapping[str, str],
        fields: Mapping[str, str],
    ) -> None:
        self.key = key
        self.namespace = namespace
        self.name = name
        self.revision = revision
        self.value = value
        self.labels = labels
        self._fields = fields

    @property
    def fields(self) -> Mapping[str, str]:
        """Every selectable field: the kind's own, metadata.name and metadata.namespace."""
        return {**self._fields, "metadata.name": self.name, "metadata.namespace": self.namespace}

    def field(self, path: str) -> str:
        """One selectable field; "" when the kind has no such field."""
        if path == "metadata.name":
            return self.name
        if path == "metadata.namespace":
            return self.namespace
        return self._fields.get(path, "")

    def at(self, revision: int, value: bytes) -> Entry:
        """The same object under another revision (a deletion's); `value` carries that revision already."""
        return Entry(self.key, self.namespace, self.name, revision, value, self.labels, self._fields)

    def __repr__(self) -> str:
        return f"<Entry {self.key} @{self.revision}>"


@dataclass(frozen=True, slots=True)
class ListPage:
    """A list, or one page of it, as of `revision`.

    `continue_token` is "" on the last page; `remaining` counts what follows, None where that would need a scan.
    """

    entries: Sequence[Entry]
    revision: int
    continue_token: str = ""
    remaining: int | None = None

    def items(self) -> Iterator[bytes]:
        """The values joined by commas, in pieces of about BODY_PIECE_BYTES: what stands between "[" and "]"."""
        piece: list[bytes] = []
        size = 0
        separator = b""
        for entry in self.entries:
            piece.append(entry.value)
            size += len(entry.value)
            if size >= BODY_PIECE_BYTES:
                yield separator + b",".join(piece)
                piece, size, separator = [], 0, b","
        if piece:
            yield separator + b",".join(piece)


class WatchEvent:
    """One change as a watcher sees it; `entry` is the object afterwards, or its last state for DELETED."""

    __slots__ = ("entry", "revision", "type")

    def __init__(self, type_: str, entry: Entry, revision: int) -> None:
        self.type = type_
        self.entry = entry
        self.revision = revision

    def __repr__(self) -> str:
        return f"<{self.type} {self.entry.key} @{self.revision}>"


class Watcher(Protocol):
    """A running watch: `async for chunk in watcher` gives newline-delimited encoded events, several when behind.

    It ends by itself when its time is over, when it fell behind by more than its buffer, and when its revision can't
    be resumed after a rebuild of the cache; the client then watches again from the last revision it saw. Iterate it as
    chunks or as `events()`, not both. Always `close()` it.
    """

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def __anext__(self) -> bytes: ...

    def events(self) -> AsyncIterator[Sequence[WatchEvent]]:
        """The same stream before encoding, for Tables; a bookmark has type BOOKMARK and an almost empty object."""
        ...

    def close(self) -> None: ...
