"""ClusterIPs and node ports: each is a key in etcd that only one Service can create, whichever API server it came to.

A claim is made before its Service is written and given back when the write fails or the Service goes. A server that
dies in between leaves a claim without a Service; `repair` finds those, and Services without a claim.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from apimachinery.meta import Object, ObjectMeta
from apimachinery.model import decode, encode
from apimachinery.resource import Resource
from apimachinery.times import format_time, parse_time
from apiserver.storage import CachedStorage
from apiserver.storage.interface import Entry, KeyExists, RevisionConflict
from componentbase import logs
from componentbase.clock import Clock

RANDOM_TRIES = 32  # before the range is searched in order
ABANDONED_SECONDS = 120.0  # a claim without a Service is left alone this long: its Service may be about to be written

log = logs.logger(__name__)


class Claim(Object):
    """Stored only, never served. `owner` is "namespace/name" of the Service, `ownerUID` the one it was made for."""

    owner: str = ""
    ownerUID: str = ""


def claims_resource(plural: str, storage_prefix: str) -> Resource[Claim]:
    return Resource(
        kind="Claim",
        plural=plural,
        model=Claim,
        group="internal.apiserver.k8s.io",
        namespaced=False,
        storage_prefix=storage_prefix,
    )


class Taken(Exception):
    """The value asked for is another's."""


class OutOfRange(Exception):
    """The value asked for is not the allocator's to give."""


class Exhausted(Exception):
    """Nothing is left."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Values by index. Those from `static_size` on are given out first, the others are for who asks by name."""

    size: int
    static_size: int
    value: Callable[[int], str]
    contains: Callable[[str], bool]
    shown: str


def address_pool(network: IPv4Network) -> Pool:
    """All addresses but the network's own, the broadcast and the first, which is the `kubernetes` Service's.

    Source: Kubernetes documentation, "Service ClusterIP allocation": the lower band is kept for chosen addresses.
    """
    first = int(network.network_address) + 2
    size = network.num_addresses - 3
    reserved = IPv4Address(first - 1)

    def contains(text: str) -> bool:
        try:
            address = IPv4Address(text)
        except ValueError:
            return False
        return address == reserved or 0 <= int(address) - first < size

    band = min(max(16, network.num_addresses // 16), 256) if size > 32 else 0
    return Pool(size, band, lambda index: str(IPv4Address(first + index)), contains, str(network))


def port_pool(ports: range) -> Pool:
    """Source: Kubernetes documentation, "Avoiding NodePort collisions": a lower band is kept for chosen ports."""
    band = min(max(16, len(ports) // 32), 128) if len(ports) > 32 else 0
    shown = f"{ports[0]}-{ports[-1]}"
    return Pool(
        len(ports), band, lambda index: str(ports[index]), lambda text: text.isdigit() and int(text) in ports, shown
    )


class Allocator:
    """Claims of one kind. Every method may raise StorageUnavailable."""

    def __init__(self, storage: CachedStorage, resource: Resource[Claim], pool: Pool, clock: Clock) -> None:
        self.pool = pool
        self.resource = resource
        self._storage = storage
        self._clock = clock
        storage.register(resource)

    async def claim(self, value: str, owner: Object) -> None:
        """Raises: OutOfRange, Taken."""
        self.check(value)
        if not await self._create(value, owner):
            raise Taken(value)

    def check(self, value: str) -> None:
        """Looks whether the value could be claimed, as far as the cache knows. Raises: OutOfRange, Taken."""
        if not self.pool.contains(value):
            raise OutOfRange(value)
        if self._storage.peek(self.resource, "", value) is not None:
            raise Taken(value)

    async def claim_any(self, owner: Object) -> str:
        """Raises: Exhausted."""
        for value in self._candidates():
            if self._storage.peek(self.resource, "", value) is None and await self._create(value, owner):
                return value
        raise Exhausted

    def any_free(self) -> str:
        """A value that `claim_any` might choose, for a dry run. Raises: Exhausted."""
        for value in self._candidates():
            if self._storage.peek(self.resource, "", value) is None:
                return value
        raise Exhausted

    def _candidates(self) -> Iterable[str]:
        pool = self.pool
        for _ in range(RANDOM_TRIES):
            yield pool.value(random.randrange(pool.static_size, pool.size))
        yield from map(pool.value, range(pool.static_size, pool.size))
        yield from map(pool.value, range(pool.static_size))

    async def _create(self, value: str, owner: Object) -> bool:
        claim = Claim(
            kind=self.resource.kind,
            apiVersion=self.resource.api_version,
            metadata=ObjectMeta(name=value, creationTimestamp=format_time(self._clock.now())),
            owner=owner.key,
            ownerUID=owner.metadata.uid or "",
        )
        try:
            await self._storage.create(self.resource, "", value, encode(claim), obj=claim)
        except KeyExists:
            return False
        return True

    async def release(self, value: str, owner: Object) -> None:
        """Gives back what is the owner's; anything else is left alone."""
        entry = await self._storage.get_from_etcd(self.resource, "", value)
        if entry is not None and decode(Claim, entry.value).ownerUID == owner.metadata.uid:
            await self._drop(entry)

    async def _drop(self, entry: Entry) -> None:
        try:
            await self._storage.delete(self.resource, "", entry.name, entry.revision)
        except RevisionConflict:
            return  # somebody else has just released it

    async def repair(self, used: dict[str, Object]) -> None:
        """`used`: value -> the Service that has it, all of them. Claims what is unclaimed, drops what is abandoned."""
        page = await self._storage.list(self.resource, "")
        claimed = {entry.name: entry for entry in page.entries}
        for value, owner in used.items():
            if value not in claimed and self.pool.contains(value) and await self._create(value, owner):
                log.warning("claimed what a service had unclaimed", value=value, service=owner.key)
        for value, entry in claimed.items():
            claim = decode(Claim, entry.value)
            holder = used.get(value)
            if holder is not None and holder.metadata.uid == claim.ownerUID:
                continue
            if self._clock.now() - parse_time(claim.metadata.creationTimestamp or "") > ABANDONED_SECONDS:
                log.warning("released an abandoned claim", value=value, service=claim.owner)
                await self._drop(entry)
