"""etcd over one gRPC channel per endpoint; the only file that imports etcd's library.

Reads move on to the next endpoint by themselves. A write whose connection is lost may or may not have happened, so it
is never sent again: the caller gets StorageUnavailable and whoever asked decides.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from etcd3 import etcdrpc

from apiserver.storage import wire
from apiserver.storage.interface import Compacted, StorageError, StorageUnavailable, ValueTooLarge

REQUEST_TIMEOUT_SECONDS = 10.0
WHOLE_STORE = b"\0"  # as key and as range_end: every key there is

_OPTIONS = (
    ("grpc.max_receive_message_length", -1),  # a page of 500 large objects or a batch of events has no useful bound
    ("grpc.max_send_message_length", -1),  # etcd itself refuses what is too large, with an error of its own
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_time_ms", 10_000),  # a peer that vanished without a word is noticed within 15 s
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.use_local_subchannel_pool", 1),  # several clients in one process (tests) do not share connections
)
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
        self._endpoints = [_Endpoint(url, config) for url in config.endpoints]
        self._active = 0

    async def close(self) -> None:
        for endpoint in self._endpoints:
            await endpoint.channel.close()

    async def range(self, key: bytes, range_end: bytes = b"", *, limit: int = 0, revision: int = 0) -> wire.RangePage:
        """One key, or [key, range_end) in order, as it is now or was at a revision.

        Raises: Compacted, StorageUnavailable.
        """
        request = wire.range_request(key, range_end, limit=limit, revision=revision)
        return wire.range_response(await self._read(lambda endpoint: endpoint.range, request))

    async def current_revision(self) -> tuple[int, int]:
        """(cluster id, revision) of the store, no older than the moment of the call."""
        request = wire.range_request(b"compact_rev_key", count_only=True)
        page = wire.range_response(await self._read(lambda endpoint: endpoint.range, request))
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
        compare = etcdrpc.Compare(
            result=etcdrpc.Compare.EQUAL, target=etcdrpc.Compare.VERSION, key=key, version=version
        )
        put = etcdrpc.RequestOp(request_put=etcdrpc.PutRequest(key=key, value=value))
        read = etcdrpc.RequestOp(request_range=etcdrpc.RangeRequest(key=key))
        request = etcdrpc.TxnRequest(compare=[compare], success=[put], failure=[read])
        result = await self._txn(request.SerializeToString())
        return result.succeeded, result.revision, result.kv

    async def grant_lease(self, ttl_seconds: int) -> int:
        """A new lease: its keys are deleted when it ends, `ttl_seconds` from now or a little later."""
        request = etcdrpc.LeaseGrantRequest(TTL=ttl_seconds)
        response = await self._call(self._write_endpoint(), lambda endpoint: endpoint.lease_grant, request)
        return int(response.ID)

    async def compact(self, revision: int) -> None:
        """Forgets history before `revision`; what is current stays. Raises: Compacted when it is gone already."""
        request = etcdrpc.CompactionRequest(revision=revision)
        await self._call(self._write_endpoint(), lambda endpoint: endpoint.compact, request)

    async def watch(self, start_revision: int) -> AsyncGenerator[wire.WatchBatch, None]:
        """Every change of the whole store from `start_revision` on; the first batch says that the watch stands.

        The whole store and not only our keys, so that each revision there is shows up here: that is how the reader
        knows that it has seen everything up to a revision.
        Raises: Compacted when `start_revision` is gone, StorageUnavailable when the stream breaks.
        """
        create = etcdrpc.WatchCreateRequest(key=WHOLE_STORE, range_end=WHOLE_STORE, start_revision=start_revision)
        index, endpoint = self._write_endpoint()
        call = endpoint.watch(metadata=_HAS_LEADER)
        try:
            await call.write(etcdrpc.WatchRequest(create_request=create))
            while True:
                data = await call.read()
                if data is grpc.aio.EOF:
                    raise StorageUnavailable("etcd ended the watch")
                batch = wire.watch_response(data)
                if batch.compact_revision:
                    raise Compacted(f"etcd keeps nothing before revision {batch.compact_revision}")
                if batch.canceled:
                    raise StorageUnavailable(f"etcd canceled the watch: {batch.cancel_reason}")
                yield batch
        except grpc.aio.AioRpcError as error:
            self._leave(index)
            raise _translated(error) from error
        finally:
            call.cancel()

    async def _txn(self, request: bytes) -> wire.TxnResult:
        return wire.txn_response(await self._call(self._write_endpoint(), lambda endpoint: endpoint.txn, request))

    async def _read(self, method: Callable[[_Endpoint], Any], request: bytes) -> bytes:
        for _ in self._endpoints[1:]:
            try:
                return await self._call(self._write_endpoint(), method, request)  # type: ignore[no-any-return]
            except StorageUnavailable:
                continue  # the call has moved on to the next endpoint
        return await self._call(self._write_endpoint(), method, request)  # type: ignore[no-any-return]

    async def _call(self, chosen: tuple[int, _Endpoint], method: Callable[[_Endpoint], Any], request: Any) -> Any:
        index, endpoint = chosen
        try:
            return await method(endpoint)(
                request, timeout=REQUEST_TIMEOUT_SECONDS, wait_for_ready=len(self._endpoints) == 1
            )
        except grpc.aio.AioRpcError as error:
            translated = _translated(error)
            if isinstance(translated, StorageUnavailable):
                self._leave(index)
            raise translated from error

    def _write_endpoint(self) -> tuple[int, _Endpoint]:
        """The active endpoint, or the next one whose connection is not known to be down."""
        count = len(self._endpoints)
        for offset in range(count if count > 1 else 0):
            index = (self._active + offset) % count
            state = self._endpoints[index].channel.get_state(try_to_connect=True)
            if state is not grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                self._active = index
                break
        return self._active, self._endpoints[self._active]

    def _leave(self, index: int) -> None:
        if index == self._active:
            self._active = (index + 1) % len(self._endpoints)


class _Endpoint:
    """One channel and its methods: raw bytes where `wire` speaks, etcd3's generated classes elsewhere."""

    def __init__(self, url: str, config: EtcdConfig) -> None:
        scheme, _, address = url.rpartition("://")
        if scheme == "https":
            credentials = grpc.ssl_channel_credentials(
                _content(config.ca_file), _content(config.key_file), _content(config.cert_file)
            )
            self.channel = grpc.aio.secure_channel(address, credentials, options=_OPTIONS)
        else:
            self.channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        self.range = self.channel.unary_unary("/etcdserverpb.KV/Range")
        self.txn = self.channel.unary_unary("/etcdserverpb.KV/Txn")
        self.watch = self.channel.stream_stream(
            "/etcdserverpb.Watch/Watch", request_serializer=etcdrpc.WatchRequest.SerializeToString
        )
        self.compact = etcdrpc.KVStub(self.channel).Compact
        self.lease_grant = etcdrpc.LeaseStub(self.channel).LeaseGrant


def _content(file: str) -> bytes | None:
    return Path(file).read_bytes() if file else None


def _translated(error: grpc.aio.AioRpcError) -> StorageError:
    code, details = error.code(), error.details() or ""
    if "has been compacted" in details:
        return Compacted(details)
    if "request is too large" in details or "larger than max" in details:
        return ValueTooLarge(details)
    if "lease not found" in details:
        return LeaseNotFound(details)
    return StorageUnavailable(f"etcd: {code.name}: {details}")
