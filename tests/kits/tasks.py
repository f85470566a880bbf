"""Tasks of a test that end together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


class Tasks:
    """Takes the place of an asyncio.TaskGroup. A failed task leaves the others and the test alone until `end`."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[Any]] = []

    def create_task(self, work: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, **options)
        self._tasks.append(task)
        return task

    async def end(self) -> None:
        """Cancels them all, and waits. Raises: the error of the first task that failed."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome


@asynccontextmanager
async def background(*works: Coroutine[Any, Any, Any]) -> AsyncIterator[Tasks]:
    """Runs coroutines until the block is left. Raises: the error of the first one that failed."""
    tasks = Tasks()
    for work in works:
        tasks.create_task(work)
    try:
        yield tasks
    finally:
        await tasks.end()
