"""Storage of a kind that is a view of another kind: objects are stored in the other's shape and converted on the way.

Requests for other kinds never come here. A value that many clients read is converted once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import orjson

from apimachinery.meta import Object
from apimachinery.model import decode, encode
from apimachinery.resource import Resource, View
from apimachinery.selectors import FieldSelector
from apiserver.storage.cache.watchers import encode_events
from apiserver.storage.interface import Entry, ListPage, RevisionConflict, Storage, Watcher, WatchEvent

KEPT_CONVERSIONS = 1024  # values; about 1 MB of Events


class ViewStorage:
    """A Storage that converts on the way to and from the storage of the viewed kind."""

    def __init__(self, storage: Storage, view: View) -> None:
        self._storage = storage
        self._view = view
        self._of = view.of
        self._shape = lru_cache(maxsize=KEPT_CONVERSIONS)(self._convert)

    def _convert(self, value: bytes) -> bytes:
        return orjson.dumps(self._view.to_view(orjson.loads(value)))

    def _stored(self, value: bytes) -> bytes:
        """Encodes the value as the stored kind, with its defaults."""
        return encode(decode(self._of.model, orjson.dumps(self._view.from_view(orjson.loads(value)))))

    def _entry(self, entry: Entry) -> Entry:
        return entry.at(entry.revision, self._shape(entry.value))

    def _entry_or_none(self, entry: Entry | None) -> Entry | None:
        return self._entry(entry) if entry is not None else None

    def _fields(self, fields: FieldSelector | None) -> FieldSelector | None:
        if fields is None:
            return None
        names = self._view.fields
        return FieldSelector(tuple((names.get(path, path), op, value) for path, op, value in fields.requirements))

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
        stored = self._stored(value)
        return self._entry(await self._storage.create(self._of, namespace, name, stored, ttl_seconds=ttl_seconds))

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
        stored = self._stored(value)
        with self._conflicts():
            return self._entry(
                await self._storage.update(self._of, namespace, name, stored, revision, ttl_seconds=ttl_seconds)
            )

    async def delete(self, resource: Resource[Any], namespace: str, name: str, revision: int) -> Entry:
        with self._conflicts():
            return self._entry(await self._storage.delete(self._of, namespace, name, revision))

    @contextmanager
    def _conflicts(self) -> Any:
        try:
            yield
        except RevisionConflict as conflict:
            raise RevisionConflict(self._entry_or_none(conflict.current)) from None

    # Reads

    def peek(self, resource: Resource[Any], namespace: str, name: str) -> Entry | None:
        return self._entry_or_none(self._storage.peek(self._of, namespace, name))

    def latest(self, resource: Resource[Any], namespace: str, name: str) -> Entry | None:
        return self._entry_or_none(self._storage.latest(self._of, namespace, name))

    async def get(
        self, resource: Resource[Any], namespace: str, name: str, *, min_revision: int | None
    ) -> Entry | None:
        return self._entry_or_none(await self._storage.get(self._of, namespace, name, min_revision=min_revision))

    async def get_from_etcd(self, resource: Resource[Any], namespace: str, name: str) -> Entry | None:
        return self._entry_or_none(await self._storage.get_from_etcd(self._of, namespace, name))

    async def list(
        self, resource: Resource[Any], namespace: str = "", *, fields: FieldSelector | None = None, **options: Any
    ) -> ListPage:
        page = await self._storage.list(self._of, namespace, fields=self._fields(fields), **options)
        entries = [self._entry(entry) for entry in page.entries]
        return ListPage(entries, page.revision, page.continue_token, page.remaining)

    async def watch(
        self, resource: Resource[Any], namespace: str = "", *, fields: FieldSelector | None = None, **options: Any
    ) -> Watcher:
        watcher = await self._storage.watch(self._of, namespace, fields=self._fields(fields), **options)
        return _ViewWatcher(watcher, self)

    def event(self, event: WatchEvent) -> WatchEvent:
        """Converts an event, bookmarks too: they carry the kind."""
        return WatchEvent(event.type, self._entry(event.entry), event.revision)


class _ViewWatcher:
    def __init__(self, watcher: Watcher, storage: ViewStorage) -> None:
        self._watcher = watcher
        self._storage = storage
        self._events = self.events()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return encode_events(await anext(self._events))

    async def events(self) -> AsyncIterator[Sequence[WatchEvent]]:
        async for events in self._watcher.events():
            yield [self._storage.event(event) for event in events]

    def close(self) -> None:
        self._watcher.close()
