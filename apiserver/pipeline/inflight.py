"""Counts the requests being worked on, bounds their number, and cancels those that take too long."""

from __future__ import annotations

import asyncio

from apimachinery.errors import TooManyRequests
from componentbase.net.http1_exchange import HttpExchange

SWEEP_SECONDS = 1.0


class InFlight:
    """Reads and writes are counted apart, so that neither shuts the other out; long-running requests are not.

    A maximum of 0 is none: priority and fairness bounds the requests, or nothing does.
    """

    def __init__(self, max_reads: int, max_writes: int, timeout_seconds: float) -> None:
        self.reads = 0
        self.writes = 0
        self._max_reads = max_reads
        self._max_writes = max_writes
        self._timeout_seconds = timeout_seconds
        self._since: dict[HttpExchange, float] = {}
        self._timed_out: set[HttpExchange] = set()
        self._loop = asyncio.get_running_loop()

    def enter(self, exchange: HttpExchange, *, write: bool) -> None:
        """Raises: TooManyRequests: the client may try again after a second."""
        if write:
            if 0 < self._max_writes <= self.writes:
                raise _too_many()
            self.writes += 1
        else:
            if 0 < self._max_reads <= self.reads:
                raise _too_many()
            self.reads += 1
        self._since[exchange] = self._loop.time()

    def leave(self, exchange: HttpExchange, *, write: bool) -> None:
        if write:
            self.writes -= 1
        else:
            self.reads -= 1
        self._since.pop(exchange, None)
        self._timed_out.discard(exchange)  # a handler may have swallowed the cancellation

    def stop_clock(self, exchange: HttpExchange) -> None:
        """The request has its answer; how long its client may take to read it is judged by each write's `drain`."""
        self._since.pop(exchange, None)

    def timed_out(self, exchange: HttpExchange) -> bool:
        """True once if it was this class that cancelled the request."""
        if exchange not in self._timed_out or exchange.task is None:
            return False
        self._timed_out.discard(exchange)
        exchange.task.uncancel()
        return True

    def sweep(self) -> None:
        """Cancels what is past its time. Requests are kept in order of arrival, so only late ones are looked at."""
        limit = self._loop.time() - self._timeout_seconds
        late = []
        for exchange, since in self._since.items():
            if since > limit:
                break
            late.append(exchange)
        for exchange in late:
            if exchange not in self._timed_out and exchange.task is not None:
                self._timed_out.add(exchange)
                exchange.task.cancel()

    async def run(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self.sweep()


def _too_many() -> TooManyRequests:
    return TooManyRequests("Too many requests, please try again later.", retry_after_seconds=1)
