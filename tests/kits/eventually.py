"""Waiting in tests: poll until it is so, fail after a deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE_SECONDS = 30.0
POLL_SECONDS = 0.01


def eventually(check: Callable[[], T | None], what: str = "", seconds: float = DEADLINE_SECONDS) -> T:
    """The first truthy answer of `check`. Raises: AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (answer := check()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what or check}"
        time.sleep(POLL_SECONDS)
    return answer


async def eventually_async(
    check: Callable[[], T | Awaitable[T | None] | None], what: str = "", seconds: float = DEADLINE_SECONDS
) -> T:
    """Like `eventually`, while the loop goes on; `check` may be a coroutine function."""
    deadline = time.monotonic() + seconds
    while True:
        answer = check()
        if isinstance(answer, Awaitable):
            answer = await answer
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what or check}"
        await asyncio.sleep(POLL_SECONDS)
