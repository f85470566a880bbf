"""Values that no single frame or window holds, and a watch that is read more slowly than it is fed."""

from __future__ import annotations

import asyncio
import hashlib
import random
from contextlib import aclosing
from pathlib import Path

import pytest

from apiserver.storage.interface import ValueTooLarge
from componentbase.net.http2 import Http2Limits
from etcdclient.client import EtcdClient, EtcdConfig
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.control_plane.storage import direct
from tests.kits.identity.certificates import write_certificates

SIZES = [0, 1, 16_000, 16_384, 65_535, 70_000, 200_000, 1_100_000, 1_500_000]


async def write_and_read(client: EtcdClient) -> None:
    """All sizes at once, so that they compete for the windows; then each alone and all in one answer."""
    values = {b"/large/%08d" % size: random.Random(size).randbytes(size) for size in SIZES}
    results = await asyncio.gather(*(client.put(key, value, 0) for key, value in values.items()))
    assert all(result.succeeded for result in results)
    for key, value in values.items():
        (kv,) = (await client.range(key)).kvs
        assert kv.value == value
    page = await client.range(b"/large/", b"/large0")
    assert {kv.key: kv.value for kv in page.kvs} == values


async def test_values_of_any_size_in_plain(etcd: EtcdServer) -> None:
    async with direct(etcd.url) as client:
        await write_and_read(client)


async def test_values_of_any_size_over_tls(tmp_path: Path) -> None:
    files = write_certificates(tmp_path)
    with EtcdServer(tmp_path, tls=(files["server"], files["server-key"], files["ca"])) as etcd:
        config = EtcdConfig([etcd.url], str(files["ca"]), str(files["client"]), str(files["client-key"]))
        client = EtcdClient(config)
        await write_and_read(client)
        await asyncio.gather(*(client.range(b"/large/%08d" % 16_000) for _ in range(500)))  # more than it has slots
        await client.close()


@pytest.mark.parametrize("size", [1_600_000, 3_000_000])
async def test_what_etcd_does_not_take_is_too_large(etcd: EtcdServer, size: int) -> None:
    async with direct(etcd.url) as client:
        for _ in range(3):
            with pytest.raises(ValueTooLarge):
                await client.put(b"a", bytes(size), 0)
        assert (await client.put(b"a", b"small", 0)).succeeded


async def test_a_slow_watch_holds_up_no_one_and_misses_nothing(etcd: EtcdServer) -> None:
    limits = Http2Limits(stream_window=100_000)  # less than one event
    async with direct(etcd.url, http2=limits) as client, direct(etcd.url) as other:
        async with aclosing(client.watch(1)) as batches:
            assert (await anext(batches)).created
            written = []
            for number in range(60):
                value = random.Random(number).randbytes(300_000)
                result = await client.put(b"/large/%d" % number, value, 0)
                written.append((result.revision, hashlib.sha256(value).digest()))
            assert len((await client.range(b"/large/7")).kvs) == 1
            await other.put(b"/large/last", b"end", 0)
            found = []
            async for batch in batches:
                found += [(c.kv.mod_revision, hashlib.sha256(c.kv.value).digest()) for c in batch.changes]
                if batch.changes and batch.changes[-1].kv.value == b"end":
                    break
            assert found[:-1] == written
