"""Storage on a real etcd: writes, reads, lists, watches, and several API servers on one store."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from apimachinery.selectors import parse_field_selector, parse_label_selector
from apiserver.storage import CachedStorage, EtcdConfig
from apiserver.storage.cache.ring import Ring
from apiserver.storage.compactor import Compactor
from apiserver.storage.continue_token import ContinueToken, decode_token
from apiserver.storage.interface import (
    BadContinueToken,
    Compacted,
    KeyExists,
    RevisionConflict,
    RevisionTooLarge,
    ValueTooLarge,
)
from apiserver.storage.limits import StorageLimits
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.control_plane.storage import (
    TAGS,
    WIDGETS,
    change,
    create,
    direct,
    loaded,
    remove,
    running,
    seen,
    tag,
    widget,
)
from tests.kits.eventually import eventually_async

# Writes


async def test_an_object_is_kept_as_encoded_and_read_with_its_revision(etcd: EtcdServer) -> None:
    async with running(etcd.url) as store, direct(etcd.url) as client:
        raw = widget("a", labels={"app": "x"}, nodeName="n1")
        entry = await store.create(WIDGETS, "default", "a", raw)
        kept = (await client.range(b"/registry/widgets/default/a")).kvs[0]
        assert (kept.value, kept.mod_revision) == (raw, entry.revision)
        for read in (
            await store.get(WIDGETS, "default", "a", min_revision=None),
            await store.get_from_etcd(WIDGETS, "default", "a"),
        ):
            assert read is not None
            assert (read.value, read.labels, read.fields) == (entry.value, {"app": "x"}, entry.fields)
        expected = orjson.loads(raw)
        expected["metadata"]["resourceVersion"] = str(entry.revision)
        assert orjson.loads(entry.value) == expected


async def test_creating_twice_is_refused(etcd: EtcdServer) -> None:
    async with running(etcd.url) as store:
        await create(store, "a")
        with pytest.raises(KeyExists):
            await create(store, "a", size=2)
        await create(store, "a", "other")


async def test_writes_that_expect_another_revision_are_told_what_is_stored(etcd: EtcdServer) -> None:
    async with running(etcd.url) as store:
        first = await create(store, "a")
        second = await change(store, first, size=2)
        for stale_write in (change(store, first, size=3), remove(store, first)):
            with pytest.raises(RevisionConflict) as caught:
                await stale_write
            assert caught.value.current is not None
            assert caught.value.current.value == second.value
        await remove(store, second)
        for late_write in (change(store, second, size=3), remove(store, second)):
            with pytest.raises(RevisionConflict) as caught:
                await late_write
            assert caught.value.current is None


async def test_of_concurrent_updates_on_one_revision_one_wins(etcd: EtcdServer) -> None:
    async with running(etcd.url) as one, running(etcd.url) as two:
        entry = await create(one, "a", size=0)

        async def add_one(store: Any) -> int:
            conflicts = 0
            current = entry
            while True:
                size = orjson.loads(current.value)["spec"]["size"]
                try:
                    await change(store, current, size=size + 1)
                except RevisionConflict as conflict:
                    current = conflict.current or current
                    conflicts += 1
                else:
                    return conflicts

        conflicts = await asyncio.gather(*(add_one(store) for store in [one, two] * 10))
        final = await one.get(WIDGETS, "default", "a", min_revision=None)
        assert final is not None
        assert orjson.loads(final.value)["spec"]["size"] == 20
        assert sum(conflicts) >= 19


async def stored_revision(store: CachedStorage, name: str) -> int:
    """The revision of one object."""
    entry = await store.get(WIDGETS, "default", name, min_revision=None)
    assert entry is not None
    return entry.revision


async def test_an_update_that_changes_nothing_is_no_write(etcd: EtcdServer) -> None:
    async with running(etcd.url) as store:
        entry = await create(store, "a", size=5)
        await store.get(WIDGETS, "default", "a", min_revision=None)
        assert (await change(store, entry, size=5)).revision == entry.revision
        assert await stored_revision(store, "a") == entry.revision
        newer = await change(store, entry, size=6)
        with pytest.raises(RevisionConflict):
            await change(store, entry, size=5)
        assert await stored_revision(store, "a") == newer.revision


async def test_the_next_write_starts_from_the_last_one_without_waiting_for_its_event(etcd: EtcdServer) -> None:
    async with running(etcd.url) as store:
        entry = await store.create(WIDGETS, "default", "a", widget("a"))
        for number in range(20):
            latest = store.latest(WIDGETS, "default", "a")
            assert latest is not None
            assert (latest.revision, latest.value) == (entry.revision, entry.value)
            value = widget("a", labels={"n": str(number)})
            entry = await store.update(WIDGETS, "default", "a", value, entry.revision)
        await store.delete(WIDGETS, "default", "a", entry.revision)
        assert await store.get(WIDGETS, "default", "a", min_revision=None) is None
        assert store.latest(WIDGETS, "default", "a") is None


async def test_a_deleted_object_is_returned_under_the_revision_of_its_deletion(etcd: EtcdServer) -> None:
    async with running(etcd.url) as store:
        entry = await create(store, "a", size=7)
        watcher = await store.watch(WIDGETS, revision=entry.revision)
        last = await remove(store, entry)
        assert last.revision > entry.revision
        body = orjson.loads(last.value)
        assert (body["metadata"]["resourceVersion"], body["spec"]["size"]) == (str(last.revision), 7)
        assert await seen(watcher, 1) == [("DELETED", "a", last.revision)]
        assert await store.get(WIDGETS, "default", "a", min_revision=None) is None


async def test_a_value_etcd_will_not_take_is_refused(etcd: EtcdServer) -> None:
    async with running(etcd.url) as store:
        with pytest.raises(ValueTooLarge):
            await create(store, "a", filler="x" * 3_000_000)
        assert await store.get(WIDGETS, "default", "a", min_revision=None) is None
        await create(store, "a", filler="x" * 1_000_000)


async def test_objects_with_a_time_to_live_vanish(etcd: EtcdServer) -> None:
    async with running(etcd.url) as store:
        watcher = await store.watch(WIDGETS)
        for name in "ab":
            await store.create(WIDGETS, "default", name, widget(name), ttl_seconds=1)
        await create(store, "c")
        assert [event[:2] for event in await seen(watcher, 3)] == [("ADDED", name) for name in "abc"]
        gone = await seen(watcher, 2)
        assert sorted(event[:2] for event in gone) == [("DELETED", "a"), ("DELETED", "b")]
        assert [entry.name for entry in (await store.list(WIDGETS)).entries] == ["c"]


# Reads


async def test_a_consistent_read_sees_what_another_server_just_wrote(etcd: EtcdServer) -> None:
    async with running(etcd.url) as one, running(etcd.url) as two:
        for number in range(100):
            entry = await create(one, f"w{number}")
            assert await two.get(WIDGETS, "default", f"w{number}", min_revision=None) is not None
            assert len((await two.list(WIDGETS)).entries) == number + 1
            again = await two.get(WIDGETS, "default", f"w{number}", min_revision=entry.revision)
            assert again is not None
            assert again.revision == entry.revision


async def test_a_read_at_a_revision_not_reached_yet_waits_and_then_says_so(etcd: EtcdServer) -> None:
    async with running(etcd.url, limits=StorageLimits(fresh_seconds=0.2)) as store:
        entry = await create(store, "a")
        for attempt in (
            store.get(WIDGETS, "default", "a", min_revision=entry.revision + 100),
            store.list(WIDGETS, revision=entry.revision + 100),
            store.list(WIDGETS, revision=entry.revision + 100, match="Exact"),
        ):
            with pytest.raises(RevisionTooLarge, match=rf"{entry.revision + 100}, current: {entry.revision}"):
                await attempt
        waiting = asyncio.ensure_future(store.get(WIDGETS, "default", "b", min_revision=entry.revision + 1))
        await create(store, "b")
        assert await waiting is not None
        assert not store._cacher._waiters


async def test_writes_of_others_to_other_keys_do_not_stall_consistent_reads(etcd: EtcdServer) -> None:
    async with running(etcd.url) as store, direct(etcd.url) as client:
        for key in (b"/elsewhere", b"/registry/unknown/a", b"/registry", b"/registry/widgets", b"\xff\xfe"):
            await client.put(key, b"anything", 0)
            async with asyncio.timeout(2):
                await store.get(WIDGETS, "default", "a", min_revision=None)


async def test_a_value_that_is_no_object_is_left_out(etcd: EtcdServer) -> None:
    async with direct(etcd.url) as client:
        await client.put(b"/registry/widgets/default/bad", b"no object", 0)
        async with running(etcd.url) as store:
            await client.put(b"/registry/widgets/default/worse", b"[]", 0)
            await create(store, "good")
            assert [entry.name for entry in (await store.list(WIDGETS)).entries] == ["good"]


# Lists


async def test_lists_by_namespace_and_selectors(etcd: EtcdServer) -> None:
    async with running(etcd.url) as store:
        for number in range(6):
            namespace = "ab"[number % 2]
            raw = widget(f"w{number}", namespace, {"third": str(number % 3)}, nodeName=f"n{number}")
            await store.create(WIDGETS, namespace, f"w{number}", raw)
        await store.create(TAGS, "", "t", tag("t"))

        async def names(namespace: str, labels: str = "", fields: str = "") -> list[str]:
            page = await store.list(
                WIDGETS, namespace, labels=parse_label_selector(labels), fields=parse_field_selector(fields)
            )
            body = orjson.loads(b"[" + b"".join(page.items(WIDGETS)) + b"]")
            return [item["metadata"]["name"] for item in body]

        assert await names("") == ["w0", "w2", "w4", "w1", "w3", "w5"]
        assert await names("a") == ["w0", "w2", "w4"]
        assert await names("", labels="third=1") == ["w4", "w1"]
        assert await names("b", labels="third!=1") == ["w3", "w5"]
        assert await names("", fields="spec.nodeName=n3") == ["w3"]
        assert await names("none") == []
        assert [entry.name for entry in (await store.list(TAGS)).entries] == ["t"]


@pytest.mark.parametrize("memory", [True, False], ids=["from memory", "from etcd"])
async def test_all_pages_of_a_list_are_one_snapshot(etcd: EtcdServer, memory: bool) -> None:
    async with running(etcd.url, limits=StorageLimits(etcd_page_keys=3)) as store:
        entries = [await create(store, f"w{number}", labels={"odd": str(number % 2)}) for number in range(10)]
        for selector in ("", "odd=1"):
            expected = (await store.list(WIDGETS, labels=parse_label_selector(selector))).entries
            page = await store.list(WIDGETS, labels=parse_label_selector(selector), limit=2)
            assert page.remaining == (None if selector else 8)
            found, revision = list(page.entries), page.revision
            entries[5] = await change(store, entries[5], size=int(page.revision), labels={"odd": "1"})
            entries.append(await create(store, f"w5{revision}"))
            await remove(store, entries.pop(8))
            if not memory:
                await store.get(WIDGETS, "default", "a", min_revision=None)
                store._cacher.table(WIDGETS).ring = Ring(store._cacher.revision)
            while page.continue_token:
                page = await store.list(
                    WIDGETS, labels=parse_label_selector(selector), limit=2, continue_token=page.continue_token
                )
                assert page.revision == revision
                found += page.entries
            assert [(entry.key, entry.value) for entry in found] == [(entry.key, entry.value) for entry in expected]


async def test_a_token_older_than_the_history_is_answered_with_one_that_goes_on(etcd: EtcdServer) -> None:
    async with running(etcd.url) as store, direct(etcd.url) as client:
        for name in "abcd":
            await create(store, name)
        page = await store.list(WIDGETS, limit=2)
        last = await create(store, "bb")
        await store.get(WIDGETS, "default", "a", min_revision=None)
        await client.compact(last.revision)
        store._cacher.table(WIDGETS).ring = Ring(last.revision)
        with pytest.raises(Compacted, match="continue parameter is too old") as caught:
            await store.list(WIDGETS, limit=2, continue_token=page.continue_token)
        page = await store.list(WIDGETS, continue_token=caught.value.continue_token)
        assert [entry.name for entry in page.entries] == ["bb", "c", "d"]
        with pytest.raises(Compacted):
            await store.list(WIDGETS, revision=last.revision - 1, match="Exact")


async def test_a_token_can_be_used_on_another_server(etcd: EtcdServer) -> None:
    async with running(etcd.url) as one:
        for name in "abc":
            await create(one, name)
        page = await one.list(WIDGETS, limit=1)
        await create(one, "ab")
        async with running(etcd.url) as two:  # its memory begins after the snapshot
            rest = await two.list(WIDGETS, continue_token=page.continue_token)
            assert [entry.name for entry in rest.entries] == ["b", "c"]
            assert rest.revision == page.revision


async def test_a_token_does_not_reach_beyond_its_namespace(etcd: EtcdServer) -> None:
    async with running(etcd.url) as store:
        for namespace in "abc":
            await create(store, "x", namespace)
        for start in ("a", "a/x", "c", "/a"):
            page = await store.list(WIDGETS, "b", continue_token=ContinueToken(0, start).encode())
            assert {entry.namespace for entry in page.entries} <= {"b"}
        for start in ("a/", "../tags/x", "a/../../x"):
            with pytest.raises(BadContinueToken):
                await store.list(WIDGETS, "b", continue_token=ContinueToken(0, start).encode())
        with pytest.raises(BadContinueToken):
            await store.list(WIDGETS, continue_token="nonsense!")


async def test_exact_and_not_older_than(etcd: EtcdServer) -> None:
    async with running(etcd.url) as store:
        revisions = [(await create(store, name)).revision for name in "abc"]
        assert len((await store.list(WIDGETS)).entries) == 3

        async def listed(revision: int, **how: Any) -> tuple[str, int]:
            page = await store.list(WIDGETS, revision=revision, **how)
            return "".join(entry.name for entry in page.entries), page.revision

        latest = revisions[-1]
        assert await listed(revisions[1], match="Exact") == ("ab", revisions[1])
        assert await listed(revisions[1], match="NotOlderThan") == ("abc", latest)
        assert await listed(revisions[1]) == ("abc", latest)
        assert await listed(revisions[1], limit=1) == ("a", revisions[1])
        assert await listed(0, limit=1) == ("abc", latest)
        assert decode_token((await store.list(WIDGETS, limit=1)).continue_token).revision == latest


# Watches


async def test_two_servers_show_each_others_writes_in_one_order(etcd: EtcdServer) -> None:
    async with running(etcd.url) as one, running(etcd.url) as two:
        start = await one.current_revision()
        watches = [await store.watch(WIDGETS, revision=start) for store in (one, two)]

        async def churn(store: Any, name: str) -> None:
            for number in range(20):
                entry = await create(store, name, size=number)
                entry = await change(store, entry, size=number + 1)
                await remove(store, entry)

        await asyncio.gather(*(churn(store, f"w{n}") for n, store in enumerate([one, two] * 3)))
        first, second = [await seen(watch, 6 * 60) for watch in watches]
        assert first == second
        revisions = [revision for _, _, revision in first]
        assert revisions == sorted(set(revisions))
        for number in range(6):
            kinds = [kind for kind, name, _ in first if name == f"w{number}"]
            assert kinds == ["ADDED", "MODIFIED", "DELETED"] * 20


async def test_a_list_and_a_watch_from_its_revision_miss_nothing(etcd: EtcdServer) -> None:
    async with running(etcd.url) as one, running(etcd.url) as two:
        state: dict[str, int] = {}
        async with asyncio.TaskGroup() as group:
            written: list[str] = []

            async def writer(store: Any, prefix: str) -> None:
                for number in range(60):
                    entry = await create(store, f"{prefix}{number}")
                    written.append(entry.name)
                    if number % 3 == 0:
                        await remove(store, entry)

            group.create_task(writer(one, "x"))
            group.create_task(writer(two, "y"))
            await eventually_async(lambda: len(written) >= 10, "writers in the middle of their work")
            page = await two.list(WIDGETS)
            state = {entry.name: entry.revision for entry in page.entries}
            watch = await one.watch(WIDGETS, revision=page.revision)
        final = await one.list(WIDGETS)
        expected = {entry.name: entry.revision for entry in final.entries}
        while state != expected:
            for line in (await watch.__anext__()).splitlines():
                event = json.loads(line)
                meta = event["object"]["metadata"]
                if event["type"] == "DELETED":
                    del state[meta["name"]]
                else:
                    assert event["type"] == "ADDED"
                    assert meta["name"] not in state
                    state[meta["name"]] = int(meta["resourceVersion"])


async def test_a_watch_without_revision_starts_with_what_is_stored_now(etcd: EtcdServer) -> None:
    async with running(etcd.url) as one, running(etcd.url) as two:
        entry = await create(one, "a")
        watch = await two.watch(WIDGETS)
        assert await seen(watch, 1) == [("ADDED", "a", entry.revision)]
        later = await change(one, entry, size=2)
        assert await seen(watch, 1) == [("MODIFIED", "a", later.revision)]


async def test_a_watch_from_before_the_ring_is_gone(etcd: EtcdServer) -> None:
    async with running(etcd.url) as store:
        entry = first = await create(store, "a")
        await store.get(WIDGETS, "default", "a", min_revision=None)
        store._cacher.table(WIDGETS).ring = Ring(entry.revision, max_events=5)
        for number in range(10):
            entry = await change(store, entry, size=number + 10)
        await store.get(WIDGETS, "default", "a", min_revision=None)
        with pytest.raises(Compacted, match="too old resource version"):
            await store.watch(WIDGETS, revision=first.revision)
        watch = await store.watch(WIDGETS, revision=entry.revision - 5)
        assert len(await seen(watch, 5)) == 5


async def test_initial_events_are_closed_by_a_bookmark_of_their_revision(etcd: EtcdServer) -> None:
    async with running(etcd.url) as store:
        entry = await create(store, "a")
        watch = await store.watch(WIDGETS, bookmarks=True, initial_events=True)
        assert await seen(watch, 2) == [("ADDED", "a", entry.revision), ("BOOKMARK", "", entry.revision)]
        quiet = await store.watch(WIDGETS, initial_events=False, timeout_seconds=0.1, bookmarks=True)
        assert await seen(quiet, 1) == [("BOOKMARK", "", entry.revision)]


# Upkeep


async def test_compaction_forgets_history_and_disturbs_no_one(etcd: EtcdServer) -> None:
    async with running(etcd.url) as store, direct(etcd.url) as client:
        watch = await store.watch(WIDGETS)
        compactor = Compactor(client)
        entry = await create(store, "a")
        assert await compactor.turn() == 0
        for number in range(10):
            entry = await change(store, entry, size=number + 10)
        compacted = await compactor.turn()
        assert compacted > 0
        with pytest.raises(Compacted):
            await client.range(b"/registry/widgets/default/a", revision=compacted - 1)
        await change(store, entry, size=50)
        assert len(await seen(watch, 12)) == 12


async def test_a_list_can_be_continued_until_its_revision_is_compacted(etcd: EtcdServer) -> None:
    """Also where memory would still have it: nothing has changed since."""
    async with running(etcd.url, limits=StorageLimits(compaction_seconds=0.1)) as store:
        for name in ("a", "b"):
            await create(store, name)
        page = await store.list(WIDGETS, limit=1)

        async def expired() -> str:
            try:
                await store.list(WIDGETS, continue_token=page.continue_token)
            except Compacted as error:
                return error.continue_token
            return ""

        token = await eventually_async(expired)
        assert [entry.name for entry in (await store.list(WIDGETS, continue_token=token)).entries] == ["b"]


async def test_etcd_is_reached_with_a_client_certificate_only(tmp_path: Path) -> None:
    from tests.kits.identity.certificates import write_certificates

    files = write_certificates(tmp_path)
    with EtcdServer(tmp_path, tls=(files["server"], files["server-key"], files["ca"])) as etcd:
        config = EtcdConfig([etcd.url], str(files["ca"]), str(files["client"]), str(files["client-key"]))
        store = CachedStorage(config)
        store.register(WIDGETS)
        async with loaded(store):
            await create(store, "a")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1), loaded(CachedStorage(EtcdConfig([etcd.url], str(files["ca"])))):
                pass
