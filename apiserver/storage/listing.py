"""Lists: chooses the revision that a request asks for, and reads it from memory or from etcd."""

from __future__ import annotations

from typing import Any

from apimachinery.resource import Resource
from apiserver.storage.cache.cacher import Cacher
from apiserver.storage.cache.selection import Selection
from apiserver.storage.cache.table import Table, unreadable_in_list
from apiserver.storage.compactor import Compactor
from apiserver.storage.continue_token import TOO_OLD, ContinueToken, decode_token
from apiserver.storage.interface import (
    Compacted,
    Entry,
    ListPage,
    Match,
    RevisionTooLarge,
    StorageUnavailable,
    UnreadableObject,
)
from etcdclient.client import EtcdClient


class ListReader:
    """Reads pages. All pages of one list have the revision of its first."""

    def __init__(self, etcd: EtcdClient, cacher: Cacher, compactor: Compactor, page_keys: int) -> None:
        """`page_keys` are read at a time where a list comes from etcd."""
        self._etcd = etcd
        self._cacher = cacher
        self._compactor = compactor
        self._page_keys = page_keys

    async def page(
        self,
        resource: Resource[Any],
        selection: Selection,
        revision: int | None,
        match: Match,
        limit: int,
        continue_token: str,
    ) -> ListPage:
        """Reads a page as of now (`revision` None), all that the cache has (0), or at revision N.

        With N and match "Exact", or with a limit and no match, it is exactly N; otherwise N or later. With 0 all is
        read, whatever the limit.

        Source: Kubernetes API concepts, "Resource versions", semantics for get and list.
        """
        table = self._cacher.table(resource)
        if continue_token:
            token = decode_token(continue_token)
            return await self._continued(table, selection, token, limit if revision is None else 0)
        if revision is None:
            return await self._current(table, selection, "", limit)
        if revision == 0:
            if not self._cacher.loaded.is_set():
                raise StorageUnavailable("the watch cache is not loaded yet")
            return self._from_memory(table, selection, "", 0, None)
        await self._cacher.wait_for(revision)
        if match == "Exact" or (match == "" and limit):
            try:
                return await self._snapshot(table, selection, "", limit, revision)
            except Compacted:
                raise Compacted("The resourceVersion for the provided list is too old.") from None
        return self._from_memory(table, selection, "", limit, None)

    async def _continued(self, table: Table, selection: Selection, token: ContinueToken, limit: int) -> ListPage:
        start = table.prefix + token.start
        if token.revision == 0:
            return await self._current(table, selection, start, limit)
        await self._cacher.wait_for(token.revision)
        try:
            return await self._snapshot(table, selection, start, limit, token.revision)
        except Compacted:
            raise Compacted(TOO_OLD, ContinueToken(0, token.start).encode()) from None

    async def _current(self, table: Table, selection: Selection, start: str, limit: int) -> ListPage:
        try:
            await self._cacher.catch_up()
        except RevisionTooLarge:  # the cache does not keep up; etcd itself answers
            return await self._from_etcd(table, selection, start, limit, 0)
        return self._from_memory(table, selection, start, limit, None)

    async def _snapshot(self, table: Table, selection: Selection, start: str, limit: int, revision: int) -> ListPage:
        """Reads what was there at one revision, for as long as etcd has it: no longer from memory either, so that all
        servers answer alike. Raises: Compacted."""
        if revision < self._compactor.compacted:
            raise Compacted(f"etcd has been compacted to {self._compactor.compacted}")
        if revision <= self._cacher.revision and (revision >= table.changed or table.reaches_back_to(revision)):
            return self._from_memory(table, selection, start, limit, revision)
        return await self._from_etcd(table, selection, start, limit, revision)

    def _from_memory(
        self, table: Table, selection: Selection, start: str, limit: int, revision: int | None
    ) -> ListPage:
        entries, following, remaining = table.page(selection, start, limit, revision)
        return _list_page(table, entries, revision or self._cacher.revision, following, remaining)

    async def _from_etcd(self, table: Table, selection: Selection, start: str, limit: int, revision: int) -> ListPage:
        """`revision` 0: as of now."""
        first, last = table.span(selection.namespace)
        first = max(first, start)
        entries: list[Entry] = []
        total = 0
        while True:
            size = min(limit + 1, self._page_keys) if limit else self._page_keys
            page = await self._etcd.range(first.encode(), last.encode(), limit=size, revision=revision)
            revision = revision or page.revision
            total = total or page.count
            for kv in page.kvs:
                key = kv.key.decode()
                try:
                    entry = table.read_entry(key, kv.value, kv.mod_revision)
                except UnreadableObject as error:
                    raise unreadable_in_list(key, str(error)) from None
                if not selection.selects(entry):
                    continue
                if limit and len(entries) == limit:
                    remaining = None if selection.selective else total - limit
                    return _list_page(table, entries, revision, entries[-1].key + "\0", remaining)
                entries.append(entry)
            if not page.more:
                return _list_page(table, entries, revision, "", None)
            first = page.kvs[-1].key.decode() + "\0"


def _list_page(table: Table, entries: list[Entry], revision: int, following: str, remaining: int | None) -> ListPage:
    """`following` is the key the next page starts with, "" after the last."""
    if not following:
        return ListPage(entries, revision)
    token = ContinueToken(revision, following[len(table.prefix) :])
    return ListPage(entries, revision, token.encode(), remaining)
