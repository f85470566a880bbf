"""Storage as the API server uses it: writes go to etcd, reads and watches are served from the cache.

A write returns as soon as etcd has it. A following consistent read sees it, because it asks etcd for its revision
and waits until the cache has got there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from apimachinery.meta import Object
from apimachinery.resource import Resource
from apimachinery.selectors import FieldSelector, Selector
from apiserver.storage.cache.cacher import Cacher
from apiserver.storage.cache.filters import Filter
from apiserver.storage.cache.splice import replace_revision, without_revision
from apiserver.storage.cache.table import Table
from apiserver.storage.cache.watchers import CacheWatcher, bookmark, current_state, replay
from apiserver.storage.compactor import Compactor
from apiserver.storage.etcd import EtcdClient, EtcdConfig, LeaseNotFound
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
from apiserver.storage.listing import Listing
from etcdclient import messages as wire


class Storage:
    """One per API server. Register every resource, then `start` (or `run` in a TaskGroup), then use it.

    `namespace` is "" for cluster-scoped resources and for lists and watches of all namespaces.
    """

    def __init__(self, config: EtcdConfig) -> None:
        self._etcd = EtcdClient(config)
        self._cacher = Cacher(self._etcd)
        self._leases = LeasePool(self._etcd.grant_lease, time.monotonic)
        self._listing = Listing(self._etcd, self._cacher)
        self._task: asyncio.Task[None] | None = None

    def register(self, resource: Resource[Any]) -> None:
        """Raises: ValueError when another resource is stored at the same keys."""
        self._cacher.register(resource)

    @property
    def ready(self) -> bool:
        """Loaded, and following etcd at this moment; when not, stale reads still work."""
        return self._cacher.connected

    @property
    def loaded(self) -> bool:
        """Whether the cache has been read."""
        return self._cacher.loaded.is_set()

    async def run(self) -> None:
        """Keeps the cache, and etcd's history short, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._cacher.run())
                group.create_task(Compactor(self._etcd).run())
        finally:
            await self._etcd.close()

    async def wait_loaded(self) -> None:
        """Returns once the cache has been read; waits for etcd as long as it takes."""
        await self._cacher.loaded.wait()

    async def start(self) -> None:
        """Runs in the background and returns when loaded. `stop` it."""
        self._task = asyncio.create_task(self.run())
        loaded = asyncio.ensure_future(self.wait_loaded())
        try:
            await asyncio.wait({loaded, self._task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            loaded.cancel()
        if self._task.done():
            await self._task

    async def stop(self) -> None:
        """Ends every watch and closes the connections."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

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
        """Stores a new object. `value` is its encoding without resourceVersion, kind, apiVersion and metadata first.

        `obj`, the object `value` encodes, saves decoding it for its labels and fields. With `ttl_seconds` it vanishes
        by itself.
        Raises: KeyExists, ValueTooLarge, StorageUnavailable.
        """
        table = self._cacher.table(resource)
        key = table.key(namespace, name)
        result = await self._put(key, value, 0, ttl_seconds)
        if not result.succeeded:
            raise KeyExists(key)
        return self._cacher.expect(table.make_entry(key, value, result.revision, obj))

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
        table = self._cacher.table(resource)
        key = table.key(namespace, name)
        known = self._cacher.latest(table, key)
        if known and known.revision == revision and not ttl_seconds and without_revision(known.value) == value:
            result = await self._etcd.check(key.encode(), revision)
            if result.succeeded:
                return known
        else:
            result = await self._put(key, value, revision, ttl_seconds)
        if not result.succeeded:
            raise self._conflict(table, key, result)
        return self._cacher.expect(table.make_entry(key, value, result.revision, obj))

    async def delete(self, resource: Resource[Any], namespace: str, name: str, revision: int) -> Entry:
        """Removes what is stored at `revision`; returns its last state, under the revision of the deletion.

        Raises: RevisionConflict, StorageUnavailable.
        """
        table = self._cacher.table(resource)
        key = table.key(namespace, name)
        result = await self._etcd.delete(key.encode(), revision)
        if not result.succeeded or result.kv is None:
            raise self._conflict(table, key, result)
        known = self._cacher.latest(table, key)
        if known is not None and known.revision == revision:
            return known.at(result.revision, replace_revision(known.value, result.revision))
        return table.make_entry(key, result.kv.value, result.revision)

    async def _put(self, key: str, value: bytes, revision: int, ttl_seconds: int) -> wire.TxnResult:
        if not ttl_seconds:
            return await self._etcd.put(key.encode(), value, revision)
        try:
            return await self._etcd.put(key.encode(), value, revision, await self._leases.lease(ttl_seconds))
        except LeaseNotFound:  # etcd was away for longer than the lease lasted; nothing has been written
            self._leases.forget(ttl_seconds)
            return await self._etcd.put(key.encode(), value, revision, await self._leases.lease(ttl_seconds))

    # Reads

    def peek(self, resource: Resource[Any], namespace: str, name: str) -> Entry | None:
        """What the cache has, without any I/O: possibly a little stale."""
        table = self._cacher.table(resource)
        return table.entries.get(table.key(namespace, name))

    def latest(self, resource: Resource[Any], namespace: str, name: str) -> Entry | None:
        """Like `peek`, but with this server's own writes: what a write starts from, as whoever writes one object again
        and again would else find it stale each time."""
        table = self._cacher.table(resource)
        return self._cacher.latest(table, table.key(namespace, name))

    def changed(self, resource: Resource[Any]) -> int:
        """The revision of the resource's last change in the cache: equal numbers mean equal lists from memory."""
        return self._cacher.table(resource).changed

    def snapshot(self, resource: Resource[Any]) -> list[Entry]:
        """Everything of a resource that the cache has, without any I/O, in no order."""
        return list(self._cacher.table(resource).entries.values())

    async def get(
        self, resource: Resource[Any], namespace: str, name: str, *, min_revision: int | None
    ) -> Entry | None:
        """None: as of now, whoever wrote last. 0: whatever the cache has. N: the cache, at N or later.

        Raises: RevisionTooLarge, StorageUnavailable.
        """
        if min_revision is None:
            try:
                await self._cacher.catch_up()
            except RevisionTooLarge:
                return await self.get_from_etcd(resource, namespace, name)
        elif min_revision:
            await self._cacher.wait_for(min_revision)
        return self.peek(resource, namespace, name)

    async def get_from_etcd(self, resource: Resource[Any], namespace: str, name: str) -> Entry | None:
        """Past the cache, for who has to know what is stored right now. Raises: StorageUnavailable."""
        table = self._cacher.table(resource)
        key = table.key(namespace, name)
        page = await self._etcd.range(key.encode())
        return table.make_entry(key, page.kvs[0].value, page.kvs[0].mod_revision) if page.kvs else None

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
        """A list or a page of it; see `Listing.page` for what `revision` and `match` ask for.

        Raises: Compacted, RevisionTooLarge, BadContinueToken, StorageUnavailable.
        """
        selection = Filter(namespace, labels, fields)
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
        """Starts a watch; close it when done.

        `revision` N: what happens after N. None or 0: first everything there is as ADDED, as of now or as the cache
        has it. `initial_events` True does so whatever the revision (which then is the least one), and marks the end of
        it with a bookmark where the watch has them; False starts at once with what happens next.
        Raises: Compacted when N is no longer kept, RevisionTooLarge, StorageUnavailable.
        """
        if not self._cacher.loaded.is_set():
            raise StorageUnavailable("the watch cache is not loaded yet")
        if revision is None:
            await self._cacher.wait_for(await self._cacher.current_revision())
        elif initial_events:
            await self._cacher.wait_for(revision)
        table, selection = self._cacher.table(resource), Filter(namespace, labels, fields)
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
        """The store's revision, no older than the moment of the call. Raises: StorageUnavailable."""
        return await self._cacher.current_revision()

    def _conflict(self, table: Table, key: str, result: wire.TxnResult) -> RevisionConflict:
        kv = result.kv
        return RevisionConflict(table.make_entry(key, kv.value, kv.mod_revision) if kv else None)
