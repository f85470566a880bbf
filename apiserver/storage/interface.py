"""Storage as the rest of the API server sees it: its operations, what they return, and the ways in which they fail.

Revisions are etcd's: one counter for the whole store, raised by every write; an object's resourceVersion is the
revision of its last write (`mod_revision`). Values are encoded JSON whose `metadata` starts with that resourceVersion.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from apimachinery.meta import Object
from apimachinery.resource import Resource
from apimachinery.selectors import FieldSelector, Selector

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

    def __init__(self, requested: int, current: int) -> None:
        super().__init__(f"Too large resource version: {requested}, current: {current}")
        self.requested = requested
        self.current = current


class BadContinueToken(StorageError):
    """`continue` is not something this server gave out (400)."""


class ValueTooLarge(StorageError):
    """etcd takes no request of that size (413)."""


class UnreadableObject(StorageError):
    """What is stored can't be decrypted (500). It stays as it is until its key is known again."""


class NotStored(StorageError):
    """The kind is not stored any more: its definition has been deleted while the request was on its way."""


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
        """Returns every selectable field: the kind's own, metadata.name and metadata.namespace."""
        return {**self._fields, "metadata.name": self.name, "metadata.namespace": self.namespace}

    def field(self, path: str) -> str:
        """Returns one selectable field; "" when the kind has no such field."""
        if path == "metadata.name":
            return self.name
        if path == "metadata.namespace":
            return self.namespace
        return self._fields.get(path, "")

    def at(self, revision: int, value: bytes) -> Entry:
        """Returns the same object under another revision (a deletion's); `value` carries that revision already."""
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

    def items(self, resource: Resource[Any]) -> Iterator[bytes]:
        """Yields the content of a JSON array: values joined by commas, in pieces of about BODY_PIECE_BYTES.

        The list says what they are: they go without their own `kind` and `apiVersion`, which every value begins with.
        """
        head = b'{"kind":"%b","apiVersion":"%b",' % (resource.kind.encode(), resource.api_version.encode())
        if resource.schema is not None:
            head = b"{"  # clients have no types for custom resources
        skipped = len(head)
        piece: list[bytes] = []
        size = 0
        separator = b"{"
        for entry in self.entries:
            value = entry.value
            piece.append(value[skipped:] if value.startswith(head) else value[1:])
            size += len(value)
            if size >= BODY_PIECE_BYTES:
                yield separator + b",{".join(piece)
                piece, size, separator = [], 0, b",{"
        if piece:
            yield separator + b",{".join(piece)


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
        """Yields the same before encoding, for Tables; a bookmark has type BOOKMARK and an almost empty object."""
        ...

    def close(self) -> None: ...


class Storage(Protocol):
    """Objects by resource, namespace and name.

    `namespace` is "" for cluster-scoped resources and for lists and watches of all namespaces.
    """

    async def create(
        self,
        resource: Resource[Any],
        namespace: str,
        name: str,
        value: bytes,
        *,
        obj: Object | None = None,
        ttl_seconds: int = 0,
    ) -> Entry:
        """Stores a new object. `value` is its encoding without resourceVersion; kind, apiVersion and metadata come
        first.

        `obj`, the object that `value` encodes, saves decoding it for its labels and fields. With `ttl_seconds` it
        vanishes by itself.
        Raises: KeyExists, ValueTooLarge, StorageUnavailable.
        """
        ...

    async def update(
        self,
        resource: Resource[Any],
        namespace: str,
        name: str,
        value: bytes,
        revision: int,
        *,
        obj: Object | None = None,
        ttl_seconds: int = 0,
    ) -> Entry:
        """Replaces what is stored at `revision`. A value that changes nothing is not written and keeps its revision.

        Raises: RevisionConflict, ValueTooLarge, StorageUnavailable.
        """
        ...

    async def delete(self, resource: Resource[Any], namespace: str, name: str, revision: int) -> Entry:
        """Removes what is stored at `revision`; returns its last state, under the revision of the deletion.

        Raises: RevisionConflict, StorageUnavailable.
        """
        ...

    def peek(self, resource: Resource[Any], namespace: str, name: str) -> Entry | None:
        """Returns what the cache has, without I/O: possibly a little stale."""
        ...

    def latest(self, resource: Resource[Any], namespace: str, name: str) -> Entry | None:
        """Returns what `peek` does, or an own write that is newer, so that writes to one object do not conflict."""
        ...

    async def get(
        self, resource: Resource[Any], namespace: str, name: str, *, min_revision: int | None
    ) -> Entry | None:
        """Reads from the cache: as of now (None), whatever it has (0), or at revision N or later.

        Raises: RevisionTooLarge, UnreadableObject, StorageUnavailable.
        """
        ...

    async def get_from_etcd(self, resource: Resource[Any], namespace: str, name: str) -> Entry | None:
        """Reads past the cache, for callers that have to know what is stored now. Raises: UnreadableObject,
        StorageUnavailable."""
        ...

    async def list(
        self,
        resource: Resource[Any],
        namespace: str = "",
        *,
        labels: Selector | None = None,
        fields: FieldSelector | None = None,
        revision: int | None = None,
        match: Match = "",
        limit: int = 0,
        continue_token: str = "",
    ) -> ListPage:
        """Returns a list or a page of it; `ListReader.page` explains `revision` and `match`.

        Raises: Compacted, RevisionTooLarge, BadContinueToken, UnreadableObject, StorageUnavailable.
        """
        ...

    async def watch(
        self,
        resource: Resource[Any],
        namespace: str = "",
        *,
        labels: Selector | None = None,
        fields: FieldSelector | None = None,
        revision: int | None = None,
        bookmarks: bool = False,
        initial_events: bool | None = None,
        timeout_seconds: float | None = None,
    ) -> Watcher:
        """Starts a watch; close it when done.

        With `revision` N it brings what happens after N. With None or 0 it first brings every stored object as ADDED,
        as of now or as the cache has it. `initial_events` True does so whatever the revision (which then is the
        minimum), and marks the end of these events with a bookmark where the watch has bookmarks; False starts at once
        with what happens next.
        Raises: Compacted when N is no longer kept, RevisionTooLarge, UnreadableObject, StorageUnavailable.
        """
        ...
