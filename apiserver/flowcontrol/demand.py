"""How many seats a level has wanted, over time. Pure; times are seconds of any clock."""

from __future__ import annotations

import math
from dataclasses import dataclass

SMOOTHING = 0.977
"""The weight of the past when a new period is counted in. Source: upstream's enhancement proposal 1040."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """The seats wanted in one period."""

    average: float
    deviation: float
    high: float


class Demand:
    """Integrates a number that changes at any time."""

    __slots__ = ("_area", "_at", "_since", "_squares", "high", "value")

    def __init__(self, now: float) -> None:
        self.value = 0
        self.high = 0
        self._area = self._squares = 0.0
        self._at = self._since = now

    def add(self, change: int, now: float) -> None:
        value, elapsed = self.value, now - self._at
        self._area += value * elapsed
        self._squares += value * value * elapsed
        self._at = now
        self.value = value = value + change
        if value > self.high:
            self.high = value

    def take(self, now: float) -> Envelope:
        """Returns the figures of the period since the last call, and begins the next one."""
        self.add(0, now)
        seconds, high = now - self._since, self.high
        area, squares = self._area, self._squares
        self.high, self._since, self._area, self._squares = self.value, now, 0.0, 0.0
        if seconds <= 0:
            return Envelope(self.value, 0.0, high)
        average = area / seconds
        return Envelope(average, math.sqrt(max(squares / seconds - average * average, 0.0)), high)


def smoothed(before: float, envelope: Envelope) -> float:
    """Follows a rise at once, and a fall slowly."""
    now = envelope.average + envelope.deviation
    return max(now, SMOOTHING * before + (1 - SMOOTHING) * now)
