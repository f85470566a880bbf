"""Storage while etcd is killed, hangs, loses history or its data: nothing acknowledged is lost, nothing comes twice."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path

import orjson
import pytest

from apiserver.storage import CachedStorage, EtcdConfig, Storage
from apiserver.storage.interface import Compacted, Entry, KeyExists, RevisionConflict, StorageUnavailable, Watcher
from apiserver.storage.limits import StorageLimits
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.control_plane.etcd_messages import etcdrpc
from tests.kits.control_plane.storage import WIDGETS, change, create, direct, loaded, parsed, running, seen
from tests.kits.eventually import eventually_async
from tests.kits.process import free_port


class Writer:
    """Creates one object, then updates it until it is stopped; knows the last revision that was acknowledged."""

    def __init__(self, store: Storage, name: str) -> None:
        self._store = store
        self._name = name
        self.acknowledged: list[tuple[int, int]] = []  # (revision, size)
        self.failures = 0
        self.under_way = False
        self.stopped = False

    async def run(self) -> None:
        """Ends after the answer to the write that is under way when `stopped` is set."""
        entry: Entry | None = None
        size = 0
        while not self.stopped:
            size += 1
            self.under_way = True
            try:
                if entry is None:
                    entry = await create(self._store, self._name, size=size)
                else:
                    entry = await change(self._store, entry, size=size)
                self.acknowledged.append((entry.revision, size))
            except StorageUnavailable:
                self.failures += 1
            except (KeyExists, RevisionConflict):  # a write whose answer was lost had happened
                with contextlib.suppress(StorageUnavailable):
                    entry = await self._store.get_from_etcd(WIDGETS, "default", self._name)
            self.under_way = False
            await asyncio.sleep(0)


async def collect(watcher: Watcher, into: list[tuple[str, str, int]]) -> None:
    async for chunk in watcher:
        into += parsed(chunk)


async def test_nothing_acknowledged_is_lost_when_etcd_is_killed(etcd: EtcdServer) -> None:
    async with running(etcd.url) as one, running(etcd.url) as two:
        start = await one.current_revision()
        writers = [Writer(store, f"w{number}") for number, store in enumerate([one, two] * 2)]
        events: list[tuple[str, str, int]] = []
        writing = [asyncio.ensure_future(writer.run()) for writer in writers]
        collecting = asyncio.ensure_future(collect(await one.watch(WIDGETS, revision=start), events))
        for _ in range(3):
            marks = [len(writer.acknowledged) for writer in writers]
            await eventually_async(
                lambda marks=marks: all(len(w.acknowledged) > mark + 20 for w, mark in zip(writers, marks, strict=True))
            )
            etcd.pause()
            await eventually_async(lambda: all(writer.under_way for writer in writers), "writes are under way")
            etcd.kill()
            await asyncio.to_thread(etcd.start)
        for writer in writers:
            writer.stopped = True
        await asyncio.gather(*writing)
        final = await one.list(WIDGETS)
        await eventually_async(lambda: events and events[-1][2] >= final.revision)
        collecting.cancel()
        revisions = [revision for _, _, revision in events]
        assert revisions == list(range(start + 1, final.revision + 1))  # every revision once, in order
        for writer, entry in zip(writers, final.entries, strict=True):
            assert {revision for revision, _ in writer.acknowledged} <= set(revisions)
            assert entry.revision >= writer.acknowledged[-1][0]
            assert orjson.loads(entry.value)["spec"]["size"] >= writer.acknowledged[-1][1]
        assert sum(writer.failures for writer in writers) > 0
        again = await two.list(WIDGETS)
        assert [entry.value for entry in again.entries] == [entry.value for entry in final.entries]


async def test_history_compacted_while_the_watch_was_broken(etcd: EtcdServer) -> None:
    limits = StorageLimits(retry_seconds=1.5)  # so that history goes on, and goes, before the cache is back
    async with running(etcd.url, limits=limits) as store, direct(etcd.url) as client:
        first = await create(store, "a")
        doomed = await create(store, "b")
        watcher = await store.watch(WIDGETS, revision=doomed.revision)
        waiting = asyncio.ensure_future(collect(watcher, events := []))
        etcd.kill()
        await eventually_async(lambda: not store.ready)
        await asyncio.to_thread(etcd.start)
        await client.delete(b"/registry/widgets/default/b", doomed.revision)
        kept = await client.range(b"/registry/widgets/default/a")
        last = await client.put(b"/registry/widgets/default/c", kept.kvs[0].value, 0)
        await client.compact(last.revision)
        await waiting  # the watch could not be resumed, so it ended
        assert events == []
        with pytest.raises(Compacted):
            await store.watch(WIDGETS, revision=doomed.revision)
        page = await store.list(WIDGETS)
        assert [(entry.name, entry.revision) for entry in page.entries] == [
            ("a", first.revision),
            ("c", last.revision),
        ]
        resumed = await store.watch(WIDGETS, revision=page.revision)
        later = await create(store, "d")
        assert await seen(resumed, 1) == [("ADDED", "d", later.revision)]


async def test_an_etcd_that_lost_its_data_is_another_store(etcd: EtcdServer) -> None:
    async with running(etcd.url) as store:
        for name in "abc":
            entry = await create(store, name)
        watcher = await store.watch(WIDGETS, revision=entry.revision)
        waiting = asyncio.ensure_future(collect(watcher, []))
        etcd.kill()
        shutil.rmtree(etcd.folder / "data")
        await asyncio.to_thread(etcd.start)
        await waiting
        assert (await store.list(WIDGETS)).entries == []
        await create(store, "a")
        assert [entry.name for entry in (await store.list(WIDGETS)).entries] == ["a"]


async def test_while_etcd_hangs_stale_reads_work_and_the_rest_fails_in_time(etcd: EtcdServer) -> None:
    async with running(etcd.url, timeout_seconds=0.3) as store:
        entry = await create(store, "a")
        await store.get(WIDGETS, "default", "a", min_revision=None)
        etcd.pause()
        try:
            assert await store.get(WIDGETS, "default", "a", min_revision=0) is not None
            assert len((await store.list(WIDGETS, revision=0)).entries) == 1
            for attempt in (
                change(store, entry, size=5),
                store.get(WIDGETS, "default", "a", min_revision=None),
                store.list(WIDGETS),
                store.watch(WIDGETS),
            ):
                with pytest.raises(StorageUnavailable):
                    await attempt
        finally:
            etcd.resume()
        try:
            await change(store, entry, size=6)
        except RevisionConflict as conflict:  # the write that failed above may have reached etcd all the same
            assert orjson.loads(conflict.current.value)["spec"]["size"] == 5  # noqa: PT017
            await change(store, conflict.current, size=6)


async def test_it_waits_for_an_etcd_that_is_not_there_yet(tmp_path: Path) -> None:
    server = EtcdServer(tmp_path)
    store = CachedStorage(EtcdConfig([server.url]))
    store.register(WIDGETS)
    starting = asyncio.create_task(asyncio.to_thread(server.start))
    with pytest.raises(StorageUnavailable):
        await store.watch(WIDGETS, revision=0)
    assert not store.ready
    try:
        async with loaded(store):
            await create(store, "a")
        await starting
    finally:
        server.stop()


async def test_an_endpoint_that_is_down_is_passed_over(etcd: EtcdServer) -> None:
    async with running(f"http://127.0.0.1:{free_port()}", etcd.url) as store:
        entry = await create(store, "a")
        watcher = await store.watch(WIDGETS, revision=entry.revision)
        entry = await change(store, entry, size=2)
        assert await seen(watcher, 1) == [("MODIFIED", "a", entry.revision)]
        etcd.kill()
        await eventually_async(lambda: not store.ready)
        await asyncio.to_thread(etcd.start)
        await eventually_async(lambda: store.ready)
        entry = await change(store, entry, size=3)
        assert await seen(watcher, 1) == [("MODIFIED", "a", entry.revision)]


async def test_stopping_ends_watches_and_refuses_what_needs_etcd(etcd: EtcdServer) -> None:
    async with running(etcd.url) as store:
        await create(store, "a")
        waiting = asyncio.ensure_future(collect(await store.watch(WIDGETS), events := []))
        await eventually_async(lambda: events)
    await waiting
    assert not store.ready
    with pytest.raises(StorageUnavailable):
        await store.get(WIDGETS, "default", "a", min_revision=None)


async def test_a_lease_that_ended_unseen_is_replaced(etcd: EtcdServer) -> None:
    async with running(etcd.url) as store, direct(etcd.url) as client:
        await store.create(WIDGETS, "default", "a", b'{"metadata":{"name":"a"}}', ttl_seconds=100)
        lease = (await client.range(b"/registry/widgets/default/a")).kvs[0].lease
        revoke = etcdrpc.LeaseRevokeRequest(ID=lease).SerializeToString()
        await client._call("/etcdserverpb.Lease/LeaseRevoke", revoke)
        await store.create(WIDGETS, "default", "b", b'{"metadata":{"name":"b"}}', ttl_seconds=100)
        assert [entry.name for entry in (await store.list(WIDGETS)).entries] == ["b"]
