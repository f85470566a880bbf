"""The watch cache: every registered resource in memory, fed by one etcd watch.

The tables start from a read of all of /registry/ at one revision and follow the watch from there. When the watch
breaks, it goes on after the last revision seen; when etcd has compacted that or is another store than before, the
tables are read again and all watches end, because nobody can tell what they missed.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from itertools import count
from typing import Any

from apimachinery.meta import Object
from apimachinery.resource import Resource
from apiserver.storage.cache.ring import TableChange
from apiserver.storage.cache.shared_revision import SharedRevision
from apiserver.storage.cache.table import ROOT, Table
from apiserver.storage.cache.watchers import Progress, WatchHub
from apiserver.storage.interface import (
    Compacted,
    Entry,
    NotStored,
    RevisionTooLarge,
    StorageUnavailable,
    UnreadableObject,
)
from apiserver.storage.limits import DEFAULT_LIMITS, StorageLimits
from apiserver.storage.transform import ValueTransformer
from componentbase import logs
from etcdclient.client import EtcdClient
from etcdclient.messages import KeyChange, KeyValue, RangePage

LOAD_PAGE_KEYS = 1_000
OWN_WRITES = 1_024  # entries of own writes kept until their event arrives, to be used again; when full, all are dropped

_FIRST, _LAST = ROOT.encode(), ROOT.encode()[:-1] + b"0"

log = logs.logger(__name__)


class Cacher:
    """The tables and watch hubs of all resources. All of it runs on one loop; a change is applied without an await."""

    def __init__(self, etcd: EtcdClient, limits: StorageLimits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self.progress = Progress()
        self.loaded = asyncio.Event()  # set for good once the tables have been read and follow etcd
        self._etcd = etcd
        self._tables: dict[str, tuple[Table, WatchHub]] = {}
        self._by_resource: dict[tuple[str, str], tuple[Table, WatchHub]] = {}
        self._missed: dict[str, list[KeyChange]] = {}
        """Prefix -> the changes that come while a new table is read."""
        self._own: dict[str, Entry] = {}
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = count()
        self._cluster_id = 0
        self._newest = 0  # the highest revision that etcd ever answered, also if the watch has not got there yet
        self._stale = True
        self._shared_revision = SharedRevision(etcd)
        self.connected = False
        """Loaded, and following etcd at this moment."""

    @property
    def revision(self) -> int:
        """The revision up to which the tables hold everything."""
        return self.progress.revision

    def register(self, resource: Resource[Any]) -> Table:
        """Gives the resource a table; before `run`. Raises: ValueError when its keys are another's."""
        table = Table(resource)
        if table.storage_prefix in self._tables:
            raise ValueError(f"two resources are stored below {table.prefix}")
        self._tables[table.storage_prefix] = self._by_resource[(resource.group, resource.plural)] = (
            table,
            WatchHub(self._limits),
        )
        return table

    async def add(self, resource: Resource[Any], transformer: ValueTransformer | None = None) -> None:
        """Gives the resource a table while the cache runs, and returns once it is complete.

        Raises: StorageUnavailable, RevisionTooLarge; then there is no table.
        """
        table = self.register(resource)
        table.transformer = transformer
        missed = self._missed[table.storage_prefix] = []
        try:
            revision, entries, unreadable = await self._read_table(table)
            if revision > table.loaded:  # else all tables have been read again meanwhile
                table.load(entries, revision, unreadable)
            del self._missed[table.storage_prefix]
            self._apply(missed)
            await self.wait_for(revision)
        except BaseException:
            self._missed.pop(table.storage_prefix, None)
            self.remove(resource)
            raise

    def remove(self, resource: Resource[Any]) -> None:
        """Forgets the table of a resource, and ends its watches."""
        table, hub = self._by_resource.pop((resource.group, resource.plural))
        del self._tables[table.storage_prefix]
        hub.close()

    async def replace(self, resource: Resource[Any]) -> None:
        """Shows the objects of a resource as it is defined from now on. Ends its watches, as they began with another
        form of it.

        Raises: StorageUnavailable; then nothing has changed.
        """
        table, hub = self._by_resource[(resource.group, resource.plural)]
        stored = {_key(kv): (kv.mod_revision, kv.value) async for page in self._pages(table) for kv in page.kvs}
        table.redefine(resource, stored, self.revision)
        hub.close()

    async def _read_table(self, table: Table) -> tuple[int, list[Entry], dict[str, str]]:
        entries: list[Entry] = []
        unreadable: dict[str, str] = {}
        revision = 0
        async for page in self._pages(table):
            revision = revision or page.revision
            for kv in page.kvs:
                key = _key(kv)
                try:
                    entry = self._read(table, key, kv)
                except UnreadableObject as error:
                    unreadable[key] = str(error)
                else:
                    entries += [entry] if entry is not None else []
        return revision, entries, unreadable

    async def _pages(self, table: Table) -> AsyncIterator[RangePage]:
        """Reads what etcd holds of a table, as of the revision of the first page. Raises: StorageUnavailable."""
        first, last = (bound.encode() for bound in table.span(""))
        revision, more = 0, True
        while more:
            page = await self._etcd.range(first, last, limit=LOAD_PAGE_KEYS, revision=revision)
            revision, more = revision or page.revision, page.more
            first = page.kvs[-1].key + b"\0" if page.kvs else last
            yield page

    @property
    def tables(self) -> list[Table]:
        return [table for table, _ in self._tables.values()]

    async def read_again(self) -> None:
        """Tries the objects that could not be read, after other keys have come. Raises: StorageUnavailable."""
        for table, hub in self._tables.values():
            kvs = [kv for key in list(table.unreadable) for kv in (await self._etcd.range(key.encode())).kvs]
            if self._recover(table, kvs):
                hub.close()

    def _recover(self, table: Table, kvs: list[KeyValue]) -> bool:
        """Takes in what can be read now; returns False if nothing can."""
        entries = []
        for kv in kvs:
            key = kv.key.decode()
            if key not in table.unreadable or kv.mod_revision > self.revision:
                continue  # the watch brings what has become of it
            try:
                entries.append(table.read_entry(key, kv.value, kv.mod_revision))
            except (UnreadableObject, ValueError) as error:
                table.unreadable[key] = str(error)
        table.recover(entries, self.revision)
        return bool(entries)

    def table(self, resource: Resource[Any]) -> Table:
        """Raises: NotStored."""
        return self._of(resource)[0]

    def hub(self, resource: Resource[Any]) -> WatchHub:
        """Raises: NotStored."""
        return self._of(resource)[1]

    def _of(self, resource: Resource[Any]) -> tuple[Table, WatchHub]:
        try:
            return self._by_resource[(resource.group, resource.plural)]
        except KeyError:
            raise NotStored(f"{resource.plural}.{resource.group} is not stored any more") from None

    async def run(self) -> None:
        """Follows etcd until cancelled; then all watches end."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._shared_revision.run())
                group.create_task(self._follow())
        finally:
            for _, hub in self._tables.values():
                hub.close()

    async def current_revision(self) -> int:
        """Returns the store's revision, no older than the moment of the call. Raises: StorageUnavailable."""
        revision = await self._shared_revision.get()
        self._newest = max(self._newest, revision)
        return revision

    async def wait_for(self, revision: int) -> None:
        """Returns once the tables hold everything up to `revision`.

        Raises: RevisionTooLarge when that takes longer than the limit `fresh_seconds`.
        """
        if revision <= self.progress.revision:
            return
        waiter = (revision, next(self._order), asyncio.get_running_loop().create_future())
        heapq.heappush(self._waiters, waiter)
        try:
            async with asyncio.timeout(self._limits.fresh_seconds):
                await waiter[2]
        except TimeoutError:
            raise RevisionTooLarge(revision, self.revision) from None
        finally:
            if not waiter[2].done() or waiter[2].cancelled():
                self._waiters.remove(waiter)
                heapq.heapify(self._waiters)

    async def catch_up(self) -> None:
        """Returns once the tables hold every write acknowledged before the call.

        Raises: RevisionTooLarge when they do not get there in time, at once while the watch is broken.
        """
        revision = await self.current_revision()
        if revision > self.progress.revision:
            if not self.connected:
                raise RevisionTooLarge(revision, self.revision)
            await self.wait_for(revision)

    def written(self, table: Table, key: str, raw: bytes, revision: int, obj: Object | None) -> Entry:
        """Returns the entry of an own write, and remembers it for its event, unless that has come already."""
        current = table.entries.get(key)
        if current is not None and current.revision == revision:
            return current
        entry = table.make_entry(key, raw, revision, obj)
        if revision > self.revision:
            self._newest = max(self._newest, revision)
            if len(self._own) >= OWN_WRITES:
                self._own.clear()
            self._own[key] = entry
        return entry

    def latest(self, table: Table, key: str) -> Entry | None:
        """Returns the cache's entry, or an own write that the watch has not brought yet, where a write starts."""
        own = self._own.get(key)
        return own if own is not None and own.revision > self.revision else table.entries.get(key)

    async def _follow(self) -> None:
        while True:
            try:
                if self._stale or not await self._same_store():
                    await self._load()
                await self._watch()
            except Compacted as error:
                log.warning("etcd compacted what the cache missed", revision=self.revision, error=str(error))
                self._stale = True
            except StorageUnavailable as error:
                log.warning("etcd watch broken", revision=self.revision, error=str(error))
                await asyncio.sleep(self._limits.retry_seconds)

    async def _same_store(self) -> bool:
        """Tells whether etcd still has all revisions seen: not after a restore or with a new data folder."""
        cluster_id, revision = await self._etcd.current_revision()
        newest = max(self._newest, self.revision)
        if cluster_id == self._cluster_id and revision >= newest:
            return True
        log.warning("etcd is another store than before", revision=newest, found=revision)
        return False

    async def _load(self) -> None:
        """Reads everything at one revision, then replaces the tables at once and ends all watches."""
        entries: dict[str, list[Entry]] = {prefix: [] for prefix in self._tables}
        unreadable: dict[str, dict[str, str]] = {prefix: {} for prefix in self._tables}
        start, revision = _FIRST, 0
        while True:
            page = await self._etcd.range(start, _LAST, limit=LOAD_PAGE_KEYS, revision=revision)
            revision = revision or page.revision
            for kv in page.kvs:
                key = _key(kv)
                prefix = self._prefix_of(key)
                if prefix not in entries:
                    continue
                try:
                    entry = self._read(self._tables[prefix][0], key, kv)
                except UnreadableObject as error:
                    unreadable[prefix][key] = str(error)
                else:
                    if entry is not None:
                        entries[prefix].append(entry)
            if not page.more:
                break
            start = page.kvs[-1].key + b"\0"
        for prefix, (table, hub) in self._tables.items():
            if prefix in entries:
                table.load(entries[prefix], revision, unreadable[prefix])
                hub.close()
        self._cluster_id = page.cluster_id
        self._newest = revision
        self._own.clear()
        self._stale = False
        self._reached(revision)
        log.info("watch cache loaded", revision=revision, objects=sum(map(len, entries.values())))

    async def _watch(self) -> None:
        try:
            async with aclosing(self._etcd.watch(self.revision + 1)) as batches:
                async for batch in batches:
                    if batch.created:
                        self.connected = True
                        self.loaded.set()
                    if batch.changes:
                        self._apply(batch.changes)
        finally:
            self.connected = False

    def _apply(self, changes: Sequence[KeyChange]) -> None:
        """Brings the tables to the revision of the last change; etcd sends whole revisions only."""
        touched: set[WatchHub] = set()
        for deleted, kv in changes:
            key = _key(kv)
            prefix = self._prefix_of(key)
            if not prefix:
                continue
            table, hub = self._tables[prefix]
            if prefix in self._missed:
                self._missed[prefix].append(KeyChange(deleted, kv))
                continue
            if kv.mod_revision <= table.loaded:
                continue
            change: TableChange | None
            if deleted:
                change = table.remove(key, kv.mod_revision)
            else:
                try:
                    entry = self._own_write(key, kv.mod_revision) or self._read(table, key, kv)
                except UnreadableObject as error:
                    table.hide(key, str(error), kv.mod_revision)
                    hub.close()
                    continue
                change = table.put(entry) if entry is not None else None
            if change is not None:
                hub.publish(change)
                touched.add(hub)
        if changes:
            self._reached(max(self.revision, changes[-1].kv.mod_revision))
        for hub in touched:
            hub.flush()

    def _reached(self, revision: int) -> None:
        self.progress.revision = revision
        while self._waiters and self._waiters[0][0] <= revision:
            _, _, future = heapq.heappop(self._waiters)
            if not future.done():
                future.set_result(None)

    def _prefix_of(self, key: str) -> str:
        """ "/registry/pods/default/a" -> "pods", "/registry/services/specs/…" -> "services/specs"; "" for others'."""
        if not key.startswith(ROOT):
            return ""
        end = key.find("/", len(ROOT))
        prefix = key[len(ROOT) : end]
        if prefix not in self._tables:
            prefix = key[len(ROOT) : key.find("/", end + 1)]
        return prefix if end > 0 and prefix in self._tables else ""

    def _own_write(self, key: str, revision: int) -> Entry | None:
        own = self._own.get(key)
        if own is None or own.revision > revision:
            return None
        del self._own[key]
        return own if own.revision == revision else None

    def _read(self, table: Table, key: str, kv: KeyValue) -> Entry | None:
        """Returns None, and logs it, for a value that is not an encoded object: someone else wrote it.

        Raises: UnreadableObject, after logging it.
        """
        try:
            return table.read_entry(key, kv.value, kv.mod_revision)
        except UnreadableObject as error:
            log.error("stored value cannot be decrypted", key=key, error=str(error))
            raise
        except ValueError as error:
            log.error("stored value is not an object", key=key, error=str(error))
            return None


def _key(kv: KeyValue) -> str:
    return kv.key.decode(errors="surrogateescape")
