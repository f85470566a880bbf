"""An API server in memory for controllers: writes are at once, caches learn of them only when a test says so."""

from __future__ import annotations

import argparse
import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from apimachinery.errors import AlreadyExists, Conflict, NotFound, object_conflict, object_exists, object_not_found
from apimachinery.meta import Object
from apimachinery.model import from_dict, to_dict
from apimachinery.names import generate_name
from apimachinery.patch.merge import merge_patch
from apimachinery.patch.strategic import strategic_merge_patch
from apimachinery.resource import Resource, resource_of
from apimachinery.times import format_time
from componentbase.clock import Clock
from kubeapi.core.pod.resource import RESOURCE as PODS
from kubeclient.controller import ControllerContext, ControllerSpec, Every, Result, connect
from kubeclient.informer import Informer
from kubeclient.wire import MERGE_PATCH, Listing, as_resource
from kubeclient.workqueue import WorkQueue
from tests.fakes.clock import FakeClock


class FakeApi:
    """Behaves as a RestClient. Every change waits in `undelivered` until `deliver` shows it to the informers."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.objects: dict[str, dict[str, Any]] = {}
        self.requests: list[str] = []
        self.undelivered: deque[tuple[str, str, Any]] = deque()
        self.before: Callable[[str], None] | None = None
        """Called with "METHOD plural key" before each request; may raise to make it fail."""
        self._revision = 0
        self._informers: dict[str, list[Informer[Any]]] = {}

    # what tests do

    def informer(self, model: Any, **_: object) -> Informer[Any]:
        resource = as_resource(model)
        known = self._informers.setdefault(resource.plural, [])
        if not known:
            known.append(Informer(self, resource))  # type: ignore[arg-type]
            known[0]._synced.set()
            known[0].replace([obj.clone() for obj in self.all(resource.model)])
        return known[0]

    def all(self, model: Any) -> list[Any]:
        return list(self.objects.get(as_resource(model).plural, {}).values())

    def find(self, model: Any, key: str) -> Any:
        return self.objects[as_resource(model).plural][key]

    def put(self, obj: Object) -> Any:
        """Stores an object as it is, status included."""
        resource = resource_of(type(obj))
        stored = obj.clone()
        meta = stored.metadata
        meta.uid = meta.uid or f"uid-{resource.plural}-{obj.key}-{self._revision}"
        meta.creationTimestamp = meta.creationTimestamp or format_time(self.clock.now())
        meta.generation = meta.generation or 1
        return self._store(resource, stored, "MODIFIED" if obj.key in self._table(resource) else "ADDED")

    def change(self, model: Any, key: str, edit: Callable[[Any], None]) -> Any:
        """Edits a stored object, status included, as anybody might."""
        obj = self.find(model, key).clone()
        edit(obj)
        return self._store(as_resource(model), obj, "MODIFIED")

    def deliver(self, count: int | None = None) -> None:
        """Shows the informers the next `count` changes, or all."""
        while self.undelivered and count != 0:
            plural, kind, obj = self.undelivered.popleft()
            for informer in self._informers.get(plural, ()):
                informer.apply(kind, obj)
            count = None if count is None else count - 1

    # what controllers do

    async def get(self, model: Any, name: str, namespace: str = "", **_: object) -> Any:
        resource = as_resource(model)
        return self._existing("GET", resource, name, namespace).clone()

    async def list(self, model: Any, namespace: str = "", **_: object) -> Listing[Any]:
        found = [obj.clone() for obj in self.all(model) if not namespace or obj.namespace == namespace]
        return Listing(found, str(self._revision))

    async def create(self, obj: Any, *, subresource_of: str = "") -> Any:
        """The only subresource it knows is eviction, which deletes the pod at once."""
        resource = resource_of(type(obj))
        await asyncio.sleep(0)
        if subresource_of:
            pod = self._existing("POST", PODS, obj.name, obj.namespace, subresource_of.partition("/")[2])
            self._remove(PODS, pod)
            return obj
        created = from_dict(type(obj), to_dict(obj))
        created.metadata.name = created.metadata.name or generate_name(created.metadata.generateName or "")
        self._count("POST", resource, created.key)
        if created.key in self._table(resource):
            raise object_exists(resource.plural, resource.group, created.name)
        created.metadata.uid = None
        return self.put(created).clone()

    async def post(self, obj: Any) -> None:
        await self.create(obj)

    async def update(self, obj: Any, subresource: str = "") -> Any:
        resource = resource_of(type(obj))
        old = self._existing("PUT", resource, obj.name, obj.namespace, subresource)
        await asyncio.sleep(0)
        old = self._existing("", resource, obj.name, obj.namespace)
        if obj.metadata.resourceVersion not in (None, old.metadata.resourceVersion):
            raise object_conflict(resource.plural, resource.group, obj.name)
        new = from_dict(type(obj), to_dict(obj))
        if subresource == "status":
            kept = old.clone()
            kept.status, kept.metadata.annotations = new.status, new.metadata.annotations
            new = kept
        elif "status" in type(new).model_fields and not subresource:
            new.status = old.status
            if getattr(new, "spec", None) != getattr(old, "spec", None):
                new.metadata.generation = (old.metadata.generation or 0) + 1
        return self._finish(resource, new)

    async def update_with(
        self, model: Any, name: str, namespace: str, change: Callable[[Any], Any], *, subresource: str = ""
    ) -> Any:
        while True:
            current = await self.get(model, name, namespace)
            changed = change(current)
            if changed is None:
                return current
            try:
                return await self.update(changed, subresource)
            except Conflict:
                continue

    async def patch(
        self,
        model: Any,
        name: str,
        namespace: str,
        patch: dict[str, Any],
        *,
        content_type: str = MERGE_PATCH,
        subresource: str = "",
    ) -> Any:
        resource = as_resource(model)
        old = self._existing("PATCH", resource, name, namespace)
        document = to_dict(old)
        if content_type == MERGE_PATCH:
            document = merge_patch(document, patch)
        else:
            document = strategic_merge_patch(document, patch, resource.model)
        if document["metadata"]["uid"] != old.metadata.uid:
            raise object_conflict(resource.plural, resource.group, name, "the uid differs")
        if document["metadata"]["resourceVersion"] != old.metadata.resourceVersion:
            raise object_conflict(resource.plural, resource.group, name)
        return self._finish(resource, from_dict(resource.model, document))

    async def delete(
        self, model: Any, name: str, namespace: str = "", *, uid: str | None = None, **options: object
    ) -> None:
        resource = as_resource(model)
        obj = self._existing("DELETE", resource, name, namespace)
        await asyncio.sleep(0)
        if uid not in (None, obj.metadata.uid):
            raise object_conflict(resource.plural, resource.group, name, "the uid differs")
        if obj.metadata.finalizers:
            marked = obj.clone()
            marked.metadata.deletionTimestamp = format_time(self.clock.now())
            self._store(resource, marked, "MODIFIED")
        elif obj.key in self._table(resource):
            self._remove(resource, obj)

    # inside

    def _table(self, resource: Resource[Any]) -> dict[str, Any]:
        return self.objects.setdefault(resource.plural, {})

    def _count(self, method: str, resource: Resource[Any], key: str, subresource: str = "") -> None:
        text = f"{method} {resource.plural} {key}" + (f" {subresource}" if subresource else "")
        self.requests.append(text)
        if self.before is not None:
            self.before(text)

    def _existing(self, method: str, resource: Resource[Any], name: str, namespace: str, subresource: str = "") -> Any:
        key = f"{namespace}/{name}" if namespace else name
        if method:
            self._count(method, resource, key, subresource)
        found = self._table(resource).get(key)
        if found is None:
            raise object_not_found(resource.plural, resource.group, name)
        return found

    def _finish(self, resource: Resource[Any], new: Any) -> Any:
        if new.metadata.deletionTimestamp is not None and not new.metadata.finalizers:
            self._remove(resource, new)
            return new
        return self._store(resource, new, "MODIFIED").clone()

    def _store(self, resource: Resource[Any], obj: Any, event: str) -> Any:
        self._revision += 1
        resource.strategy.default(obj)
        obj.metadata.resourceVersion = str(self._revision)
        self._table(resource)[obj.key] = obj
        self.undelivered.append((resource.plural, event, obj.clone()))
        return obj

    def _remove(self, resource: Resource[Any], obj: Any) -> None:
        self._revision += 1
        gone = obj.clone()
        gone.metadata.resourceVersion = str(self._revision)
        del self._table(resource)[obj.key]
        self.undelivered.append((resource.plural, "DELETED", gone))


class FakeInformers:
    def __init__(self, api: FakeApi) -> None:
        self._api = api

    def of(self, model: Any, **options: object) -> Informer[Any]:
        return self._api.informer(model, **options)


class FakeRecorder:
    """An EventRecorder that keeps its events, each as "Type Reason message"."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def event(self, obj: Object, type: str, reason: str, message: str, **_: object) -> None:
        self.events.append(f"{type} {reason} {message}")


class Running:
    """A controller whose keys a test works off by hand."""

    def __init__(self, api: FakeApi, spec: ControllerSpec[Any], **options: object) -> None:
        self.api = api
        self.recorder = FakeRecorder()
        self.queue = WorkQueue(spec.name)
        context = ControllerContext(
            api,  # type: ignore[arg-type]
            FakeInformers(api),  # type: ignore[arg-type]
            self.recorder,  # type: ignore[arg-type]
            api.clock,
            argparse.Namespace(**options),
        )
        self.spec = spec
        self.reconciler = spec.factory(context)
        self.delays: dict[str, float] = {}
        connect(spec, self.reconciler, context.informers, self.queue)

    def tick(self) -> None:
        """Adds the keys that are due once in a period."""
        for trigger in self.spec.watches:
            if isinstance(trigger, Every):
                for key in trigger.keys(self.reconciler):
                    self.queue.add(key)

    @property
    def waiting(self) -> int:
        return len(self.queue)

    async def step(self) -> Result | Exception:
        """Works on the next key; an error is returned and brings the key back at once."""
        key = await self.queue.get()
        outcome: Result | Exception
        try:
            outcome = await self.reconciler.reconcile(key)
            self.delays[key] = outcome.after_seconds
        except (Conflict, NotFound, AlreadyExists, ConnectionError) as error:
            outcome = error
            self.queue.add(key)
        self.queue.done(key)
        return outcome


async def settle(api: FakeApi, *controllers: Running, rounds: int = 2000) -> None:
    """Delivers and reconciles until nothing is left to do. Raises: AssertionError when that does not end."""
    for _ in range(rounds):
        api.deliver()
        busy = next((each for each in controllers if each.waiting), None)
        if busy is None and not api.undelivered:
            return
        if busy is not None:
            await busy.step()
    raise AssertionError("the controllers do not come to rest")
