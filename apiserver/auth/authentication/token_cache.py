"""Users of tokens whose verification costs much: remembered for a while, by token."""

from __future__ import annotations

from apiserver.request.user import User
from componentbase.clock import Clock

MAX_TOKENS = 4096  # when there are as many, all are forgotten


class TokenCache:
    def __init__(self, clock: Clock, seconds: float) -> None:
        """`seconds`: how long a user is remembered; 0 for not at all."""
        self._clock = clock
        self._seconds = seconds
        self._users: dict[bytes, tuple[float, User]] = {}

    def get(self, token: bytes) -> User | None:
        kept = self._users.get(token)
        return kept[1] if kept is not None and kept[0] > self._clock.now() else None

    def put(self, token: bytes, user: User, expires: float = float("inf")) -> None:
        """`expires`: Unix seconds at which the token itself ends."""
        if len(self._users) >= MAX_TOKENS:
            self._users.clear()
        self._users[token] = (min(self._clock.now() + self._seconds, expires), user)
