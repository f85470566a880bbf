"""Keeps large answers from holding up everything else: of large pieces of work, each turn of the event loop has one."""

from __future__ import annotations

import asyncio

LARGE_BYTES = 64 * 1024  # a piece that is encrypted and copied for longer than a small request takes


class LargeWork:
    """`async with` it around a large piece of work that does not wait. Whoever came first is next."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> None:
        await self._lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        try:
            await asyncio.sleep(0)  # what else is ready goes before the next piece
        finally:
            self._lock.release()

    async def turn(self) -> None:
        """Returns in a turn of the loop in which nobody else's call returns."""
        async with self:
            pass
