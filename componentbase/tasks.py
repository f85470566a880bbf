"""Tasks that never outlive the code that started them, where a TaskGroup does not fit; and locks between tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

K = TypeVar("K")


async def first_of(*waits: Coroutine[Any, Any, Any]) -> int:
    """Runs them at once until one ends, and returns its index; the others are cancelled and awaited.

    Raises: what the first to end has raised.
    """
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    index = next(index for index, task in enumerate(tasks) if task in done)
    tasks[index].result()
    return index


class Locks(Generic[K]):
    """A lock for each key, which is there as long as somebody holds it or waits for it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[K, asyncio.Lock] = WeakValueDictionary()

    def of(self, key: K) -> asyncio.Lock:
        return self._locks.setdefault(key, asyncio.Lock())


async def wait_for(event: asyncio.Event, seconds: float | None) -> bool:
    """Waits until the event is set, or for so long (None: without end); tells whether it is set."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


@asynccontextmanager
async def alongside(work: Coroutine[Any, Any, Any]) -> AsyncIterator[asyncio.Task[Any]]:
    """Runs `work` beside a block; at the block's end it is cancelled and awaited. Its own failure ends it alone."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait((task,))
