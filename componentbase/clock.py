"""Makes time a dependency: wall clock for the wire, monotonic for delays. Tests pass a clock that they move by hand."""

from __future__ import annotations

import asyncio
import time


class Clock:
    """The real clock."""

    def now(self) -> float:
        """Returns Unix seconds, UTC: for timestamps that others read."""
        return time.time()

    def monotonic(self) -> float:
        """Returns seconds that never go back: for delays and deadlines within this process."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
