"""The hand-written messages against etcd3's generated classes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etcdclient import messages as wire
from tests.kits.control_plane.etcd_messages import etcdrpc

KEYS = st.binary(min_size=1, max_size=200)
VALUES = st.binary(max_size=400)
REVISIONS = st.integers(min_value=0, max_value=2**63 - 1)


def kv(key: bytes, value: bytes, revision: int, version: int = 1, lease: int = 0) -> Any:
    return etcdrpc.KeyValue(
        key=key, value=value, mod_revision=revision, create_revision=revision, version=version, lease=lease
    )


def header(revision: int) -> Any:
    return etcdrpc.ResponseHeader(cluster_id=2**64 - 1, member_id=2**63, revision=revision, raft_term=7)


@given(KEYS, KEYS, REVISIONS, REVISIONS, st.booleans())
def test_range_request_is_what_the_generated_class_reads(
    key: bytes, end: bytes, limit: int, revision: int, count_only: bool
) -> None:
    data = wire.range_request(key, end, limit=limit, revision=revision, count_only=count_only)
    assert etcdrpc.RangeRequest.FromString(data) == etcdrpc.RangeRequest(
        key=key, range_end=end, limit=limit, revision=revision, count_only=count_only
    )


@given(KEYS, VALUES, REVISIONS, REVISIONS)
def test_guarded_put_compares_the_revision_and_reads_on_failure(
    key: bytes, value: bytes, revision: int, lease: int
) -> None:
    read = etcdrpc.TxnRequest.FromString(wire.guarded_put(key, value, revision, lease))
    (compare,) = read.compare
    assert compare.WhichOneof("target_union") == "mod_revision"
    assert (compare.result, compare.target, compare.key, compare.mod_revision) == (
        etcdrpc.Compare.EQUAL,
        etcdrpc.Compare.MOD,
        key,
        revision,
    )
    assert [op.request_put for op in read.success] == [etcdrpc.PutRequest(key=key, value=value, lease=lease)]
    assert [op.request_range for op in read.failure] == [etcdrpc.RangeRequest(key=key)]


@given(KEYS, REVISIONS)
def test_guarded_delete_asks_for_what_it_removes(key: bytes, revision: int) -> None:
    read = etcdrpc.TxnRequest.FromString(wire.guarded_delete(key, revision))
    assert [op.request_delete_range for op in read.success] == [etcdrpc.DeleteRangeRequest(key=key, prev_kv=True)]
    assert read.compare[0].mod_revision == revision


def test_a_guard_alone_writes_nothing() -> None:
    read = etcdrpc.TxnRequest.FromString(wire.guard_only(b"a", 5))
    assert not read.success
    assert len(read.compare) == len(read.failure) == 1


@given(KEYS, VALUES, REVISIONS)
def test_versioned_put_compares_how_often_the_key_was_written(key: bytes, value: bytes, version: int) -> None:
    read = etcdrpc.TxnRequest.FromString(wire.versioned_put(key, value, version))
    (compare,) = read.compare
    assert compare.WhichOneof("target_union") == "version"
    assert compare == etcdrpc.Compare(
        result=etcdrpc.Compare.EQUAL, target=etcdrpc.Compare.VERSION, key=key, version=version
    )
    assert [op.request_put for op in read.success] == [etcdrpc.PutRequest(key=key, value=value)]
    assert [op.request_range for op in read.failure] == [etcdrpc.RangeRequest(key=key)]


@given(KEYS, KEYS, REVISIONS)
def test_requests_of_a_lease_a_compaction_and_a_watch(key: bytes, end: bytes, number: int) -> None:
    lease = etcdrpc.LeaseGrantRequest.FromString(wire.lease_grant_request(number))
    assert lease == etcdrpc.LeaseGrantRequest(TTL=number)
    compaction = etcdrpc.CompactionRequest.FromString(wire.compaction_request(number))
    assert compaction == etcdrpc.CompactionRequest(revision=number)
    watch = etcdrpc.WatchRequest.FromString(wire.watch_request(key, end, number))
    create = etcdrpc.WatchCreateRequest(key=key, range_end=end, start_revision=number)
    assert watch == etcdrpc.WatchRequest(create_request=create)


@given(REVISIONS)
def test_lease_grant_response(lease: int) -> None:
    message = etcdrpc.LeaseGrantResponse(header=header(9), ID=lease, TTL=60)
    assert wire.lease_grant_response(message.SerializeToString()) == lease


@given(st.lists(st.tuples(KEYS, VALUES, REVISIONS), max_size=5), REVISIONS, st.booleans(), REVISIONS)
def test_range_response(rows: list[tuple[bytes, bytes, int]], revision: int, more: bool, total: int) -> None:
    message = etcdrpc.RangeResponse(header=header(revision), kvs=[kv(*row) for row in rows], more=more, count=total)
    page = wire.range_response(message.SerializeToString())
    assert [(row.key, row.value, row.mod_revision) for row in page.kvs] == rows
    assert (page.revision, page.more, page.count, page.cluster_id) == (revision, more, total, 2**64 - 1)


@given(KEYS, VALUES, REVISIONS)
def test_txn_response_of_each_kind(key: bytes, value: bytes, revision: int) -> None:
    put = etcdrpc.ResponseOp(response_put=etcdrpc.PutResponse(header=header(revision)))
    read = etcdrpc.ResponseOp(response_range=etcdrpc.RangeResponse(header=header(1), kvs=[kv(key, value, 3, 9, 8)]))
    absent = etcdrpc.ResponseOp(response_range=etcdrpc.RangeResponse(header=header(1)))
    deleted = etcdrpc.DeleteRangeResponse(header=header(1), deleted=1, prev_kvs=[kv(key, value, 3)])
    removed = etcdrpc.ResponseOp(response_delete_range=deleted)

    def answer(succeeded: bool, *operations: etcdrpc.ResponseOp) -> wire.TxnResult:
        message = etcdrpc.TxnResponse(header=header(revision), succeeded=succeeded, responses=operations)
        return wire.txn_response(message.SerializeToString())

    assert answer(True, put) == wire.TxnResult(True, revision, None)
    assert answer(True) == wire.TxnResult(True, revision, None)
    assert answer(False, read) == wire.TxnResult(False, revision, wire.KeyValue(key, value, 3, 9, 8))
    assert answer(False, absent) == wire.TxnResult(False, revision, None)
    assert answer(True, removed) == wire.TxnResult(True, revision, wire.KeyValue(key, value, 3, 1, 0))


@given(st.lists(st.tuples(st.booleans(), KEYS, VALUES, REVISIONS), max_size=5))
def test_watch_response(rows: list[tuple[bool, bytes, bytes, int]]) -> None:
    events = [etcdrpc.Event(type=int(gone), kv=kv(key, value, revision)) for gone, key, value, revision in rows]
    message = etcdrpc.WatchResponse(header=header(4), events=events)
    batch = wire.watch_response(message.SerializeToString())
    assert [(c.deleted, c.kv.key, c.kv.value, c.kv.mod_revision) for c in batch.changes] == rows
    assert not batch.created
    assert not batch.canceled


def test_watch_response_that_ends_the_watch() -> None:
    message = etcdrpc.WatchResponse(
        header=header(4), created=True, canceled=True, compact_revision=9, cancel_reason="compacted"
    )
    assert wire.watch_response(message.SerializeToString()) == wire.WatchBatch([], True, True, 9, "compacted")


def test_what_is_no_message_is_refused() -> None:
    with pytest.raises(ValueError, match="etcd message"):
        wire.txn_response(b"\x0d\x00\x00\x00\x00")
