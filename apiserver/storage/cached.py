"""The storage of objects: writes go to etcd, reads and watches are served from the cache.

A write returns as soon as etcd has it. A following consistent read sees it, because it asks etcd for its revision
and waits until the cache has got there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from apimachinery.meta import Object
from apimachinery.resource import Resource
from apimachinery.selectors import FieldSelector, Selector
from apimachinery.splice import replace_revision, without_revision
from apiserver.storage.cache.cacher import Cacher
from apiserver.storage.cache.ring import TableChange
from apiserver.storage.cache.selection import Selection
from apiserver.storage.cache.table import Table
from apiserver.storage.cache.watchers import CacheWatcher, bookmark, current_state, replay
from apiserver.storage.compactor import Compactor
from apiserver.storage.etcd import LeaseNotFound, etcd_client
from apiserver.storage.interface import (
    Entry,
    KeyExists,
    ListPage,
    Match,
    RevisionConflict,
    RevisionTooLarge,
    StorageUnavailable,
    Watcher,
    WatchEvent,
)
from apiserver.storage.leases import LeasePool
from apiserver.storage.limits import DEFAULT_LIMITS, StorageLimits
from apiserver.storage.listing import ListReader
from apiserver.storage.transform import ValueTransformer
from etcdclient.client import EtcdConfig
from etcdclient.messages import TxnResult

TransformerOf = Callable[[tuple[str, str]], ValueTransformer | None]
"""(group, plural) -> how values of the resource are stored; None for as they are."""


def _none(resource: tuple[str, str]) -> None:
    return None


class CachedStorage:
    """The Storage of all resources, one per API server. Register every resource, `run` it in a task, then use it."""

    def __init__(self, config: EtcdConfig, limits: StorageLimits = DEFAULT_LIMITS) -> None:
        self._etcd = etcd_client(config)
        self._cacher = Cacher(self._etcd, limits)
        self._leases = LeasePool(self._etcd.grant_lease, time.monotonic)
        self._compactor = Compactor(self._etcd)
        self._transformer_of: TransformerOf = _none
        self._compaction_seconds = limits.compaction_seconds
        self._listing = ListReader(self._etcd, self._cacher, self._compactor, limits.etcd_page_keys)

    def register(self, resource: Resource[Any]) -> None:
        """Raises: ValueError when another resource is stored at the same keys."""
        self._cacher.register(resource)

    async def add(self, resource: Resource[Any]) -> None:
        """Registers a resource while the storage runs. Raises: StorageUnavailable, RevisionTooLarge."""
        await self._cacher.add(resource, self._transformer_of((resource.group, resource.plural)))

    async def replace(self, resource: Resource[Any]) -> None:
        """Takes another definition of a resource, and ends its watches. Raises: StorageUnavailable."""
        await self._cacher.replace(resource)

    def remove(self, resource: Resource[Any]) -> None:
        """Forgets a resource, whose objects stay in etcd, and ends its watches."""
        self._cacher.remove(resource)

    def use_transformers(
        self, transformers: Mapping[tuple[str, str], ValueTransformer], of_custom: TransformerOf = _none
    ) -> None:
        """Stores resources, by (group, plural), through these from now on; all others as they are. `of_custom` gives
        those of custom resources, also of those to come."""
        self._transformer_of = of_custom
        for table in self._cacher.tables:
            find = transformers.get if table.resource.schema is None else of_custom
            table.transformer = find((table.resource.group, table.resource.plural))

    @property
    def unreadable(self) -> int:
        """The number of objects that can't be decrypted."""
        return sum(len(table.unreadable) for table in self._cacher.tables)

    async def read_again(self) -> None:
        """Tries the objects that could not be read, after other keys have come. Raises: StorageUnavailable."""
        await self._cacher.read_again()

    @property
    def ready(self) -> bool:
        """Tells whether the cache is loaded and follows etcd at this moment; if not, stale reads still work."""
        return self._cacher.connected

    @property
    def loaded(self) -> bool:
        """Tells whether the cache has been read."""
        return self._cacher.loaded.is_set()

    async def run(self) -> None:
        """Keeps the cache up to date and etcd's history short, until cancelled; then ends every watch."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._cacher.run())
                group.create_task(self._compactor.run(self._compaction_seconds))
        finally:
            await self._etcd.close()

    async def wait_loaded(self) -> None:
        """Returns once the cache has been read; waits for etcd as long as it takes."""
        await self._cacher.loaded.wait()

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
        table = self._cacher.table(resource)
        key = table.key(namespace, name)
        result = await self._put(table, key, value, 0, ttl_seconds, obj)
        if not result.succeeded:
            raise KeyExists(key)
        return self._cacher.written(table, key, value, result.revision, obj)

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
        table = self._cacher.table(resource)
        key = table.key(namespace, name)
        entry = self._cacher.latest(table, key)
        is_same = entry and entry.revision == revision and not ttl_seconds and without_revision(entry.value) == value
        if entry and is_same and await self._is_refreshed(table, key, revision):
            return entry
        result = await self._put(table, key, value, revision, ttl_seconds, obj)
        if not result.succeeded:
            raise self._conflict(table, key, result)
        return self._cacher.written(table, key, value, result.revision, obj)

    async def delete(self, resource: Resource[Any], namespace: str, name: str, revision: int) -> Entry:
        table = self._cacher.table(resource)
        key = table.key(namespace, name)
        entry = self._cacher.latest(table, key)  # before: once the object is gone, it may be too late to decrypt it
        result = await self._etcd.delete(key.encode(), revision)
        if not result.succeeded or result.kv is None:
            raise self._conflict(table, key, result)
        if entry is not None and entry.revision == revision:
            return entry.at(result.revision, replace_revision(entry.value, result.revision))
        return table.read_entry(key, result.kv.value, result.revision)

    async def _is_refreshed(self, table: Table, key: str, revision: int) -> bool:
        """Tells whether a write that changes nothing is not needed: the object is still at `revision`, and encrypted as
        it should be."""
        if table.transformer is None and table.resource.schema is None:
            return (await self._etcd.check(key.encode(), revision)).succeeded
        page = await self._etcd.range(key.encode())
        if not page.kvs or page.kvs[0].mod_revision != revision:
            return False
        return not table.is_stale(key, page.kvs[0].value)

    async def _put(
        self, table: Table, key: str, raw: bytes, revision: int, ttl_seconds: int, obj: Object | None
    ) -> TxnResult:
        table.sending[key] = raw, obj
        try:
            return await self._put_value(key, table.stored(key, raw), revision, ttl_seconds)
        finally:
            table.sending.pop(key, None)

    async def _put_value(self, key: str, value: bytes, revision: int, ttl_seconds: int) -> TxnResult:
        if not ttl_seconds:
            return await self._etcd.put(key.encode(), value, revision)
        try:
            return await self._etcd.put(key.encode(), value, revision, await self._leases.lease(ttl_seconds))
        except LeaseNotFound:  # etcd was away for longer than the lease lasted; nothing has been written
            self._leases.forget(ttl_seconds)
            return await self._etcd.put(key.encode(), value, revision, await self._leases.lease(ttl_seconds))

    # Reads

    def peek(self, resource: Resource[Any], namespace: str, name: str) -> Entry | None:
        table = self._cacher.table(resource)
        return table.entries.get(table.key(namespace, name))

    def latest(self, resource: Resource[Any], namespace: str, name: str) -> Entry | None:
        table = self._cacher.table(resource)
        return self._cacher.latest(table, table.key(namespace, name))

    def latest_in_namespace(self, resource: Resource[Any], namespace: str) -> list[Entry]:
        """Returns what `latest` does for each object in a namespace that the cache has, in the order of their names.

        Raises: UnreadableObject, so that a rule nobody can read doesn't count as none.
        """
        table = self._cacher.table(resource)
        table.check_span_readable(*table.span(namespace))
        if not table.keys:
            return []
        entries = (self._cacher.latest(table, key) for key in table.keys_in(namespace))
        return [entry for entry in entries if entry is not None]

    def changed(self, resource: Resource[Any]) -> int:
        """Returns a number that stands for the resource's state in the cache: the same number means the same objects.
        `changes` takes it."""
        return self._cacher.table(resource).state

    def changes(self, resource: Resource[Any], after: int) -> list[TableChange]:
        """Returns the cache's changes of a resource after a state that `changed` told, in order; 0 is before the first.
        Raises: Compacted when not all of them are kept."""
        return self._cacher.table(resource).changes_after(after)

    def on_change(self, resource: Resource[Any], listener: Callable[[], None]) -> None:
        """Calls `listener` after each change of the resource's objects in the cache; it must be quick."""
        self._cacher.table(resource).listeners.append(listener)

    def count(self, resource: Resource[Any]) -> int:
        """Returns how many objects of a resource the cache has."""
        return len(self._cacher.table(resource).entries)

    def snapshot(self, resource: Resource[Any]) -> list[Entry]:
        """Returns all objects of a resource that the cache has, without I/O and in no order."""
        return list(self._cacher.table(resource).entries.values())

    async def get(
        self, resource: Resource[Any], namespace: str, name: str, *, min_revision: int | None
    ) -> Entry | None:
        if min_revision is None:
            try:
                await self._cacher.catch_up()
            except RevisionTooLarge:
                return await self.get_from_etcd(resource, namespace, name)
        elif min_revision:
            await self._cacher.wait_for(min_revision)
        entry = self.peek(resource, namespace, name)
        if entry is None:
            table = self._cacher.table(resource)
            table.check_readable(table.key(namespace, name))
        return entry

    async def get_from_etcd(self, resource: Resource[Any], namespace: str, name: str) -> Entry | None:
        table = self._cacher.table(resource)
        key = table.key(namespace, name)
        page = await self._etcd.range(key.encode())
        return table.read_entry(key, page.kvs[0].value, page.kvs[0].mod_revision) if page.kvs else None

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
        selection = Selection(namespace, labels, fields)
        return await self._listing.page(resource, selection, revision, match, limit, continue_token)

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
        if not self._cacher.loaded.is_set():
            raise StorageUnavailable("the watch cache is not loaded yet")
        if revision is None:
            await self._cacher.wait_for(await self._cacher.current_revision())
        elif initial_events:
            await self._cacher.wait_for(revision)
        table, selection = self._cacher.table(resource), Selection(namespace, labels, fields)
        end_mark: WatchEvent | None = None
        backlog: Iterator[WatchEvent] = iter(())
        if revision and not initial_events:
            backlog = replay(table.ring.after(revision), selection)
        elif initial_events is not False:
            backlog = current_state(table.page(selection, "", 0)[0])
            if initial_events and bookmarks:
                end_mark = bookmark(resource, self._cacher.revision, initial_events_end=True)
        return CacheWatcher(
            resource,
            self._cacher.hub(resource),
            self._cacher.progress,
            selection,
            backlog,
            after=revision or 0,
            bookmarks=bookmarks,
            end_mark=end_mark,
            timeout_seconds=timeout_seconds,
        )

    async def current_revision(self) -> int:
        """Returns the store's revision, no older than the moment of the call. Raises: StorageUnavailable."""
        return await self._cacher.current_revision()

    async def catch_up(self) -> None:
        """Returns once `snapshot` shows every write acknowledged before the call. Raises: RevisionTooLarge."""
        await self._cacher.catch_up()

    def _conflict(self, table: Table, key: str, result: TxnResult) -> RevisionConflict:
        kv = result.kv
        return RevisionConflict(table.read_entry(key, kv.value, kv.mod_revision) if kv else None)
