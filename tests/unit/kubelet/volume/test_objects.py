"""ConfigMaps and Secrets are watched while a pod uses them; one that is immutable is not watched any further."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, cast

from apimachinery.model import from_dict
from kubeapi.core.configmap import ConfigMap
from kubeclient.rest import RestClient
from kubeclient.wire import Listing, WatchEvent
from kubelet.volume.interface import ObjectRef
from kubelet.volume.objects import ObjectStore
from tests.kits.eventually import eventually_async
from tests.kits.tasks import Tasks

SETTINGS = ObjectRef("ConfigMap", "default", "settings")


class Api:
    """Has one ConfigMap, and counts the watches that are open."""

    def __init__(self, **fields: Any) -> None:
        self.watches = 0
        self.events: asyncio.Queue[ConfigMap] = asyncio.Queue()
        self.config_map = self.version(1, **fields)

    def version(self, number: int, **fields: Any) -> ConfigMap:
        metadata = {"name": "settings", "namespace": "default", "uid": "1", "resourceVersion": str(number)}
        return from_dict(ConfigMap, {"metadata": metadata} | fields)

    async def list(self, *_: Any, **__: Any) -> Listing[ConfigMap]:
        return Listing([self.config_map], "1")

    async def watch(self, *_: Any, **__: Any) -> AsyncGenerator[WatchEvent[ConfigMap], None]:
        self.watches += 1
        try:
            while True:
                yield WatchEvent(type="MODIFIED", object=await self.events.get())
        finally:
            self.watches -= 1


class Store:
    def __init__(self, api: Api) -> None:
        self.tasks, self.woken = Tasks(), list[str]()
        group = cast(asyncio.TaskGroup, self.tasks)
        self.objects = ObjectStore(cast(RestClient, api), self.woken.append, group)

    async def value(self) -> str:
        await self.objects.wait_synced("pod")
        config_map = self.objects.config_map("default", "settings")
        return (config_map.data or {})["a"] if config_map else ""


async def test_a_change_wakes_the_users_and_the_last_one_ends_the_watch() -> None:
    api = Api(data={"a": "1"})
    store = Store(api)
    for pod in ("pod", "other"):
        store.objects.use(pod, {SETTINGS})
    assert await store.value() == "1"
    await eventually_async(lambda: api.watches == 1)
    store.woken.clear()
    api.events.put_nowait(api.version(2, data={"a": "2"}))
    await eventually_async(lambda: sorted(store.woken) == ["other", "pod"])
    assert await store.value() == "2"
    store.objects.use("other", ())
    assert len(store.objects) == 1
    store.objects.use("pod", ())
    await eventually_async(lambda: api.watches == 0)
    assert len(store.objects) == 0


async def test_an_immutable_one_is_known_but_not_watched() -> None:
    api = Api(data={"a": "1"}, immutable=True)
    store = Store(api)
    store.objects.use("pod", {SETTINGS})
    assert await store.value() == "1"
    await eventually_async(lambda: store.tasks._tasks[0].done())
    assert api.watches == 0
    store.objects.use("later", {SETTINGS})
    assert await store.value() == "1"
    store.objects.use("pod", ())
    store.objects.use("later", ())
    assert len(store.objects) == 0


async def test_one_that_becomes_immutable_is_watched_no_more() -> None:
    api = Api(data={"a": "1"})
    store = Store(api)
    store.objects.use("pod", {SETTINGS})
    await eventually_async(lambda: api.watches == 1)
    api.events.put_nowait(api.version(2, data={"a": "2"}, immutable=True))
    await eventually_async(lambda: api.watches == 0)
    assert await store.value() == "2"
