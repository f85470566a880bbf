"""Feeds and watchers: what each filter lets through, sharing, lag, bookmarks and ends."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from apimachinery.selectors import parse_field_selector, parse_label_selector
from apiserver.storage.cache.selection import Selection
from apiserver.storage.cache.table import Table
from apiserver.storage.cache.watchers import (
    LEAST_GAP_SECONDS,
    WAKE_CREDIT_SECONDS,
    CacheWatcher,
    Progress,
    WatchFeed,
    WatchHub,
    bookmark,
    current_state,
    replay,
)
from apiserver.storage.interface import WatchEvent
from apiserver.storage.limits import DEFAULT_LIMITS, StorageLimits
from tests.kits.control_plane.storage import WIDGETS, parsed, put, seen
from tests.kits.eventually import eventually_async

Seen = list[tuple[str, str, int]]


class Board:
    """A table with its hub, changed as the watch of etcd would."""

    def __init__(self, limits: StorageLimits = DEFAULT_LIMITS) -> None:
        self.table = Table(WIDGETS)
        self.hub = WatchHub(limits)
        self.progress = Progress()

    def put(self, name: str, namespace: str = "default", labels: dict[str, str] | None = None, **spec: Any) -> None:
        self._changed(put(self.table, self.progress.revision + 1, name, namespace, labels, **spec))

    def remove(self, name: str, namespace: str = "default") -> None:
        self._changed(self.table.remove(self.table.key(namespace, name), self.progress.revision + 1))

    def _changed(self, change: Any) -> None:
        self.hub.publish(change)
        self.progress.revision = change.revision
        self.hub.flush()

    def watch(
        self, namespace: str = "", labels: str = "", fields: str = "", *, after: int | None = None, **how: Any
    ) -> CacheWatcher:
        selection = Selection(namespace, parse_label_selector(labels), parse_field_selector(fields))
        if after is None:
            backlog = current_state(self.table.page(selection, "", 0)[0])
        else:
            backlog = replay(self.table.ring.after(after) if after <= self.progress.revision else [], selection)
        return CacheWatcher(WIDGETS, self.hub, self.progress, selection, backlog, after=after or 0, **how)


async def rest(watcher: CacheWatcher) -> Seen:
    """Everything until the watch ends."""
    return [event for chunk in [chunk async for chunk in watcher] for event in parsed(chunk)]


async def test_what_is_stored_comes_first_then_what_happens() -> None:
    board = Board()
    board.put("b")
    board.put("a")
    watcher = board.watch()
    board.put("a", size=2)
    board.remove("b")
    assert await seen(watcher, 4) == [("ADDED", "a", 2), ("ADDED", "b", 1), ("MODIFIED", "a", 3), ("DELETED", "b", 4)]


async def test_a_resumed_watch_gets_what_it_missed_once() -> None:
    board = Board()
    for name in "abc":
        board.put(name)
    watcher = board.watch(after=1)
    board.put("d")
    assert await seen(watcher, 3) == [("ADDED", "b", 2), ("ADDED", "c", 3), ("ADDED", "d", 4)]


async def test_a_client_that_is_ahead_of_the_cache_gets_nothing_twice() -> None:
    board = Board()
    board.put("a")
    watcher = board.watch(after=3, bookmarks=True, timeout_seconds=0.3)
    waiting = asyncio.ensure_future(seen(watcher, 1))
    for name in "bc":
        board.put(name)
        await asyncio.sleep(0)
    board.put("d")
    assert await waiting == [("ADDED", "d", 4)]
    assert await rest(watcher) == [("BOOKMARK", "", 4)]


async def test_a_watcher_ahead_of_the_cache_gets_no_bookmark_below_its_revision() -> None:
    board = Board()
    board.put("a")
    assert await rest(board.watch(after=3, bookmarks=True, timeout_seconds=0.05)) == []


async def test_objects_that_start_and_stop_matching_are_added_and_deleted() -> None:
    board = Board()
    watcher = board.watch(labels="app=x")
    board.put("a", labels={"app": "y"})
    board.put("a", labels={"app": "x"}, size=5)
    board.put("a", labels={"app": "x"}, size=6)
    board.put("a", labels={"app": "y"}, size=7)
    board.remove("a")
    board.put("b", labels={"app": "x"})
    board.remove("b")
    events = [json.loads(line) for line in (await watcher.__anext__()).splitlines()]
    assert [(e["type"], e["object"]["metadata"]["resourceVersion"]) for e in events] == [
        ("ADDED", "2"),
        ("MODIFIED", "3"),
        ("DELETED", "4"),
        ("ADDED", "6"),
        ("DELETED", "7"),
    ]
    assert events[2]["object"]["spec"]["size"] == 6  # the last state that matched


async def test_a_watch_by_field_sees_objects_come_and_go() -> None:
    board = Board()
    one, two = board.watch(fields="spec.nodeName=n1"), board.watch(fields="spec.nodeName=n2")
    named = board.watch(namespace="default", fields="metadata.name=a")
    other = board.watch(namespace="other", fields="metadata.name=a")
    board.put("a")
    board.put("a", nodeName="n1")
    board.put("a", nodeName="n2")
    board.remove("a")
    assert await seen(one, 2) == [("ADDED", "a", 2), ("DELETED", "a", 3)]
    assert await seen(two, 2) == [("ADDED", "a", 3), ("DELETED", "a", 4)]
    assert [event[0] for event in await seen(named, 4)] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]
    other.close()
    assert await rest(other) == []


async def test_a_watch_of_a_namespace_sees_no_other() -> None:
    board = Board()
    watcher = board.watch(namespace="a")
    for namespace in ("b", "a", "ab"):
        board.put("x", namespace)
    assert await seen(watcher, 1) == [("ADDED", "x", 2)]


async def test_watchers_with_one_filter_share_one_feed_and_its_bytes() -> None:
    board = Board()
    crowd = [board.watch(labels="app=x") for _ in range(5)]
    alone = board.watch(labels="app=y")
    waiting = [asyncio.ensure_future(watcher.__anext__()) for watcher in crowd]
    await asyncio.sleep(0)
    board.put("a", labels={"app": "x"})
    chunks = await asyncio.gather(*waiting)
    assert len({id(chunk) for chunk in chunks}) == 1
    assert board.hub.watchers == 6
    for watcher in [*crowd, alone]:
        watcher.close()
    assert board.hub.watchers == 0
    assert vars(board.hub) == vars(WatchHub())  # nothing is left of the feeds


async def test_events_for_a_watcher_that_is_behind_come_in_one_chunk() -> None:
    board = Board()
    watcher = board.watch()
    for number in range(50):
        board.put("a", size=number)
    assert len(parsed(await watcher.__anext__())) == 50


async def test_a_chunk_never_ends_between_events_of_one_revision() -> None:
    feed = WatchFeed(Selection(""))
    board = Board()
    events = [put(board.table, revision, f"w{n}", filler="x" * 600_000) for n, revision in enumerate([1, 2, 2, 2, 3])]
    for event in events:
        feed.append(event)
    assert [feed.cut(0), feed.cut(4)] == [4, 5]


async def test_a_watcher_that_lags_too_far_is_closed() -> None:
    board = Board(StorageLimits(watcher_events=20))
    slow, quick = board.watch(), board.watch()
    count = 0
    for number in range(100):
        board.put("a", size=number)
        count += len(parsed(await quick.__anext__()))
    assert count == 100
    assert await rest(slow) == []
    assert board.hub.watchers == 1
    feed = next(iter(board.hub._feeds.values()))
    assert len(feed.events) <= 20


async def test_a_watcher_that_lags_by_too_many_bytes_is_closed() -> None:
    board = Board(StorageLimits(watcher_bytes=10_000))
    slow = board.watch()
    for number in range(15):
        board.put("a", size=number, filler="x" * 2_000)
    assert await rest(slow) == []


async def test_what_every_watcher_has_taken_is_dropped() -> None:
    board = Board()
    crowd = [board.watch() for _ in range(3)]
    for number in range(200):
        board.put("a", size=number)
        for watcher in crowd:
            await watcher.__anext__()
    assert len(next(iter(board.hub._feeds.values())).events) <= 32


async def test_bookmarks_tell_how_far_the_watch_is() -> None:
    board = Board(StorageLimits(bookmark_seconds=0.05))
    board.put("a")
    watcher = board.watch(namespace="elsewhere", bookmarks=True)
    assert await seen(watcher, 1) == [("BOOKMARK", "", 1)]
    board.put("b")
    assert await seen(watcher, 1) == [("BOOKMARK", "", 2)]
    feed = next(iter(board.hub._feeds.values()))
    assert not feed.waiting  # a watcher woken by time leaves nothing behind


async def test_the_end_of_its_time_brings_a_last_bookmark() -> None:
    board = Board()
    board.put("a")
    assert await rest(board.watch(bookmarks=True, timeout_seconds=0.05)) == [("ADDED", "a", 1), ("BOOKMARK", "", 1)]
    assert await rest(board.watch(timeout_seconds=0.05)) == [("ADDED", "a", 1)]
    assert board.hub.watchers == 0


async def test_a_steady_stream_does_not_outlast_the_time() -> None:
    board = Board()
    watcher = board.watch(timeout_seconds=0.1)
    board.put("a")
    async for _ in watcher:
        board.put("a")
        await asyncio.sleep(0)


async def test_initial_events_end_with_a_marked_bookmark() -> None:
    board = Board()
    board.put("a")
    watcher = board.watch(end_mark=bookmark(WIDGETS, 1, initial_events_end=True))
    events = [json.loads(line) for line in (await watcher.__anext__()).splitlines()]
    assert [event["type"] for event in events] == ["ADDED", "BOOKMARK"]
    assert events[1]["object"] == {
        "kind": "Widget",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": "1", "annotations": {"k8s.io/initial-events-end": "true"}},
    }


async def test_a_large_backlog_comes_in_pieces() -> None:
    board = Board()
    for number in range(30):
        board.put(f"w{number:02}", filler="x" * 100_000)
    chunks = []
    async for chunk in board.watch(timeout_seconds=0.05):
        chunks.append(chunk)
    assert len(chunks) == 3
    assert [event[1] for chunk in chunks for event in parsed(chunk)] == [f"w{number:02}" for number in range(30)]


async def test_a_rebuilt_table_ends_its_watches_after_what_they_still_had() -> None:
    board = Board()
    watcher, idle = board.watch(), board.watch()
    waiting = asyncio.ensure_future(rest(idle))
    board.put("a")
    board.hub.close()
    assert await rest(watcher) == [("ADDED", "a", 1)]
    assert await waiting == [("ADDED", "a", 1)]
    board.hub.close()
    later = board.watch(after=1)
    board.put("b")
    assert await seen(later, 1) == [("ADDED", "b", 2)]


async def test_a_rebuilt_table_ends_a_watch_that_is_ahead_of_it() -> None:
    board = Board()
    waiting = asyncio.ensure_future(rest(board.watch(after=9, bookmarks=True)))
    await asyncio.sleep(0)
    board.hub.close()
    assert await waiting == []


async def test_closing_ends_a_waiting_watch() -> None:
    watcher = Board().watch()
    waiting = asyncio.ensure_future(rest(watcher))
    await asyncio.sleep(0)
    watcher.close()
    watcher.close()
    assert await waiting == []


async def test_events_give_the_same_stream_before_encoding() -> None:
    board = Board()
    board.put("a")
    watcher = board.watch(bookmarks=True, timeout_seconds=0.1)
    found: list[WatchEvent] = []
    async for events in watcher.events():
        found += events
        if len(found) == 1:
            board.put("b")
    assert [(event.type, event.entry.name, event.revision) for event in found] == [
        ("ADDED", "a", 1),
        ("ADDED", "b", 2),
        ("BOOKMARK", "", 2),
    ]


async def test_a_busy_feed_rests_between_deliveries_and_a_quiet_one_does_not() -> None:
    board = Board()
    watcher = board.watch()
    chunks: list[bytes] = []

    async def read() -> None:
        async for chunk in watcher:
            chunks.append(chunk)

    loop = asyncio.get_running_loop()
    reading = asyncio.ensure_future(read())
    await asyncio.sleep(0)
    begin = loop.time()
    for number in range(5):
        board.put(f"first-{number}")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(chunks) == number + 1
    for number in range(1000):
        board.put(f"next-{number}")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    rests = (loop.time() - begin) / LEAST_GAP_SECONDS
    assert len(chunks) <= WAKE_CREDIT_SECONDS / LEAST_GAP_SECONDS + rests + 2
    await eventually_async(lambda: len([event for chunk in chunks for event in parsed(chunk)]) == 1005)
    watcher.close()
    await reading
