"""Waiting in tests: look until it is so, fail after a deadline. All tests have the same one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import chain
from typing import TypeVar

T = TypeVar("T")

DEADLINE_SECONDS = 60.0
"""Long, since only a test that fails waits for it, and a busy machine must not make one fail."""
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 0.001, 0.05
TURNS = 100  # of the loop, before the first real pause: enough for what happens in memory alone


def eventually(check: Callable[[], T | None], what: str = "", seconds: float = DEADLINE_SECONDS) -> T:
    """The first truthy answer of `check`. Raises: AssertionError after `seconds`."""
    for pause in _pauses(what or str(check), seconds):
        if answer := check():
            return answer
        time.sleep(pause)
    raise AssertionError("unreachable")


async def eventually_async(
    check: Callable[[], T | Awaitable[T | None] | None], what: str = "", seconds: float = DEADLINE_SECONDS
) -> T:
    """Like `eventually`, while the loop goes on; `check` may be a coroutine function."""
    for pause in chain([0.0] * TURNS, _pauses(what or str(check), seconds)):
        answer = check()
        if isinstance(answer, Awaitable):
            answer = await answer
        if answer:
            return answer
        await asyncio.sleep(pause)
    raise AssertionError("unreachable")


def _pauses(what: str, seconds: float) -> Iterator[float]:
    """Growing pauses until the deadline. Raises: AssertionError then."""
    deadline, pause = time.monotonic() + seconds, FIRST_PAUSE_SECONDS
    while True:
        yield pause
        pause = min(pause * 1.5, LAST_PAUSE_SECONDS)
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
