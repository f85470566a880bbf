"""How a value comes to a Service: by a key in etcd that only one can create, whichever API server it came to.

A claim is made before its Service is written and given back when the write fails or the Service goes. A server that
dies in between leaves a claim without a Service; `repair.py` finds those, and Services without a claim.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Sequence

from apimachinery.meta import Object
from apiserver.registry.claims.pools import Pool

ABANDONED_SECONDS = 120.0  # a claim without a Service is left alone this long: its Service may be about to be written


class Taken(Exception):
    """The value asked for is another's."""


class OutOfRange(Exception):
    """The value asked for is not the allocator's to give."""


class Exhausted(Exception):
    """Nothing is left."""


class Allocator(ABC):
    """Claims of one kind. Every method that waits may raise StorageUnavailable."""

    def __init__(self) -> None:
        self.claims: Counter[tuple[str, str]] = Counter()
        """Those made since the start, by the pool as it is shown, and "static" (asked for by name) or "dynamic"."""
        self.errors: Counter[tuple[str, str]] = Counter()
        """Those that failed."""

    @abstractmethod
    def pools(self) -> Sequence[Pool]:
        """Returns what there is to give, in the order in which it is given."""

    @abstractmethod
    def is_taken(self, value: str) -> bool:
        """Tells whether the cache knows of a claim."""

    @abstractmethod
    def taken(self) -> Collection[str]:
        """Returns the values with a claim that the cache knows of."""

    @abstractmethod
    async def create(self, value: str, owner: Object) -> bool:
        """Claims the value without a look at the pools; False if it is taken."""

    @abstractmethod
    async def release(self, value: str, owner: Object) -> None:
        """Gives back what is the owner's; anything else is left alone."""

    def contains(self, value: str) -> bool:
        return any(pool.contains(value) for pool in self.pools())

    async def claim(self, value: str, owner: Object) -> None:
        """Raises: OutOfRange, Taken."""
        pools = self.pools()
        shown = next((pool.shown for pool in pools if pool.contains(value)), pools[0].shown if pools else "")
        try:
            self.check(value)
            if not await self.create(value, owner):
                raise Taken
        except (OutOfRange, Taken):
            self.errors[shown, "static"] += 1
            raise
        self.claims[shown, "static"] += 1

    def check(self, value: str) -> None:
        """Looks whether the value could be claimed, as far as the cache knows. Raises: OutOfRange, Taken."""
        if not self.contains(value):
            raise OutOfRange
        if self.is_taken(value):
            raise Taken

    async def claim_any(self, owner: Object) -> str:
        """Raises: Exhausted."""
        for pool in self.pools():
            for value in pool.candidates():
                if not self.is_taken(value) and await self.create(value, owner):
                    self.claims[pool.shown, "dynamic"] += 1
                    return value
            self.errors[pool.shown, "dynamic"] += 1
        raise Exhausted

    def any_free(self) -> str:
        """Returns a value that `claim_any` might choose, for a dry run. Raises: Exhausted."""
        for pool in self.pools():
            for value in pool.candidates():
                if not self.is_taken(value):
                    return value
        raise Exhausted
