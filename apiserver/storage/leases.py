"""etcd leases for objects that expire by themselves (Events)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

LEASE_KEYS = 1_000  # objects on one lease: they all vanish in one revision, so it bounds that burst
SHARE_SECONDS = 60  # a lease is shared by objects written within this time (less for short lives), so it lasts longer


class LeasePool:
    """Hands out leases, one for many objects: a grant costs a round trip and memory in etcd."""

    def __init__(self, grant: Callable[[int], Awaitable[int]], clock: Callable[[], float]) -> None:
        """`grant` makes a lease of so many seconds; `clock` is monotonic."""
        self._grant = grant
        self._clock = clock
        self._leases: dict[int, _Lease] = {}
        self._lock = asyncio.Lock()

    async def lease(self, ttl_seconds: int) -> int:
        """Returns a lease that ends at least `ttl_seconds` from now, and not much later."""
        async with self._lock:
            lease = self._leases.get(ttl_seconds)
            now = self._clock()
            if lease is None or lease.keys >= LEASE_KEYS or now >= lease.shared_until:
                share = min(SHARE_SECONDS, max(1, ttl_seconds // 20))
                lease = _Lease(await self._grant(ttl_seconds + share), now + share)
                self._leases[ttl_seconds] = lease
            lease.keys += 1
            return lease.id

    def forget(self, ttl_seconds: int) -> None:
        """Drops the lease handed out last, which is gone in etcd: the next one is new."""
        self._leases.pop(ttl_seconds, None)


class _Lease:
    __slots__ = ("id", "keys", "shared_until")

    def __init__(self, lease_id: int, shared_until: float) -> None:
        self.id = lease_id
        self.keys = 0
        self.shared_until = shared_until
