"""Leases shared by expiring objects, and compaction shared by API servers."""

from __future__ import annotations

import asyncio

from apiserver.storage import leases
from apiserver.storage.compactor import COMPACT_KEY, Compactor
from apiserver.storage.interface import Compacted
from apiserver.storage.leases import LeasePool
from etcdclient.messages import KeyValue, TxnResult


class Leases:
    """Grants numbered leases and notes their seconds; time stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0
        self.granted: list[int] = []
        self.pool = LeasePool(self.grant, lambda: self.now)

    async def grant(self, ttl_seconds: int) -> int:
        await asyncio.sleep(0)
        self.granted.append(ttl_seconds)
        return len(self.granted)


async def test_objects_written_close_together_share_a_lease() -> None:
    server = Leases()
    assert await asyncio.gather(*(server.pool.lease(3600) for _ in range(50))) == [1] * 50
    server.now += leases.SHARE_SECONDS - 1
    assert await server.pool.lease(3600) == 1
    server.now += 1
    assert await server.pool.lease(3600) == 2
    assert server.granted == [3660, 3660]  # the last to share it still lives for its hour


async def test_short_lives_are_not_stretched_much() -> None:
    server = Leases()
    await server.pool.lease(10)
    assert server.granted == [11]


async def test_a_lease_takes_so_many_objects_only() -> None:
    server = Leases()
    ids = [await server.pool.lease(3600) for _ in range(leases.LEASE_KEYS + 1)]
    assert ids[-2:] == [1, 2]


async def test_a_lease_that_is_gone_is_replaced() -> None:
    server = Leases()
    await server.pool.lease(3600)
    server.pool.forget(3600)
    assert await server.pool.lease(3600) == 2


class Store:
    """The key all compactors share, and what they made of it. Every write is a revision, as are `others`' writes."""

    def __init__(self) -> None:
        self.revision = 0
        self.version = 0
        self.value = b""
        self.compacted: list[int] = []

    def others(self, writes: int) -> None:
        self.revision += writes

    async def put_version(self, key: bytes, value: bytes, version: int) -> TxnResult:
        assert key == COMPACT_KEY
        if version != self.version:
            return TxnResult(False, self.revision, KeyValue(key, self.value, 1, self.version, 0))
        self.revision += 1
        self.version += 1
        self.value = value
        return TxnResult(True, self.revision, None)

    async def compact(self, revision: int) -> None:
        if self.compacted and revision <= self.compacted[-1]:
            raise Compacted("already")
        self.compacted.append(revision)


async def test_each_turn_compacts_to_where_the_last_one_was() -> None:
    store = Store()
    compactor = Compactor(store)
    turns = []
    for _ in range(3):
        store.others(100)
        turns.append(await compactor.turn())
    assert turns == [0, 101, 202]
    assert store.compacted == [101, 202]
    assert store.value == b"202"


async def test_of_several_servers_one_compacts_per_interval() -> None:
    store = Store()
    servers = [Compactor(store) for _ in range(3)]
    compacted = []
    for _ in range(4):
        store.others(100)
        compacted.append([await server.turn() for server in servers])
    assert [sum(revision > 0 for revision in turn) for turn in compacted] == [0, 1, 1, 1]
    assert store.compacted == sorted(store.compacted)
    assert [server.compacted for server in servers] == [store.compacted[-1]] * 3, "all know what one has done"


async def test_another_takes_over_when_one_stops() -> None:
    store = Store()
    first, second = Compactor(store), Compactor(store)
    for _ in range(2):
        store.others(100)
        await first.turn()
        await second.turn()
    for _ in range(3):
        store.others(100)
        await second.turn()
    assert len(store.compacted) >= 3


async def test_history_compacted_by_someone_else_is_no_failure() -> None:
    store = Store()
    compactor = Compactor(store)
    await compactor.turn()
    store.compacted.append(10_000)
    assert await compactor.turn() == 0
