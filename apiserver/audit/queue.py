"""A bounded queue of events between the event loop and the thread of a back end: who puts never waits."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from apiserver.audit.event import RawEvent


@dataclass(frozen=True, slots=True)
class QueueLimits:
    events: int = 10_000
    """That wait; the next is lost, and counted."""
    bytes: int = 64 * 1024 * 1024
    """That they hold together."""


class EventQueue:
    """Thread-safe."""

    def __init__(self, limits: QueueLimits) -> None:
        self._limits = limits
        self._events: deque[RawEvent] = deque()
        self._bytes = 0
        self._ready = threading.Condition()
        self._closed = False
        self.lost = 0

    def put(self, event: RawEvent) -> None:
        with self._ready:
            if len(self._events) >= self._limits.events or self._bytes + event.size > self._limits.bytes:
                self.lost += 1
                return
            self._events.append(event)
            self._bytes += event.size
            self._ready.notify()

    def take(self, most: int, wait_seconds: float) -> list[RawEvent]:
        """Waits for the first event, then up to `wait_seconds` for more; empty when the queue is closed and done."""
        with self._ready:
            self._ready.wait_for(lambda: self._events or self._closed)
            if wait_seconds:
                self._ready.wait_for(lambda: len(self._events) >= most or self._closed, wait_seconds)
            events = [self._events.popleft() for _ in range(min(most, len(self._events)))]
            self._bytes -= sum(event.size for event in events)
            return events

    def close(self) -> None:
        """Lets the taker end once it has taken what is there."""
        with self._ready:
            self._closed = True
            self._ready.notify()

    def wait_closed(self, seconds: float) -> bool:
        """True as soon as the queue is closed, False after so many seconds."""
        with self._ready:
            return self._ready.wait_for(lambda: self._closed, seconds)
