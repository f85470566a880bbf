"""A clock that tests move by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from componentbase.clock import Clock


class FakeClock(Clock):
    """`sleep` returns when `advance` has moved the time far enough."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now
        self._monotonic = 1000.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._monotonic + seconds, waiter))
        await waiter

    def step(self, seconds: float) -> None:
        """Moves the time without letting anything run."""
        self._now += seconds
        self._monotonic += seconds

    async def advance(self, seconds: float) -> None:
        """Moves the time and wakes, in order, all that slept until then; each runs as far as it can."""
        end = self._monotonic + seconds
        while True:
            await idle()
            due = sorted((item for item in self._sleepers if item[0] <= end), key=lambda item: item[0])
            if not due:
                break
            self.step(max(due[0][0] - self._monotonic, 0.0))
            self._sleepers.remove(due[0])
            if not due[0][1].done():
                due[0][1].set_result(None)
        self.step(end - self._monotonic)
        await idle()


class QuickClock(FakeClock):
    """`sleep` moves the time and returns: for loops whose waiting is not what a test is about."""

    async def sleep(self, seconds: float) -> None:
        self.step(seconds)
        await asyncio.sleep(0)


async def idle() -> None:
    """Returns when nothing on the loop can go on by itself: all tasks wait for the clock, for the test or for I/O.

    The loop's own queue tells, which asyncio keeps to itself: what is in it while this task runs would run next.
    """
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
    await asyncio.sleep(0)
    while ready:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0)


class InlineExecutor(ThreadPoolExecutor):
    """Does at once what others leave to threads, which a clock moved by hand would not wait for."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(work(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future
