"""etcd's calls, over one gRPC channel per endpoint.

A read, and any call that has certainly not reached an endpoint, moves on to the next endpoint by itself. A write whose
connection is lost may or may not have happened, so it is never sent again: its caller gets EtcdUnavailable and decides.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

from componentbase import tls
from componentbase.net.http2 import DEFAULT_LIMITS, Http2Limits
from etcdclient import messages
from etcdclient.channel import Channel, RpcError
from etcdclient.messages import RangePage, TxnResult, WatchBatch

WHOLE_STORE = b"\0"  # as key and as range_end: every key there is

_RANGE = "/etcdserverpb.KV/Range"
_TXN = "/etcdserverpb.KV/Txn"
_COMPACT = "/etcdserverpb.KV/Compact"
_WATCH = "/etcdserverpb.Watch/Watch"
_LEASE_GRANT = "/etcdserverpb.Lease/LeaseGrant"
_HAS_LEADER = (("hasleader", "true"),)  # a member cut off from its cluster then ends the watch


@dataclass(frozen=True, slots=True)
class EtcdConfig:
    """Endpoints as upstream's `--etcd-servers` ("https://10.0.0.1:2379"); the files are PEM, "" for none."""

    endpoints: Sequence[str]
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    timeout_seconds: float = 10.0
    """For one request."""
    http2: Http2Limits = DEFAULT_LIMITS


class EtcdError(Exception):
    """Base of the ways in which a call fails."""


class EtcdUnavailable(EtcdError):
    """etcd does not answer. A write that fails so may or may not have happened."""


class RevisionCompacted(EtcdError):
    """The revision asked for is no longer kept."""


class RequestTooLarge(EtcdError):
    """etcd does not take a request of that size."""


class LeaseNotFound(EtcdError):
    """The lease that a key should hang on has expired meanwhile."""


class EtcdClient:
    """Make it inside a running loop, close it there."""

    def __init__(self, config: EtcdConfig, translate: Callable[[EtcdError], Exception] = lambda error: error) -> None:
        """`translate` turns an EtcdError into what is raised instead, for a caller with errors of its own."""
        if not config.endpoints:
            raise ValueError("no etcd endpoint given")
        self._endpoints = [_channel(url, config) for url in config.endpoints]
        self._timeout_seconds = config.timeout_seconds
        self._active = 0
        self._translate = translate

    async def close(self) -> None:
        for endpoint in self._endpoints:
            await endpoint.close()

    async def range(self, key: bytes, range_end: bytes = b"", *, limit: int = 0, revision: int = 0) -> RangePage:
        """Returns one key, or [key, range_end) in order, as it is now or was at a revision.

        Raises: RevisionCompacted, EtcdUnavailable.
        """
        request = messages.range_request(key, range_end, limit=limit, revision=revision)
        return messages.range_response(await self._call(_RANGE, request, again=True))

    async def current_revision(self) -> tuple[int, int]:
        """(cluster id, revision) of the store, no older than the moment of the call."""
        request = messages.range_request(WHOLE_STORE, count_only=True)
        page = messages.range_response(await self._call(_RANGE, request, again=True))
        return page.cluster_id, page.revision

    async def put(self, key: bytes, value: bytes, mod_revision: int, lease: int = 0) -> TxnResult:
        """Writes if the key is at `mod_revision` (0: absent).

        Raises: RequestTooLarge, LeaseNotFound, EtcdUnavailable (the write may have happened).
        """
        return await self._txn(messages.guarded_put(key, value, mod_revision, lease))

    async def delete(self, key: bytes, mod_revision: int) -> TxnResult:
        """Deletes if the key is at `mod_revision`; the result's `kv` is what was there."""
        return await self._txn(messages.guarded_delete(key, mod_revision))

    async def check(self, key: bytes, mod_revision: int) -> TxnResult:
        """Writes nothing; succeeds if the key is at `mod_revision`. The `kv` of a failure is what is there."""
        return await self._txn(messages.guard_only(key, mod_revision))

    async def put_version(self, key: bytes, value: bytes, version: int) -> TxnResult:
        """Writes if the key has been written `version` times; the `kv` of a failure is what is there."""
        return await self._txn(messages.versioned_put(key, value, version))

    async def grant_lease(self, ttl_seconds: int) -> int:
        """Returns a new lease: its keys are deleted when it ends, `ttl_seconds` from now or a little later."""
        return messages.lease_grant_response(await self._call(_LEASE_GRANT, messages.lease_grant_request(ttl_seconds)))

    async def compact(self, revision: int) -> None:
        """Forgets the history before `revision`; the current state stays.

        Raises: RevisionCompacted when it has been forgotten already.
        """
        await self._call(_COMPACT, messages.compaction_request(revision))

    async def watch(self, start_revision: int) -> AsyncGenerator[WatchBatch, None]:
        """Yields all changes of the store from `start_revision` on; the first batch says that the watch is established.

        It watches the whole store and not only some keys, so that every revision shows up: that is how the reader knows
        that it has seen everything up to a revision.
        Raises: RevisionCompacted when `start_revision` is gone, EtcdUnavailable when the stream breaks.
        """
        request = messages.watch_request(WHOLE_STORE, WHOLE_STORE, start_revision)
        index, endpoint = self._choose()
        try:
            stream = await endpoint.stream(
                _WATCH,
                request,
                metadata=_HAS_LEADER,
                timeout_seconds=self._timeout_seconds,
                wait_for_ready=len(self._endpoints) == 1,
            )
            try:
                while True:
                    batch = messages.watch_response(await stream.read())
                    if batch.compact_revision:
                        reason = f"etcd keeps nothing before revision {batch.compact_revision}"
                        raise self._translate(RevisionCompacted(reason))
                    if batch.canceled:
                        raise self._translate(EtcdUnavailable(f"etcd canceled the watch: {batch.cancel_reason}"))
                    yield batch
            finally:
                stream.close()
        except RpcError as error:
            self._leave(index)
            raise self._translate(_etcd_error(error)) from error

    async def _txn(self, request: bytes) -> TxnResult:
        return messages.txn_response(await self._call(_TXN, request))

    async def _call(self, path: str, request: bytes, *, again: bool = False) -> bytes:
        """`again` allows a repetition on another endpoint although this one may have acted on the call (reads)."""
        attempts = len(self._endpoints)
        while True:
            index, endpoint = self._choose()
            try:
                return await endpoint.unary(
                    path,
                    request,
                    timeout_seconds=self._timeout_seconds,
                    wait_for_ready=len(self._endpoints) == 1,
                )
            except RpcError as error:
                etcd_error = _etcd_error(error)
                attempts -= 1
                if isinstance(etcd_error, EtcdUnavailable):
                    self._leave(index)
                    if attempts and (again or error.unsent):
                        continue
                raise self._translate(etcd_error) from error

    def _choose(self) -> tuple[int, Channel]:
        """Returns the active endpoint, or the next one that is not known to be down."""
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
    return Channel(address, context, limits=config.http2)


def _etcd_error(error: RpcError) -> EtcdError:
    if "has been compacted" in error.details:
        return RevisionCompacted(error.details)
    if "request is too large" in error.details or "larger than max" in error.details:
        return RequestTooLarge(error.details)
    if "lease not found" in error.details:
        return LeaseNotFound(error.details)
    return EtcdUnavailable(f"etcd: {error.code}: {error.details}")
