"""Encodes and decodes the few etcd messages that the client needs.

etcd3's generated classes need protobuf's pure Python runtime, where one guarded write with its watch event costs
~100 us of CPU (here it is ~10 us), and bring grpc with them: 25 MB. Tests hold every function against these classes.
Source: etcd v3 API, rpc.proto and kv.proto.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from componentbase.net.varint import varint


class KeyValue(NamedTuple):
    key: bytes
    value: bytes
    mod_revision: int
    version: int
    """Writes since the key was created; 1 is the create itself."""
    lease: int


class KeyChange(NamedTuple):
    """One event of a watch; a deletion's `kv` has no value, and the revision of the deletion."""

    deleted: bool
    kv: KeyValue


@dataclass(frozen=True, slots=True)
class RangePage:
    """`revision` is the store's when it was read, `count` the keys in the whole range."""

    kvs: list[KeyValue]
    revision: int
    more: bool
    count: int
    cluster_id: int


@dataclass(frozen=True, slots=True)
class TxnResult:
    """`revision` is the write's own if it succeeded. `kv` is what a failed guard found, or what a delete removed."""

    succeeded: bool
    revision: int
    kv: KeyValue | None


@dataclass(frozen=True, slots=True)
class WatchBatch:
    """`compact_revision` is not 0 when the watch was canceled for starting below it."""

    changes: list[KeyChange]
    created: bool
    canceled: bool
    compact_revision: int
    cancel_reason: str


def _block(tag: bytes, content: bytes) -> bytes:
    return tag + varint(len(content)) + content


def range_request(
    key: bytes,
    range_end: bytes = b"",
    *,
    limit: int = 0,
    revision: int = 0,
    serializable: bool = False,
    count_only: bool = False,
) -> bytes:
    """RangeRequest: one key, or all of [key, range_end)."""
    out = _block(b"\x0a", key)
    if range_end:
        out += _block(b"\x12", range_end)
    if limit:
        out += b"\x18" + varint(limit)
    if revision:
        out += b"\x20" + varint(revision)
    if serializable:
        out += b"\x38\x01"
    if count_only:
        out += b"\x48\x01"
    return out


def _guarded(key: bytes, mod_revision: int, success: bytes) -> bytes:
    """TxnRequest: if the key's mod_revision is the given one (0: it does not exist) then `success`, else read it."""
    compare = b"\x10\x02" + _block(b"\x1a", key) + b"\x30" + varint(mod_revision)
    return _transaction(compare, success, key)


def _transaction(compare: bytes, success: bytes, key: bytes) -> bytes:
    read = _block(b"\x0a", _block(b"\x0a", key))
    return _block(b"\x0a", compare) + success + _block(b"\x1a", read)


def _put(key: bytes, value: bytes, lease: int = 0) -> bytes:
    put = _block(b"\x0a", key) + _block(b"\x12", value)
    if lease:
        put += b"\x18" + varint(lease)
    return _block(b"\x12", _block(b"\x12", put))


def guarded_put(key: bytes, value: bytes, mod_revision: int, lease: int = 0) -> bytes:
    return _guarded(key, mod_revision, _put(key, value, lease))


def versioned_put(key: bytes, value: bytes, version: int) -> bytes:
    """TxnRequest: if the key has been written `version` times then write it, else read it."""
    compare = _block(b"\x1a", key) + b"\x20" + varint(version)
    return _transaction(compare, _put(key, value), key)


def guarded_delete(key: bytes, mod_revision: int) -> bytes:
    return _guarded(key, mod_revision, _block(b"\x12", _block(b"\x1a", _block(b"\x0a", key) + b"\x18\x01")))


def guard_only(key: bytes, mod_revision: int) -> bytes:
    """Writes nothing: the answer tells whether the key is still at that revision."""
    return _guarded(key, mod_revision, b"")


def lease_grant_request(ttl_seconds: int) -> bytes:
    return b"\x08" + varint(ttl_seconds)


def compaction_request(revision: int) -> bytes:
    return b"\x08" + varint(revision)


def watch_request(key: bytes, range_end: bytes, start_revision: int) -> bytes:
    """WatchRequest that creates a watch of [key, range_end)."""
    create = _block(b"\x0a", key) + _block(b"\x12", range_end) + b"\x18" + varint(start_revision)
    return _block(b"\x0a", create)


Fields = list[tuple[int, int, int]]


def _fields(data: bytes, at: int, end: int) -> Fields:
    """(field number, value, 0) for varints, (field number, start, end) for everything with a length.

    Raises: ValueError for wire types that etcd's messages do not have.
    """
    fields: Fields = []
    while at < end:
        tag = data[at]
        if tag & 0x80:
            raise ValueError("unexpected field in an etcd message")
        at += 1
        value = data[at]
        at += 1
        if value & 0x80:
            value &= 0x7F
            shift = 7
            while True:
                byte = data[at]
                at += 1
                value |= (byte & 0x7F) << shift
                if byte < 0x80:
                    break
                shift += 7
        kind = tag & 7
        if kind == 0:
            fields.append((tag >> 3, value, 0))
        elif kind == 2:
            fields.append((tag >> 3, at, at + value))
            at += value
        else:
            raise ValueError("unexpected wire type in an etcd message")
    return fields


def _header(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Decodes a ResponseHeader to (cluster_id, revision)."""
    cluster_id = revision = 0
    for number, value, _ in _fields(data, at, end):
        if number == 1:
            cluster_id = value
        elif number == 3:
            revision = value
    return cluster_id, revision


def _key_value(data: bytes, at: int, end: int) -> KeyValue:
    key = value = b""
    mod_revision = version = lease = 0
    for number, first, second in _fields(data, at, end):
        if number == 1:
            key = data[first:second]
        elif number == 3:
            mod_revision = first
        elif number == 4:
            version = first
        elif number == 5:
            value = data[first:second]
        elif number == 6:
            lease = first
    return KeyValue(key, value, mod_revision, version, lease)


def range_response(data: bytes, at: int = 0, end: int | None = None) -> RangePage:
    kvs: list[KeyValue] = []
    cluster_id = revision = count = 0
    more = False
    for number, first, second in _fields(data, at, len(data) if end is None else end):
        if number == 2:
            kvs.append(_key_value(data, first, second))
        elif number == 1:
            cluster_id, revision = _header(data, first, second)
        elif number == 3:
            more = bool(first)
        elif number == 4:
            count = first
    return RangePage(kvs, revision, more, count, cluster_id)


def txn_response(data: bytes) -> TxnResult:
    """Decodes the answer to a transaction of this module: at most one operation ran."""
    revision = 0
    succeeded = False
    kv = None
    for number, first, second in _fields(data, 0, len(data)):
        if number == 1:
            _, revision = _header(data, first, second)
        elif number == 2:
            succeeded = bool(first)
        elif number == 3:
            kv = _operation_kv(data, first, second)
    return TxnResult(succeeded, revision, kv)


def _operation_kv(data: bytes, at: int, end: int) -> KeyValue | None:
    """Decodes the key that a ResponseOp read (field 2 of RangeResponse) or deleted (3 of DeleteRangeResponse)."""
    for operation, first, second in _fields(data, at, end):
        kv_field = {1: 2, 3: 3}.get(operation)
        if kv_field is None:
            continue
        for number, start, stop in _fields(data, first, second):
            if number == kv_field and stop:
                return _key_value(data, start, stop)
    return None


def lease_grant_response(data: bytes) -> int:
    """Returns the new lease's id."""
    return sum(value for number, value, _ in _fields(data, 0, len(data)) if number == 2)


def watch_response(data: bytes) -> WatchBatch:
    changes: list[KeyChange] = []
    created = canceled = False
    compact_revision = 0
    reason = ""
    for number, first, second in _fields(data, 0, len(data)):
        if number == 11:
            deleted = False
            kv = None
            for field, start, stop in _fields(data, first, second):
                if field == 1:
                    deleted = start == 1
                elif field == 2:
                    kv = _key_value(data, start, stop)
            if kv is not None:
                changes.append(KeyChange(deleted, kv))
        elif number == 3:
            created = bool(first)
        elif number == 4:
            canceled = bool(first)
        elif number == 5:
            compact_revision = first
        elif number == 6:
            reason = data[first:second].decode()
    return WatchBatch(changes, created, canceled, compact_revision, reason)
