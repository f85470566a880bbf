"""Exponential backoff with jitter, for loops that try again."""

from __future__ import annotations

import random


class Backoff:
    """Delays from `first_seconds`, doubled each time up to `most_seconds`, each stretched at random by up to a half."""

    def __init__(self, first_seconds: float, most_seconds: float) -> None:
        self._first, self._most = first_seconds, most_seconds
        self._next = first_seconds

    def next_seconds(self) -> float:
        delay, self._next = self._next, min(self._next * 2, self._most)
        return delay * random.uniform(1.0, 1.5)

    def reset(self) -> None:
        self._next = self._first
