"""Binds pods to the nodes chosen for them, many at once, while the loop goes on with the next pods."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from apimachinery.errors import StatusError
from scheduler.core.extension_points import Framework
from scheduler.core.queue import QueuedPod
from scheduler.framework import Cycle
from scheduler.views.pod import Pod

BINDERS = 32  # bindings under way at once
SLOW = 1024  # bindings beside these that wait for volumes; when there are more, they take the binders too
BACKLOG = 64  # bindings that wait for one of the binders; when full, the loop waits

Settled = Callable[[Pod], Awaitable[None]]
Bound = Callable[[QueuedPod, str], None]
NotBound = Callable[[QueuedPod, Cycle, str, str], None]


class Binder:
    """`submit` never waits; ask for `room` first. `settled` is waited for before each binding, and the callbacks tell
    how it ended."""

    def __init__(
        self, framework_of: Callable[[Pod], Framework], settled: Settled, bound: Bound, not_bound: NotBound
    ) -> None:
        self._framework_of, self._settled, self._bound, self._not_bound = framework_of, settled, bound, not_bound
        self._waiting: deque[tuple[QueuedPod, Cycle, str]] = deque()
        self._work = asyncio.Semaphore(0)
        self._room = asyncio.Event()
        self._room.set()
        self._slow = 0

    async def room(self) -> None:
        await self._room.wait()

    def submit(self, queued: QueuedPod, cycle: Cycle, node: str) -> None:
        self._waiting.append((queued, cycle, node))
        if len(self._waiting) >= BACKLOG:
            self._room.clear()
        self._work.release()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(BINDERS):
                tasks.create_task(self._bind_all(tasks))

    async def _bind_all(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            await self._work.acquire()
            queued, cycle, node = self._waiting.popleft()
            if len(self._waiting) < BACKLOG:
                self._room.set()
            if self._slow < SLOW and self._framework_of(queued.pod).is_slow(cycle):
                self._slow += 1
                tasks.create_task(self._bind_slowly(queued, cycle, node))
            else:
                await self._bind(queued, cycle, node)

    async def _bind_slowly(self, queued: QueuedPod, cycle: Cycle, node: str) -> None:
        try:
            await self._bind(queued, cycle, node)
        finally:
            self._slow -= 1

    async def _bind(self, queued: QueuedPod, cycle: Cycle, node: str) -> None:
        await self._settled(queued.pod)
        try:
            rejected = await self._framework_of(queued.pod).run_bind(cycle, node)
        except (StatusError, ConnectionError, TimeoutError) as error:
            self._not_bound(queued, cycle, node, str(error))
        else:
            if rejected is not None:
                self._not_bound(queued, cycle, node, rejected.reason)
            else:
                self._bound(queued, node)
