"""A token bucket: says how often something may happen on average, and how often at once."""

from __future__ import annotations


class TokenBucket:
    """Holds at most `burst` tokens, as many at first, and gains `per_second`. Times are seconds of one clock."""

    __slots__ = ("_burst", "_filled_at", "_per_second", "_tokens")

    def __init__(self, per_second: float, burst: float, now: float) -> None:
        self._per_second, self._burst = per_second, burst
        self._tokens, self._filled_at = burst, now

    def take(self, now: float) -> bool:
        """Takes a token, if there is one."""
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
