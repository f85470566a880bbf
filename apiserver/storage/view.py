"""Storage of a kind that is a view of another kind: objects are stored in the other's shape and converted on the way.

Requests for other kinds never come here. A value that many clients read is converted once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

import orjson

from apimachinery.errors import StatusError
from apimachinery.meta import Object
from apimachinery.model import decode, encode
from apimachinery.resource import Resource, View
from apimachinery.selectors import FieldSelector
from apiserver.storage.cache.describe import Describer
from apiserver.storage.cache.ring import TableChange
from apiserver.storage.cache.selection import Selection
from apiserver.storage.cache.watchers import bookmark, encode_events
from apiserver.storage.interface import (
    BOOKMARK,
    DELETED,
    Entry,
    ListPage,
    RevisionConflict,
    Storage,
    Watcher,
    WatchEvent,
)

NO_FIELDS: Mapping[str, str] = {}
EVERYTHING = FieldSelector()
KEPT_CONVERSIONS = 1024  # values; about 1 MB of Events


class Conversion(Protocol):
    """Brings encoded objects from the form that is stored into the one that is shown, and back."""

    def at_once(self, value: bytes) -> bytes | None:
        """Returns the object as it is shown; None where that would need waiting, or fails."""
        ...

    async def to_view(self, values: Sequence[bytes]) -> list[bytes]:
        """Returns the objects as they are shown. Raises: StatusError."""
        ...

    async def to_stored(self, value: bytes) -> bytes:
        """Raises: StatusError."""
        ...


class ViewConversion:
    """The conversion of a kind's `View`."""

    def __init__(self, view: View) -> None:
        self._view = view
        self.at_once: Callable[[bytes], bytes] = lru_cache(maxsize=KEPT_CONVERSIONS)(self._convert)

    def _convert(self, value: bytes) -> bytes:
        return orjson.dumps(self._view.to_view(orjson.loads(value)))

    async def to_view(self, values: Sequence[bytes]) -> list[bytes]:
        return list(map(self.at_once, values))

    async def to_stored(self, value: bytes) -> bytes:
        """Encodes the value as the stored kind, with its defaults."""
        return encode(decode(self._view.of.model, orjson.dumps(self._view.from_view(orjson.loads(value)))))


class ViewStorage:
    """A Storage that converts on the way to and from the storage of the viewed kind, `of`.

    `fields` are the field selectors that have another name there.
    """

    def __init__(
        self, storage: Storage, of: Resource[Any], conversion: Conversion, fields: Mapping[str, str] = NO_FIELDS
    ) -> None:
        self._storage = storage
        self._of = of
        self._conversion = conversion
        self._field_names = fields

    async def _entries(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        values = await self._conversion.to_view([entry.value for entry in entries])
        return [entry.at(entry.revision, value) for entry, value in zip(entries, values, strict=True)]

    async def _entry(self, entry: Entry) -> Entry:
        return (await self._entries([entry]))[0]

    async def _entry_or_none(self, entry: Entry | None) -> Entry | None:
        return await self._entry(entry) if entry is not None else None

    def _entry_at_once(self, entry: Entry | None) -> Entry | None:
        value = self._conversion.at_once(entry.value) if entry is not None else None
        return entry.at(entry.revision, value) if entry is not None and value is not None else None

    def _split(self, resource: Resource[Any], fields: FieldSelector) -> tuple[FieldSelector, Selection]:
        """Splits a selector into what is told by the stored form, and by that which is shown: versions of a custom
        resource have fields of their own."""
        own = resource.fields if resource.schema is not None else {}
        names = self._field_names
        stored = [(names.get(path, path), op, value) for path, op, value in fields.requirements if path not in own]
        shown = tuple(requirement for requirement in fields.requirements if requirement[0] in own)
        return FieldSelector(tuple(stored)), Selection("", None, FieldSelector(shown))

    # Writes

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
        stored = await self._conversion.to_stored(value)
        return await self._entry(await self._storage.create(self._of, namespace, name, stored, ttl_seconds=ttl_seconds))

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
        stored = await self._conversion.to_stored(value)
        try:
            entry = await self._storage.update(self._of, namespace, name, stored, revision, ttl_seconds=ttl_seconds)
        except RevisionConflict as conflict:
            raise RevisionConflict(await self._entry_or_none(conflict.current)) from None
        return await self._entry(entry)

    async def delete(self, resource: Resource[Any], namespace: str, name: str, revision: int) -> Entry:
        try:
            return await self._entry(await self._storage.delete(self._of, namespace, name, revision))
        except RevisionConflict as conflict:
            raise RevisionConflict(await self._entry_or_none(conflict.current)) from None

    # Reads

    def peek(self, resource: Resource[Any], namespace: str, name: str) -> Entry | None:
        return self._entry_at_once(self._storage.peek(self._of, namespace, name))

    def latest(self, resource: Resource[Any], namespace: str, name: str) -> Entry | None:
        return self._entry_at_once(self._storage.latest(self._of, namespace, name))

    async def get(
        self, resource: Resource[Any], namespace: str, name: str, *, min_revision: int | None
    ) -> Entry | None:
        entry = await self._storage.get(self._of, namespace, name, min_revision=min_revision)
        return await self._entry_or_none(entry)

    async def get_from_etcd(self, resource: Resource[Any], namespace: str, name: str) -> Entry | None:
        return await self._entry_or_none(await self._storage.get_from_etcd(self._of, namespace, name))

    async def list(
        self,
        resource: Resource[Any],
        namespace: str = "",
        *,
        fields: FieldSelector | None = None,
        **options: Any,
    ) -> ListPage:
        """A page has fewer objects than its limit where only the form that is shown tells which are selected."""
        stored, selection = self._split(resource, fields or EVERYTHING)
        page = await self._storage.list(self._of, namespace, fields=stored, **options)
        entries = await self._entries(page.entries)
        if not selection.selective:
            return ListPage(entries, page.revision, page.continue_token, page.remaining)
        selected = list(filter(selection.selects, _described(resource, entries)))
        return ListPage(selected, page.revision, page.continue_token)

    async def watch(
        self,
        resource: Resource[Any],
        namespace: str = "",
        *,
        fields: FieldSelector | None = None,
        **options: Any,
    ) -> Watcher:
        stored, selection = self._split(resource, fields or EVERYTHING)
        watcher = await self._storage.watch(self._of, namespace, fields=stored, **options)
        return _ViewWatcher(watcher, self, resource, selection)

    async def shown(
        self, resource: Resource[Any], events: Sequence[WatchEvent], selection: Selection
    ) -> Sequence[WatchEvent]:
        """Converts the events that concern a selection. Bookmarks are made anew, as they carry the kind."""
        changes = [event for event in events if event.type != BOOKMARK]
        entries = iter(await self._entries([event.entry for event in changes]))
        previous: Iterator[Entry] = iter(())
        if selection.selective:
            before = [entry for event in changes if (entry := _previous(event)) is not None]
            previous = _described(resource, await self._entries(before))
            entries = _described(resource, list(entries))
        shown: list[WatchEvent] = []
        for event in events:
            if event.type == BOOKMARK:
                is_end = b"initial-events-end" in event.entry.value
                shown.append(bookmark(resource, event.revision, initial_events_end=is_end))
            elif not selection.selective:
                shown.append(WatchEvent(event.type, next(entries), event.revision))
            else:
                old = next(previous) if _previous(event) is not None else None
                seen = selection.event(TableChange(event.type, next(entries), event.revision, old))
                shown += [seen] if seen is not None else []
        return shown


def _described(resource: Resource[Any], entries: Sequence[Entry]) -> Iterator[Entry]:
    """Gives entries the selectable fields that they have in this form."""
    describer = Describer(resource)
    for entry in entries:
        labels, fields = describer.describe(entry.value)
        yield Entry(entry.key, entry.namespace, entry.name, entry.revision, entry.value, labels, fields)


def _previous(event: WatchEvent) -> Entry | None:
    """Returns the object before the event; that of a deletion is the event's own."""
    if isinstance(event, TableChange):
        return event.previous
    return event.entry if event.type == DELETED else None


class _ViewWatcher:
    """A watch ends with an ERROR event where an object can't be converted."""

    def __init__(self, watcher: Watcher, storage: ViewStorage, resource: Resource[Any], selection: Selection) -> None:
        self._watcher = watcher
        self._storage = storage
        self._resource = resource
        self._selection = selection
        self._events = self.events()
        self._failed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._failed:
            raise StopAsyncIteration
        try:
            return encode_events(await anext(self._events))
        except StatusError as error:
            self._failed = True
            return b'{"type":"ERROR","object":%b}\n' % orjson.dumps(error.to_status())

    async def events(self) -> AsyncIterator[Sequence[WatchEvent]]:
        async for events in self._watcher.events():
            if shown := await self._storage.shown(self._resource, events, self._selection):
                yield shown

    def close(self) -> None:
        self._watcher.close()
