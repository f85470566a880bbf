"""Keeps etcd's history short: every few minutes it is compacted to where it was at the last turn.

All API servers of a cluster run this; one key in etcd, written only over the version last read, lets one of them
compact per interval. It has upstream's name and meaning, so that real API servers on the same etcd take part.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from apiserver.storage.interface import Compacted, StorageUnavailable
from componentbase import logs
from etcdclient.messages import TxnResult

COMPACT_KEY = b"compact_rev_key"

log = logs.logger(__name__)


class CompactionStore(Protocol):
    """The calls of etcd's client that compaction needs."""

    async def put_version(self, key: bytes, value: bytes, version: int) -> TxnResult: ...

    async def compact(self, revision: int) -> None: ...


class Compactor:
    """Takes turns with the compactors of other API servers."""

    compacted = 0
    """The revision before which etcd has no history, as far as this server knows."""

    def __init__(self, store: CompactionStore) -> None:
        self._store = store
        self._version = 0  # of the key, at the last turn
        self._revision = 0  # of the store, at the last turn

    async def run(self, interval_seconds: float) -> None:
        """Goes on until cancelled. Each compaction keeps the history of the last interval. The first turn only learns
        how far others have compacted."""
        while True:
            try:
                await self.turn()
            except StorageUnavailable as error:
                log.warning("compaction failed", error=str(error))
            await asyncio.sleep(interval_seconds)

    async def turn(self) -> int:
        """Compacts to the revision of the turn before, if no other server had its turn since; returns it, or 0.

        The key's value is the revision compacted to. A server that finds another's turn there takes over its version
        and waits one more interval.
        """
        target = self._revision
        result = await self._store.put_version(COMPACT_KEY, b"%d" % target, self._version)
        self._revision = result.revision
        if not result.succeeded:
            self._version = result.kv.version if result.kv else 0
            self.compacted = int(result.kv.value) if result.kv else 0
            return 0
        self._version += 1
        if target == 0:
            return 0  # the first turn ever: nothing is known to be old
        self.compacted = target
        try:
            await self._store.compact(target)
        except Compacted:
            return 0
        log.info("compacted etcd", revision=target)
        return target
