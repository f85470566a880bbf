"""Asks other nodes each second whether they are there. A lost node is noticed sooner than from its Node object."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from componentbase import logs
from componentbase.clock import Clock

PERIOD_SECONDS = ANSWER_SECONDS = 1.0
MISSES = 3
"""Questions without an answer, one after the other, until a node counts as lost."""
PORT = 9
"""Discard, by TCP. Nobody needs to listen there: that the kernel refuses the connection is an answer."""

Answers = Callable[[str], Awaitable[bool]]
"""Asks a node by its address."""

log = logs.logger(__name__)


class Reachability:
    """A node that has answered once and does so no longer is lost; one that never did (a firewall, say) is not."""

    def __init__(self, clock: Clock, on_change: Callable[[], None], answers: Answers | None = None) -> None:
        self._clock, self._on_change, self._answers = clock, on_change, answers or is_there
        self._watched: Mapping[str, str] = {}
        self._misses: dict[str, int] = {}
        """By node, how many questions had no answer since its last one. Holds only nodes that have answered once."""
        self._any_watched = asyncio.Event()

    @property
    def lost(self) -> set[str]:
        return {name for name, misses in self._misses.items() if misses >= MISSES}

    def watch(self, addresses: Mapping[str, str]) -> None:
        """Watches these nodes, by their addresses, and no others from now on."""
        self._watched = addresses
        self._misses = {name: misses for name, misses in self._misses.items() if name in addresses}
        if addresses:
            self._any_watched.set()
        else:
            self._any_watched.clear()

    async def run(self) -> None:
        """Asks until cancelled."""
        while True:
            await self._any_watched.wait()
            started, lost = self._clock.monotonic(), self.lost
            watched = self._watched
            answers = await asyncio.gather(*(self._answers(address) for address in watched.values()))
            for name, answered in zip(watched, answers, strict=True):
                if answered:
                    self._misses[name] = 0
                elif name in self._misses:
                    self._misses[name] += 1
            self.watch(self._watched)  # others than those that were asked, by now
            if self.lost != lost:
                log.info("nodes do not answer", nodes=",".join(sorted(self.lost)))
                self._on_change()
            await self._clock.sleep(max(0.0, started + PERIOD_SECONDS - self._clock.monotonic()))


async def is_there(address: str, port: int = PORT) -> bool:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            _, writer = await asyncio.open_connection(address, port)
    except ConnectionRefusedError:
        return True
    except OSError:  # no answer in time, or no way there
        return False
    writer.close()
    return True
