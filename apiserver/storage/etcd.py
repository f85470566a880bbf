"""etcd's calls, over one gRPC channel per endpoint.

A call that has certainly not reached an endpoint, and any read, moves on to the next one by itself. A write whose
connection is lost may or may not have happened, so it is never sent again: the caller gets StorageUnavailable and
whoever asked decides.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from apiserver.storage.interface import Compacted, StorageError, StorageUnavailable, ValueTooLarge
from componentbase import tls
from etcdclient import messages as wire
from etcdclient.channel import Channel, RpcError

REQUEST_TIMEOUT_SECONDS = 10.0
WHOLE_STORE = b"\0"  # as key and as range_end: every key there is

_RANGE = "/etcdserverpb.KV/Range"
_TXN = "/etcdserverpb.KV/Txn"
_COMPACT = "/etcdserverpb.KV/Compact"
_WATCH = "/etcdserverpb.Watch/Watch"
_LEASE_GRANT = "/etcdserverpb.Lease/LeaseGrant"
_HAS_LEADER = (("hasleader", "true"),)  # a member cut off from its cluster then ends the watch


@dataclass(frozen=True, slots=True)
class EtcdConfig:
    """Endpoints as upstream's `--etcd-servers` ("https://10.0.0.1:2379"); the files are PEM, "" where there is none."""

    endpoints: Sequence[str]
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


class LeaseNotFound(StorageError):
    """The lease a key should hang on has expired meanwhile."""


class EtcdClient:
    """Make it inside a running loop, close it there."""

    def __init__(self, config: EtcdConfig) -> None:
        if not config.endpoints:
            raise ValueError("no etcd endpoint given")
        self._endpoints = [_channel(url, config) for url in config.endpoints]
        self._active = 0

    async def close(self) -> None:
        for endpoint in self._endpoints:
            await endpoint.close()

    async def range(self, key: bytes, range_end: bytes = b"", *, limit: int = 0, revision: int = 0) -> wire.RangePage:
        """One key, or [key, range_end) in order, as it is now or was at a revision.

        Raises: Compacted, StorageUnavailable.
        """
        request = wire.range_request(key, range_end, limit=limit, revision=revision)
        return wire.range_response(await self._call(_RANGE, request, again=True))

    async def current_revision(self) -> tuple[int, int]:
        """(cluster id, revision) of the store, no older than the moment of the call."""
        request = wire.range_request(b"compact_rev_key", count_only=True)
        page = wire.range_response(await self._call(_RANGE, request, again=True))
        return page.cluster_id, page.revision

    async def put(self, key: bytes, value: bytes, mod_revision: int, lease: int = 0) -> wire.TxnResult:
        """Writes if the key is at `mod_revision` (0: absent).

        Raises: ValueTooLarge, LeaseNotFound, StorageUnavailable (the write may have happened).
        """
        return await self._txn(wire.guarded_put(key, value, mod_revision, lease))

    async def delete(self, key: bytes, mod_revision: int) -> wire.TxnResult:
        """Deletes if the key is at `mod_revision`; the result's `kv` is what was there."""
        return await self._txn(wire.guarded_delete(key, mod_revision))

    async def check(self, key: bytes, mod_revision: int) -> wire.TxnResult:
        """Whether the key is at `mod_revision`, with what it is at if not."""
        return await self._txn(wire.guard_only(key, mod_revision))

    async def put_version(self, key: bytes, value: bytes, version: int) -> tuple[bool, int, wire.KeyValue | None]:
        """Writes if the key has been written `version` times; (written, store's revision, what is there if not)."""
        result = await self._txn(wire.versioned_put(key, value, version))
        return result.succeeded, result.revision, result.kv

    async def grant_lease(self, ttl_seconds: int) -> int:
        """A new lease: its keys are deleted when it ends, `ttl_seconds` from now or a little later."""
        return wire.lease_grant_response(await self._call(_LEASE_GRANT, wire.lease_grant_request(ttl_seconds)))

    async def compact(self, revision: int) -> None:
        """Forgets history before `revision`; what is current stays. Raises: Compacted when it is gone already."""
        await self._call(_COMPACT, wire.compaction_request(revision))

    async def watch(self, start_revision: int) -> AsyncGenerator[wire.WatchBatch, None]:
        """Every change of the whole store from `start_revision` on; the first batch says that the watch stands.

        The whole store and not only our keys, so that each revision there is shows up here: that is how the reader
        knows that it has seen everything up to a revision.
        Raises: Compacted when `start_revision` is gone, StorageUnavailable when the stream breaks.
        """
        request = wire.watch_request(WHOLE_STORE, WHOLE_STORE, start_revision)
        index, endpoint = self._choose()
        try:
            stream = await endpoint.stream(
                _WATCH,
                request,
                metadata=_HAS_LEADER,
                timeout_seconds=REQUEST_TIMEOUT_SECONDS,
                wait_for_ready=len(self._endpoints) == 1,
            )
            try:
                while True:
                    batch = wire.watch_response(await stream.read())
                    if batch.compact_revision:
                        raise Compacted(f"etcd keeps nothing before revision {batch.compact_revision}")
                    if batch.canceled:
                        raise StorageUnavailable(f"etcd canceled the watch: {batch.cancel_reason}")
                    yield batch
            finally:
                stream.close()
        except RpcError as error:
            self._leave(index)
            raise _translated(error) from error

    async def _txn(self, request: bytes) -> wire.TxnResult:
        return wire.txn_response(await self._call(_TXN, request))

    async def _call(self, path: str, request: bytes, *, again: bool = False) -> bytes:
        """`again`: it may be repeated on another endpoint though this one may have acted on it (reads)."""
        attempts = len(self._endpoints)
        while True:
            index, endpoint = self._choose()
            try:
                return await endpoint.unary(
                    path,
                    request,
                    timeout_seconds=REQUEST_TIMEOUT_SECONDS,
                    wait_for_ready=len(self._endpoints) == 1,
                )
            except RpcError as error:
                translated = _translated(error)
                attempts -= 1
                if isinstance(translated, StorageUnavailable):
                    self._leave(index)
                    if attempts and (again or error.unsent):
                        continue
                raise translated from error

    def _choose(self) -> tuple[int, Channel]:
        """The active endpoint, or the next one that is not known to be down."""
        count = len(self._endpoints)
        for offset in range(count if count > 1 else 0):
            index = (self._active + offset) % count
            if not self._endpoints[index].down:
                self._active = index
                break
        return self._active, self._endpoints[self._active]

    def _leave(self, index: int) -> None:
        if index == self._active:
            self._active = (index + 1) % len(self._endpoints)


def _channel(url: str, config: EtcdConfig) -> Channel:
    scheme, _, address = url.rpartition("://")
    context: ssl.SSLContext | None = None
    if scheme == "https":
        context = tls.client_context(ca_file=config.ca_file, cert_file=config.cert_file, key_file=config.key_file)
        context.set_alpn_protocols(["h2"])
    return Channel(address, context)


def _translated(error: RpcError) -> StorageError:
    if "has been compacted" in error.details:
        return Compacted(error.details)
    if "request is too large" in error.details or "larger than max" in error.details:
        return ValueTooLarge(error.details)
    if "lease not found" in error.details:
        return LeaseNotFound(error.details)
    return StorageUnavailable(f"etcd: {error.code}: {error.details}")
