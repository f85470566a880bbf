"""Queues the keys of a control loop: each waits once, has one worker, and comes back later after a failure."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import deque

from prometheus_client import Counter, Gauge, Histogram

from componentbase.metrics import LATENCY_BUCKETS

BASE_DELAY_SECONDS = 0.005
MOST_DELAY_SECONDS = 1000.0
SPARE_DELAYS = 64  # overtaken delays, beyond as many as there are keys, that are kept before they are swept

DEPTH = Gauge("workqueue_depth", "Keys that wait.", ["name"])
ADDS = Counter("workqueue_adds", "Keys added.", ["name"])
RETRIES = Counter("workqueue_retries", "Keys added again after a failure.", ["name"])
WAIT_SECONDS = Histogram("workqueue_queue_duration_seconds", "Time a key waited.", ["name"], buckets=LATENCY_BUCKETS)
WORK_SECONDS = Histogram("workqueue_work_duration_seconds", "Time a key took.", ["name"], buckets=LATENCY_BUCKETS)


class WorkQueue:
    """Has one entry per distinct key, however often that is added, so it needs no bound of its own.

    A key added while it is worked on waits until that is done, so no two workers ever have the same key.
    """

    def __init__(self, name: str = "") -> None:
        self._ready: deque[str] = deque()
        self._dirty: dict[str, float] = {}
        self._processing: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._getters: deque[asyncio.Future[None]] = deque()
        self._delayed: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._depth, self._adds, self._retries = DEPTH.labels(name), ADDS.labels(name), RETRIES.labels(name)
        self._wait_seconds, self._work_seconds = WAIT_SECONDS.labels(name), WORK_SECONDS.labels(name)

    def __len__(self) -> int:
        """Counts the keys that are ready to be worked on."""
        return len(self._ready)

    def add(self, key: str) -> None:
        if key in self._dirty:
            return
        self._dirty[key] = time.monotonic()
        self._adds.inc()
        if key not in self._processing:
            self._push(key)

    def add_after(self, key: str, seconds: float) -> None:
        """Adds the key in `seconds`; of several delays of one key the shortest counts."""
        if seconds <= 0:
            self.add(key)
            return
        when = asyncio.get_running_loop().time() + seconds
        if self._delayed.get(key, when + 1) <= when:
            return
        self._delayed[key] = when
        if len(self._heap) > 2 * len(self._delayed) + SPARE_DELAYS:  # most are overtaken by shorter ones
            self._heap = [(at, waiting) for waiting, at in self._delayed.items()]
            heapq.heapify(self._heap)
        else:
            heapq.heappush(self._heap, (when, key))
        if self._heap[0][0] == when:
            self._set_timer(when)

    def add_rate_limited(self, key: str) -> None:
        """Adds the key after a delay that doubles with every failure since the last `forget`."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self._retries.inc()
        self.add_after(key, min(BASE_DELAY_SECONDS * 2 ** min(failures, 60), MOST_DELAY_SECONDS))

    def forget(self, key: str) -> None:
        self._failures.pop(key, None)

    def failures(self, key: str) -> int:
        """Tells how often the key came back by `add_rate_limited` since the last `forget`."""
        return self._failures.get(key, 0)

    async def get(self) -> str:
        """Waits for the next key, which is this worker's alone until `done`."""
        while not self._ready:
            getter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._getters.append(getter)
            try:
                await getter
            except asyncio.CancelledError:
                if getter.done() and not getter.cancelled() and self._ready:
                    self._wake_one()  # this wake-up was meant for someone who still works
                raise
        key = self._ready.popleft()
        now = time.monotonic()
        self._wait_seconds.observe(now - self._dirty.pop(key))
        self._processing[key] = now
        self._depth.set(len(self._ready))
        return key

    def done(self, key: str) -> None:
        """Ends the work on a key; it waits again if it was added meanwhile."""
        self._work_seconds.observe(time.monotonic() - self._processing.pop(key))
        if key in self._dirty:
            self._push(key)

    def close(self) -> None:
        """Stops the timer of delayed keys."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _push(self, key: str) -> None:
        self._ready.append(key)
        self._depth.set(len(self._ready))
        self._wake_one()

    def _wake_one(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._heap and self._heap[0][0] <= now:
            when, key = heapq.heappop(self._heap)
            if self._delayed.get(key) == when:  # else a shorter delay has replaced this one
                del self._delayed[key]
                self.add(key)
        if self._heap:
            self._set_timer(self._heap[0][0])
