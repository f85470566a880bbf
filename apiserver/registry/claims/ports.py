"""Node ports: each is a key of its own in etcd."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from apimachinery.meta import Object, ObjectMeta
from apimachinery.model import decode, encode
from apimachinery.resource import Resource
from apimachinery.times import format_time, parse_time
from apiserver.registry.claims.allocator import ABANDONED_SECONDS, Allocator
from apiserver.registry.claims.pools import Pool
from apiserver.storage import CachedStorage
from apiserver.storage.interface import Entry, KeyExists, RevisionConflict
from componentbase import logs
from componentbase.clock import Clock

log = logs.logger(__name__)


class Claim(Object):
    """Stored only, never served. `owner` is "namespace/name" of the Service, `ownerUID` the one it was made for."""

    owner: str = ""
    ownerUID: str = ""


PORT_CLAIMS = Resource(
    kind="Claim",
    plural="servicenodeportclaims",
    model=Claim,
    group="internal.apiserver.k8s.io",
    namespaced=False,
    storage_prefix="ranges/servicenodeports",
)


class PortAllocator(Allocator):
    def __init__(self, storage: CachedStorage, pool: Pool, clock: Clock) -> None:
        super().__init__()
        self.pool = pool
        self._storage = storage
        self._clock = clock
        storage.register(PORT_CLAIMS)

    def pools(self) -> Sequence[Pool]:
        return (self.pool,)

    def is_taken(self, value: str) -> bool:
        return self._storage.peek(PORT_CLAIMS, "", value) is not None

    def taken(self) -> Collection[str]:
        return [entry.name for entry in self._storage.snapshot(PORT_CLAIMS)]

    async def create(self, value: str, owner: Object) -> bool:
        claim = Claim(
            kind=PORT_CLAIMS.kind,
            apiVersion=PORT_CLAIMS.api_version,
            metadata=ObjectMeta(name=value, creationTimestamp=format_time(self._clock.now())),
            owner=owner.key,
            ownerUID=owner.metadata.uid or "",
        )
        try:
            await self._storage.create(PORT_CLAIMS, "", value, encode(claim), obj=claim)
        except KeyExists:
            return False
        return True

    async def release(self, value: str, owner: Object) -> None:
        entry = await self._storage.get_from_etcd(PORT_CLAIMS, "", value)
        if entry is not None and decode(Claim, entry.value).ownerUID == owner.metadata.uid:
            await self._drop(entry)

    async def _drop(self, entry: Entry) -> None:
        try:
            await self._storage.delete(PORT_CLAIMS, "", entry.name, entry.revision)
        except RevisionConflict:
            return  # somebody else has just released it

    async def claimed(self) -> dict[str, Entry]:
        """Value -> its claim."""
        page = await self._storage.list(PORT_CLAIMS, "")
        return {entry.name: entry for entry in page.entries}

    async def drop_abandoned(self, entry: Entry, holder: Object | None) -> None:
        """Drops a claim that is not, or no longer, of `holder`, the Service that has the port."""
        claim = decode(Claim, entry.value)
        if holder is not None and holder.metadata.uid == claim.ownerUID:
            return
        if self._clock.now() - parse_time(claim.metadata.creationTimestamp or "") > ABANDONED_SECONDS:
            log.warning("released an abandoned node port", value=entry.name, service=claim.owner)
            await self._drop(entry)
