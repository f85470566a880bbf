"""Delays crashed containers: 10 s, doubled by each crash up to 5 min, forgotten after 10 quiet minutes."""

from __future__ import annotations

from dataclasses import dataclass

INITIAL_SECONDS = 10.0
MAX_SECONDS = 300.0
RESET_SECONDS = 600.0  # a container that ran for so long starts over, whatever the maximum


@dataclass(slots=True)
class _Entry:
    seconds: float
    updated_at: float


class KeyedBackoff:
    """Delays by key. Callers forget the keys of what is gone, so it holds one entry per live container or image."""

    def __init__(self, initial_seconds: float = INITIAL_SECONDS, max_seconds: float = MAX_SECONDS) -> None:
        self.initial_seconds = min(initial_seconds, max_seconds)
        self.max_seconds = max_seconds
        self._entries: dict[str, _Entry] = {}

    def delay(self, key: str) -> float:
        """Returns the present delay in seconds; 0.0 before the first `advance`."""
        entry = self._entries.get(key)
        return entry.seconds if entry else 0.0

    def remaining(self, key: str, failed_at: float, now: float) -> float:
        """Returns the seconds until a retry is due after a failure at `failed_at`; the first one is due at once."""
        entry = self._entries.get(key)
        if entry is None or self._expired(entry, failed_at):
            return 0.0
        return max(0.0, failed_at + entry.seconds - now)

    def advance(self, key: str, now: float) -> float:
        """Notes a retry and returns the delay that the next failure will wait."""
        entry = self._entries.get(key)
        if entry is None or self._expired(entry, now):
            entry = self._entries[key] = _Entry(self.initial_seconds, now)
        else:
            entry.seconds = min(entry.seconds * 2, self.max_seconds)
            entry.updated_at = now
        return entry.seconds

    def forget(self, key: str) -> None:
        self._entries.pop(key, None)

    def forget_prefix(self, prefix: str) -> None:
        for key in [key for key in self._entries if key.startswith(prefix)]:
            del self._entries[key]

    def __len__(self) -> int:
        return len(self._entries)

    def _expired(self, entry: _Entry, when: float) -> bool:
        return when - entry.updated_at > RESET_SECONDS
