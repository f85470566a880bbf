"""Storage with encrypted resources: objects that can't be read are told of as an error, and never as gone."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from apiserver.encryption.config import parse_encryption
from apiserver.storage import CachedStorage, EtcdConfig
from apiserver.storage.interface import Compacted, KeyExists, UnreadableObject
from etcdclient.messages import TxnResult
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.control_plane.storage import TAGS, WIDGETS, change, create, direct, loaded, remove, tag
from tests.kits.eventually import eventually_async

WIDGET = ("", "widgets")


def use_keys(store: CachedStorage, *names: str) -> None:
    """Encrypts widgets with the first key; the others only read."""
    keys = [{"name": name, "secret": base64.b64encode(name.encode() * 32).decode()} for name in names]
    document = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["widgets"], "providers": [{"aesgcm": {"keys": keys}}, {"identity": {}}]}],
    }
    store.use_transformers(parse_encryption(document).transformers([WIDGET]))


@asynccontextmanager
async def encrypted(url: str, *keys: str) -> AsyncIterator[CachedStorage]:
    store = CachedStorage(EtcdConfig([url]))
    store.register(WIDGETS)
    store.register(TAGS)
    use_keys(store, *keys)
    async with loaded(store):
        yield store


async def stored(url: str, key: str) -> bytes:
    """What etcd holds."""
    async with direct(url) as client:
        return (await client.range(key.encode())).kvs[0].value


async def test_listed_resources_are_encrypted_and_others_are_not(etcd: EtcdServer) -> None:
    async with encrypted(etcd.url, "a") as store:
        entry = await create(store, "w", size=7)
        await store.create(TAGS, "", "t", tag("t"))
        assert (await stored(etcd.url, "/registry/widgets/default/w")).startswith(b"k8s:enc:aesgcm:v1:a:")
        assert (await stored(etcd.url, "/registry/example.com/tags/t")) == tag("t")
        assert b'"size":7' in entry.value
        found = await store.get_from_etcd(WIDGETS, "default", "w")
        assert found is not None
        assert found.value == entry.value
        page = await store.list(WIDGETS, "default", revision=entry.revision, match="Exact", limit=1)
        assert [item.value for item in page.entries] == [entry.value]
        changed = await change(store, entry, size=8)
        assert b'"size":8' in (await remove(store, changed)).value
    async with encrypted(etcd.url, "a") as other:
        assert (await other.list(WIDGETS)).entries == []


async def test_a_watch_of_another_server_brings_plain_objects(etcd: EtcdServer) -> None:
    async with encrypted(etcd.url, "a") as one, encrypted(etcd.url, "a") as two:
        watcher = await two.watch(WIDGETS)
        await create(one, "w", size=7)
        assert b'"size":7' in await anext(watcher)
        watcher.close()


async def test_a_write_that_changes_nothing_refreshes_what_is_stale(etcd: EtcdServer) -> None:
    async with encrypted(etcd.url, "a") as store:
        entry = await create(store, "w", size=7)
        assert (await change(store, entry, size=7)).revision == entry.revision
        use_keys(store, "b", "a")
        rewritten = await change(store, entry, size=7)
        assert rewritten.revision > entry.revision
        assert (await stored(etcd.url, entry.key)).startswith(b"k8s:enc:aesgcm:v1:b:")
        assert (await change(store, rewritten, size=7)).revision == rewritten.revision


async def test_an_object_whose_key_is_missing_is_an_error_and_stays(etcd: EtcdServer) -> None:
    async with encrypted(etcd.url, "a") as store:
        lost = await create(store, "lost", "one")
        await create(store, "other", "two")
    why = "no matching key was found for the provided AES transformer"
    before = await stored(etcd.url, lost.key)
    async with encrypted(etcd.url, "b") as store:
        await create(store, "new", "three")
        for read in (store.get(WIDGETS, "one", "lost", min_revision=None), store.get_from_etcd(WIDGETS, "one", "lost")):
            with pytest.raises(UnreadableObject, match=f"^{why}$"):
                await read
        in_list = f'^unable to transform key "{lost.key}": {why}$'
        for namespace in ("", "one"):
            with pytest.raises(UnreadableObject, match=in_list):
                await store.list(WIDGETS, namespace)
            with pytest.raises(UnreadableObject, match=in_list):
                await store.watch(WIDGETS, namespace)
        with pytest.raises(UnreadableObject, match=in_list):
            await store.list(WIDGETS, "one", revision=lost.revision, match="Exact")
        assert [entry.name for entry in (await store.list(WIDGETS, "three")).entries] == ["new"]
        with pytest.raises(KeyExists):
            await create(store, "lost", "one")
        assert await stored(etcd.url, lost.key) == before

        use_keys(store, "b", "a")
        await store.catch_up()
        state = store.changed(WIDGETS)
        await store.read_again()
        assert store.unreadable == 0
        assert store.changed(WIDGETS) != state
        with pytest.raises(Compacted):
            store.changes(WIDGETS, state)
        names = [entry.name for entry in (await store.list(WIDGETS)).entries]
        assert names == ["lost", "new", "other"]


async def test_watches_end_when_an_object_becomes_unreadable_and_nobody_is_told_that_it_is_gone(
    etcd: EtcdServer,
) -> None:
    async with encrypted(etcd.url, "a") as writer, encrypted(etcd.url, "b", "a") as store:
        entry = await create(writer, "w", size=1)
        await store.catch_up()
        watcher = await store.watch(WIDGETS, revision=entry.revision)
        use_keys(store, "b")
        changed = await change(writer, entry, size=2)
        with pytest.raises(StopAsyncIteration):
            await anext(watcher)
        await eventually_async(lambda: store.unreadable == 1)
        with pytest.raises(Compacted):
            await store.watch(WIDGETS, revision=entry.revision)
        await remove(writer, changed)
        await eventually_async(lambda: store.unreadable == 0)
        assert (await store.list(WIDGETS)).entries == []


async def test_a_deletion_that_etcd_has_done_succeeds_without_the_objects_key(
    etcd: EtcdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watch may tell of the deletion before etcd's answer to it is read: the cache has no plain object then."""
    async with encrypted(etcd.url, "a") as store:
        entry = await create(store, "w", size=1)
        await store.catch_up()
        use_keys(store, "b")
        delete = store._etcd.delete

        async def delete_slowly(key: bytes, revision: int) -> TxnResult:
            result = await delete(key, revision)
            await eventually_async(lambda: store.peek(WIDGETS, "default", "w") is None)
            return result

        monkeypatch.setattr(store._etcd, "delete", delete_slowly)
        assert b'"size":1' in (await remove(store, entry)).value


async def test_encrypted_values_of_a_resource_that_is_no_longer_listed(etcd: EtcdServer) -> None:
    async with encrypted(etcd.url, "a") as store:
        await create(store, "w")
    plain = CachedStorage(EtcdConfig([etcd.url]))
    plain.register(WIDGETS)
    async with loaded(plain):
        with pytest.raises(UnreadableObject, match="identity transformer tried to read encrypted data"):
            await plain.get(WIDGETS, "default", "w", min_revision=None)
