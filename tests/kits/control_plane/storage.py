"""A small kind with its encoded objects, and storage on a real etcd, for tests of storage."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from apimachinery.meta import Object, ObjectMeta
from apimachinery.model import Model, encode
from apimachinery.resource import Resource
from apiserver.storage import CachedStorage, EtcdConfig, Storage
from apiserver.storage.cache.table import Table
from apiserver.storage.etcd import etcd_client
from apiserver.storage.interface import Entry, Watcher
from apiserver.storage.limits import DEFAULT_LIMITS, StorageLimits
from componentbase.net.http2 import DEFAULT_LIMITS as HTTP2_DEFAULTS
from componentbase.net.http2 import Http2Limits
from etcdclient.client import EtcdClient
from tests.kits.eventually import eventually_async


class WidgetSpec(Model, protobuf="nodeName* size* filler"):
    nodeName: str | None = None
    size: int = 1
    filler: str | None = None


class Widget(Object):
    spec: WidgetSpec | None = None


class Tag(Object):
    """Cluster-scoped, without selectable fields."""


WIDGETS: Resource[Widget] = Resource(
    kind="Widget",
    plural="widgets",
    model=Widget,
    fields={
        "spec.nodeName": lambda widget: (widget.spec and widget.spec.nodeName) or "",
        "spec.size": lambda widget: str(widget.spec.size) if widget.spec else "",
    },
)
TAGS: Resource[Tag] = Resource(kind="Tag", plural="tags", model=Tag, group="example.com", namespaced=False)


def widget(name: str, namespace: str = "default", labels: dict[str, str] | None = None, **spec: Any) -> bytes:
    meta = ObjectMeta(name=name, namespace=namespace, labels=labels)
    return encode(Widget(kind="Widget", apiVersion="v1", metadata=meta, spec=WidgetSpec(**spec)))


def tag(name: str, labels: dict[str, str] | None = None) -> bytes:
    return encode(Tag(kind="Tag", apiVersion="example.com/v1", metadata=ObjectMeta(name=name, labels=labels)))


def put(
    table: Table,
    revision: int,
    name: str,
    namespace: str = "default",
    labels: dict[str, str] | None = None,
    **spec: Any,
) -> Any:
    """Puts a widget into a table as the watch would; returns the TableChange."""
    key = table.key(namespace, name)
    return table.put(table.make_entry(key, widget(name, namespace, labels, **spec), revision))


@asynccontextmanager
async def running(
    *urls: str, limits: StorageLimits = DEFAULT_LIMITS, timeout_seconds: float = 10.0
) -> AsyncIterator[CachedStorage]:
    """One API server's storage over these etcd endpoints, loaded, whose compactor has had its first turn: the store's
    revision moves no more by itself. `timeout_seconds`: for one request to etcd."""
    store = CachedStorage(EtcdConfig(urls, timeout_seconds=timeout_seconds), limits)
    store.register(WIDGETS)
    store.register(TAGS)
    async with loaded(store):
        await eventually_async(lambda: store._compactor._revision, "the compactor has had its first turn")
        yield store


@asynccontextmanager
async def loaded(store: CachedStorage) -> AsyncIterator[None]:
    """Runs the storage in the background; begins when it is loaded."""
    task = asyncio.create_task(store.run())
    try:
        await store.wait_loaded()
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


@asynccontextmanager
async def direct(*urls: str, http2: Http2Limits = HTTP2_DEFAULTS) -> AsyncIterator[EtcdClient]:
    """etcd behind the cache's back."""
    client = etcd_client(EtcdConfig(urls, http2=http2))
    try:
        yield client
    finally:
        await client.close()


async def create(store: Storage, name: str, namespace: str = "default", **spec: Any) -> Entry:
    return await store.create(WIDGETS, namespace, name, widget(name, namespace, **spec))


async def change(store: Storage, entry: Entry, **spec: Any) -> Entry:
    value = widget(entry.name, entry.namespace, **spec)
    return await store.update(WIDGETS, entry.namespace, entry.name, value, entry.revision)


async def remove(store: Storage, entry: Entry) -> Entry:
    return await store.delete(WIDGETS, entry.namespace, entry.name, entry.revision)


def parsed(chunk: bytes) -> list[tuple[str, str, int]]:
    """(type, name, resourceVersion) of each event of a chunk."""
    found = []
    for line in chunk.splitlines():
        event = json.loads(line)
        meta = event["object"]["metadata"]
        found.append((event["type"], meta.get("name", ""), int(meta["resourceVersion"])))
    return found


async def seen(watcher: Watcher, count: int) -> list[tuple[str, str, int]]:
    """The next events, however they are cut; fails when the watch ends before or gives more."""
    found: list[tuple[str, str, int]] = []
    while len(found) < count:
        found += parsed(await watcher.__anext__())
    assert len(found) == count, found
    return found
