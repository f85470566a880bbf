"""Watches over one table: a feed per distinct filter, shared by all its watchers.

A feed is a list of events; a watcher is a position in it. So an event costs the same for one watcher and for a
thousand until it reaches their sockets: they join the same events to the same chunk of bytes, once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from apimachinery.resource import Resource
from apiserver.storage.cache.ring import TableChange
from apiserver.storage.cache.selection import Selection, SelectionKey
from apiserver.storage.interface import ADDED, BODY_PIECE_BYTES, BOOKMARK, Entry, WatchEvent
from apiserver.storage.limits import DEFAULT_LIMITS, StorageLimits

# To wake a watcher and write to it costs more than making its event does: under load, a third of the time of all
# writes. So a busy feed rests between wake-ups, longer while more than one event comes in each LEAST_GAP_SECONDS, and
# then hands out all that has happened. After a quiet, the first wake-ups go out at once: a few events in a row never
# wait, nor do those of one writer, who waits for each answer.
LEAST_GAP_SECONDS = 0.8e-3
WAKE_GAP_SECONDS = 5e-3
WATCHER_GAP_SECONDS = 60e-6  # for each watcher: waking a thousand takes some 30 ms of CPU
MAX_WAKE_GAP_SECONDS = 0.1
WAKE_CREDIT_SECONDS = 40e-3  # of rest that a quiet saves up
CACHED_CHUNKS = 4  # positions of a feed; watchers of a feed mostly stand at the same one
_TRIM_EVENTS = 16  # below this a feed is not worth trimming

_NEVER = float("inf")


def encode_events(events: Sequence[WatchEvent]) -> bytes:
    """Encodes each event as one line of JSON."""
    parts: list[bytes] = []
    for event in events:
        parts += (b'{"type":"%b","object":' % event.type.encode(), event.entry.value, b"}\n")
    return b"".join(parts)


def bookmark(resource: Resource[Any], revision: int, *, initial_events_end: bool = False) -> WatchEvent:
    """Makes an event that only says up to which revision the watcher has seen everything."""
    note = b',"annotations":{"k8s.io/initial-events-end":"true"}' if initial_events_end else b""
    value = b'{"kind":"%b","apiVersion":"%b","metadata":{"resourceVersion":"%d"%b}}' % (
        resource.kind.encode(),
        resource.api_version.encode(),
        revision,
        note,
    )
    return WatchEvent(BOOKMARK, Entry("", "", "", revision, value, {}, {}), revision)


class WatchFeed:
    """The events one filter lets through, from `base` (a running number) on."""

    __slots__ = (
        "_bytes", "_chunks", "_gap", "_loop", "_max_bytes", "_max_events", "_timer", "_trim_at", "_wake_at", "_woken",
        "base", "closed", "events", "selection", "waiting", "watchers",
    )  # fmt: skip

    def __init__(self, selection: Selection, limits: StorageLimits = DEFAULT_LIMITS) -> None:
        self.selection = selection
        self._max_events, self._max_bytes = limits.watcher_events, limits.watcher_bytes
        self.base = 0
        self.events: list[WatchEvent] = []
        self.watchers: set[CacheWatcher] = set()
        self.waiting: set[asyncio.Future[None]] = set()
        self.closed = False
        self._bytes = 0
        self._chunks: dict[int, tuple[bytes, int]] = {}
        self._trim_at = _TRIM_EVENTS
        self._loop = asyncio.get_running_loop()
        self._wake_at = -_NEVER
        self._gap, self._woken = LEAST_GAP_SECONDS, self.base
        self._timer: asyncio.TimerHandle | None = None

    @property
    def end(self) -> int:
        return self.base + len(self.events)

    def append(self, event: WatchEvent) -> None:
        self.events.append(event)
        self._bytes += len(event.entry.value)
        if self._chunks:
            self._chunks.clear()
        if len(self.events) >= self._trim_at or self._bytes > self._max_bytes:
            self._trim()

    def _trim(self) -> None:
        """Drops what every watcher has taken, and what lagging ones should have."""
        self._drop(min((watcher.position for watcher in self.watchers), default=self.end) - self.base)
        if len(self.events) >= self._max_events or self._bytes > self._max_bytes:
            self._drop((len(self.events) + 1) // 2)
        self._trim_at = min(self._max_events, max(_TRIM_EVENTS, 2 * len(self.events)))

    def _drop(self, count: int) -> None:
        if count > 0:
            self._bytes -= sum(len(event.entry.value) for event in self.events[:count])
            del self.events[:count]
            self.base += count

    def forget(self) -> None:
        """Drops everything, once its only watcher has it."""
        self.base += len(self.events)
        self.events.clear()
        self._chunks.clear()
        self._bytes = 0

    def cut(self, position: int) -> int:
        """Returns where a chunk from `position` ends: after about BODY_PIECE_BYTES, between two revisions."""
        size = 0
        events = self.events
        index = position - self.base
        while index < len(events):
            size += len(events[index].entry.value)
            index += 1
            if size >= BODY_PIECE_BYTES and (
                index == len(events) or events[index].revision != events[index - 1].revision
            ):
                break
        return self.base + index

    def chunk(self, position: int) -> tuple[bytes, int]:
        """Returns (encoded events from `position`, the position after them), made once for all watchers there."""
        chunk = self._chunks.get(position)
        if chunk is None:
            end = self.cut(position)
            if len(self._chunks) >= CACHED_CHUNKS:
                self._chunks.clear()
            chunk = encode_events(self.events[position - self.base : end - self.base]), end
            self._chunks[position] = chunk
        return chunk

    def flush(self) -> None:
        """Wakes the watchers, at once or when they have rested long enough since the last times."""
        if not self.waiting or self._timer is not None:
            return
        now = self._loop.time()
        if now >= self._wake_at:
            self._gap = LEAST_GAP_SECONDS
            self.wake()
        else:
            self._timer = self._loop.call_later(self._wake_at - now, self._wake_rested)

    def _wake_rested(self) -> None:
        """Rests longer the next time if much has come in this one."""
        is_busy = (self.end - self._woken) * LEAST_GAP_SECONDS > self._gap
        self._gap = min(2 * self._gap, WAKE_GAP_SECONDS) if is_busy else LEAST_GAP_SECONDS
        self.wake()

    def wake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._woken = self.end
        gap = min(MAX_WAKE_GAP_SECONDS, max(self._gap, WATCHER_GAP_SECONDS * len(self.watchers)))
        self._wake_at = max(self._wake_at + gap, self._loop.time() - WAKE_CREDIT_SECONDS)
        waiting, self.waiting = self.waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def close(self) -> None:
        """Ends all its watches."""
        self.closed = True
        self.wake()


class WatchHub:
    """The feeds of one table, found by what an object has: no event looks at the feeds of other nodes' kubelets."""

    def __init__(self, limits: StorageLimits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        self._feeds: dict[SelectionKey, WatchFeed] = {}
        self._by_field: dict[str, dict[str, list[WatchFeed]]] = {}
        self._by_namespace: dict[str, list[WatchFeed]] = {}
        self._dirty: set[WatchFeed] = set()

    @property
    def watchers(self) -> int:
        return sum(len(feed.watchers) for feed in self._feeds.values())

    def publish(self, change: TableChange) -> None:
        """Gives the change to every feed it concerns; `flush` then wakes their watchers."""
        if not self._feeds:
            return
        for feed in self._concerned(change):
            event = feed.selection.event(change)
            if event is not None:
                feed.append(event)
                self._dirty.add(feed)

    def _concerned(self, change: TableChange) -> Iterator[WatchFeed]:
        yield from self._by_namespace.get("", ())
        yield from self._by_namespace.get(change.entry.namespace, ()) if change.entry.namespace else ()
        for path, feeds in self._by_field.items():
            now = change.entry.field(path)
            yield from feeds.get(now, ())
            if change.previous is not None and (before := change.previous.field(path)) != now:
                yield from feeds.get(before, ())

    def flush(self) -> None:
        if self._dirty:
            for feed in self._dirty:
                feed.flush()
            self._dirty.clear()

    def join(self, selection: Selection) -> WatchFeed:
        feed = self._feeds.get(selection.key)
        if feed is None:
            feed = self._feeds[selection.key] = WatchFeed(selection, self.limits)
            self._siblings(selection).append(feed)
        return feed

    def leave(self, feed: WatchFeed) -> None:
        """Forgets a feed whose last watcher has gone."""
        if not feed.watchers and self._feeds.get(feed.selection.key) is feed:
            del self._feeds[feed.selection.key]
            self._siblings(feed.selection).remove(feed)
            if exact := feed.selection.exact_field():
                if not self._by_field[exact[0]][exact[1]]:
                    del self._by_field[exact[0]][exact[1]]
                if not self._by_field[exact[0]]:
                    del self._by_field[exact[0]]
            elif not self._by_namespace[feed.selection.namespace]:
                del self._by_namespace[feed.selection.namespace]

    def _siblings(self, selection: Selection) -> list[WatchFeed]:
        if exact := selection.exact_field():
            return self._by_field.setdefault(exact[0], {}).setdefault(exact[1], [])
        return self._by_namespace.setdefault(selection.namespace, [])

    def close(self) -> None:
        """Ends every watch, for a table that can't be resumed."""
        feeds = list(self._feeds.values())
        self._feeds.clear()
        self._by_field.clear()
        self._by_namespace.clear()
        self._dirty.clear()
        for feed in feeds:
            feed.close()


class Progress:
    """The revision up to which the tables hold everything."""

    __slots__ = ("revision",)

    def __init__(self) -> None:
        self.revision = 0


class CacheWatcher:
    """One watch: first its backlog (what is stored, or what it missed), then its feed. See interface.Watcher."""

    __slots__ = (
        "_after", "_backlog", "_bookmark_at", "_bookmarks", "_closed", "_deadline", "_end_mark", "_feed", "_future",
        "_hub", "_loop", "_marked", "_progress", "_resource", "_timer", "position",
    )  # fmt: skip

    def __init__(
        self,
        resource: Resource[Any],
        hub: WatchHub,
        progress: Progress,
        selection: Selection,
        backlog: Iterator[WatchEvent],
        *,
        after: int = 0,
        bookmarks: bool = False,
        end_mark: WatchEvent | None = None,
        timeout_seconds: float | None = None,
    ) -> None:
        """Nothing may be awaited between making the backlog and this call, or a change would be missed.

        `after`: the client has seen everything up to this revision, even where this cache has not reached it yet.
        `end_mark` follows the backlog.
        """
        self._resource = resource
        self._hub = hub
        self._progress = progress
        self._feed = hub.join(selection)
        self._feed.watchers.add(self)
        self.position = self._feed.end
        self._backlog: Iterator[WatchEvent] | None = backlog
        self._after = after if after > progress.revision else 0
        self._bookmarks = bookmarks
        self._end_mark = end_mark
        self._marked = end_mark.revision if end_mark is not None else 0  # by the last bookmark
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._deadline = _NEVER if timeout_seconds is None else now + timeout_seconds
        self._bookmark_at = now + self._hub.limits.bookmark_seconds if bookmarks else _NEVER
        self._future: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._set_timer()

    def __aiter__(self) -> CacheWatcher:
        return self

    async def __anext__(self) -> bytes:
        while not self._closed:
            early = self._backlog is not None or self._after
            chunk = encode_events(self._early_events()) if early else self._chunk()
            if not chunk or self._timer is None:
                chunk += encode_events(self._due())
            if chunk:
                return chunk
            await self._wait()
        raise StopAsyncIteration

    async def events(self) -> AsyncIterator[Sequence[WatchEvent]]:
        while not self._closed:
            events = self._early_events() if self._backlog is not None or self._after else self._next_events()
            if not events or self._timer is None:
                events += self._due()
            if events:
                yield events
            else:
                await self._wait()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._backlog = None
        if self._timer is not None:
            self._timer.cancel()
        self._feed.watchers.discard(self)
        self._hub.leave(self._feed)
        self._wake()

    def _chunk(self) -> bytes:
        feed = self._feed
        if self.position == feed.end or self._lagged():
            return b""
        chunk, self.position = feed.chunk(self.position)
        return chunk

    def _next_events(self) -> list[WatchEvent]:
        if self._lagged():
            return []
        feed = self._feed
        start, self.position = self.position - feed.base, feed.cut(self.position)
        return feed.events[start : self.position - feed.base]

    def _lagged(self) -> bool:
        """Closes a watcher whose next events are gone: its client watches again from the last revision it saw."""
        if self.position < self._feed.base:
            self.close()
            return True
        return False

    def _early_events(self) -> list[WatchEvent]:
        """Returns the next piece of the backlog; then newer events of the feed, until the cache has reached `after`."""
        piece: list[WatchEvent] = []
        if self._backlog is not None:
            size = 0
            for event in self._backlog:
                piece.append(event)
                size += len(event.entry.value)
                if size >= BODY_PIECE_BYTES:
                    return piece
            self._backlog = None
            if self._end_mark is not None:
                piece.append(self._end_mark)
            return piece
        if not self._lagged():
            feed = self._feed
            piece = [event for event in feed.events[self.position - feed.base :] if event.revision > self._after]
            self.position = feed.end
            if self._progress.revision >= self._after:
                self._after = 0
        return piece

    def _due(self) -> list[WatchEvent]:
        """Does what is due by time: a bookmark, if the watcher has everything up to now, or the end."""
        feed = self._feed
        drained = self.position == feed.end and self._backlog is None
        up_to_date = drained and not self._after and not feed.closed
        now = self._loop.time()
        events: list[WatchEvent] = []
        ending = now >= self._deadline or (feed.closed and drained)
        due = now >= self._bookmark_at or (ending and self._progress.revision > self._marked)
        if self._bookmarks and up_to_date and due:
            self._marked = self._progress.revision
            events.append(bookmark(self._resource, self._marked))
        if now >= self._bookmark_at:
            self._bookmark_at = now + self._hub.limits.bookmark_seconds
        if ending:
            self.close()
        elif self._timer is None:
            self._set_timer()
        return events

    async def _wait(self) -> None:
        if self._closed or self.position != self._feed.end:
            return
        feed = self._feed
        if len(feed.watchers) == 1:
            feed.forget()
        self._future = future = self._loop.create_future()
        feed.waiting.add(future)
        try:
            await future
        finally:
            feed.waiting.discard(future)
            self._future = None

    def _wake(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def _set_timer(self) -> None:
        at = min(self._deadline, self._bookmark_at)
        if at != _NEVER:
            self._timer = self._loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._wake()


def replay(changes: Sequence[TableChange], selection: Selection) -> Iterator[WatchEvent]:
    """Yields what a watch that resumes from the ring has missed."""
    for change in changes:
        event = selection.event(change)
        if event is not None:
            yield event


def current_state(entries: Sequence[Entry]) -> Iterator[WatchEvent]:
    """Yields stored objects as synthetic ADDED events."""
    return (WatchEvent(ADDED, entry, entry.revision) for entry in entries)
