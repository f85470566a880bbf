"""Keeps a local copy of one kind by a list and a watch, and tells handlers what changed.

Objects in the cache are shared by everyone in the process and are never changed: change a `clone()`.
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any, Generic, TypeVar

from apimachinery.errors import Expired, StatusError
from apimachinery.meta import Object
from apimachinery.resource import Resource
from componentbase import logs
from componentbase.clock import Clock
from kubeclient.backoff import Backoff
from kubeclient.rest import RestClient
from kubeclient.wire import JSON, as_resource

FIRST_BACKOFF_SECONDS = 0.4
MOST_BACKOFF_SECONDS = 5.0
SHORT_WATCH_SECONDS = 1.0
"""A watch that ends sooner without an event counts as a failure, so that it is not reopened in a tight loop."""

T = TypeVar("T", bound=Object)
Handler = Callable[[T | None, T | None], None]
Index = Callable[[T], Iterable[str]]

log = logs.logger(__name__)


class Indexer(Generic[T]):
    """Finds objects by key, by namespace, and by any number of indexes."""

    def __init__(self) -> None:
        self._items: dict[str, T] = {}
        self._functions: dict[str, Index[T]] = {}
        self._indexes: dict[str, dict[str, dict[str, T]]] = {}
        self.add_index("namespace", lambda obj: (obj.namespace,))

    def add_index(self, name: str, function: Index[T]) -> None:
        """Raises: ValueError when another function has that name."""
        if self._functions.get(name, function) is not function:
            raise ValueError(f"index {name!r} is already defined")
        self._functions[name] = function
        index = self._indexes[name] = {}
        for key, obj in self._items.items():
            for value in function(obj):
                index.setdefault(value, {})[key] = obj

    def get(self, key: str) -> T | None:
        return self._items.get(key)

    def list(self, namespace: str = "") -> list[T]:
        return list(self._items.values()) if not namespace else self.by_index("namespace", namespace)

    def by_index(self, name: str, value: str) -> builtins.list[T]:
        objects = self._indexes[name].get(value)
        return list(objects.values()) if objects else []

    def keys(self) -> Iterable[str]:
        return self._items.keys()

    def put(self, key: str, obj: T) -> T | None:
        """Stores `obj` and returns what it replaced."""
        old = self._items.get(key)
        self._items[key] = obj
        for name, function in self._functions.items():
            index = self._indexes[name]
            values = tuple(function(obj))
            if old is not None:
                for value in function(old):
                    if value not in values:
                        self._drop(index, value, key)
            for value in values:
                index.setdefault(value, {})[key] = obj
        return old

    def remove(self, key: str) -> T | None:
        old = self._items.pop(key, None)
        if old is not None:
            for name, function in self._functions.items():
                for value in function(old):
                    self._drop(self._indexes[name], value, key)
        return old

    @staticmethod
    def _drop(index: dict[str, dict[str, T]], value: str, key: str) -> None:
        entries = index.get(value)
        if entries is not None:
            entries.pop(key, None)
            if not entries:
                del index[value]

    def __len__(self) -> int:
        return len(self._items)


class Informer(Generic[T]):
    """Keeps a Indexer equal to what the API server has, a moment later.

    Handlers run in order, in the task of `run()`, and must not block: they only note keys. An error in one ends
    `run()`.
    """

    def __init__(
        self,
        rest: RestClient,
        model: type[T] | Resource[T],
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        indexes: Mapping[str, Index[T]] | None = None,
        list_accept: str = JSON,
        watch_accept: str = JSON,
        trim: Callable[[T], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`trim` takes out of an object, before anybody sees it, what nobody here will ask for: memory is the cache."""
        self._rest = rest
        self._trim = trim
        self._clock = clock or Clock()
        self.resource: Resource[T] = as_resource(model)
        self._namespace = namespace
        self._label_selector, self._field_selector = label_selector, field_selector
        self._list_accept, self._watch_accept = list_accept, watch_accept
        self._store: Indexer[T] = Indexer()
        for name, function in (indexes or {}).items():
            self._store.add_index(name, function)
        self._handlers: list[Handler[T]] = []
        self._synced = asyncio.Event()
        self.resource_version = ""
        """The revision the cache is at: "" before the first list."""

    # reading

    @property
    def synced(self) -> bool:
        """True once the cache has been complete."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        await self._synced.wait()

    def get(self, key: str) -> T | None:
        return self._store.get(key)

    def list(self, namespace: str = "") -> list[T]:
        return self._store.list(namespace)

    def by_index(self, name: str, value: str) -> builtins.list[T]:
        return self._store.by_index(name, value)

    def __len__(self) -> int:
        return len(self._store)

    def add_index(self, name: str, function: Index[T]) -> None:
        """`function(obj)` gives the values to find it by. Raises: ValueError when the name is taken by another."""
        self._store.add_index(name, function)

    def add_handler(self, handler: Handler[T]) -> None:
        """`handler(old, new)`: (None, new) added, (old, new) changed, (old, None) deleted; first, all that is there."""
        self._handlers.append(handler)
        for obj in self._store.list():
            handler(None, obj)

    # keeping up

    async def run(self) -> None:
        """Lists and watches for ever. Errors of the server or the connection are logged and retried with backoff."""
        backoff = Backoff(FIRST_BACKOFF_SECONDS, MOST_BACKOFF_SECONDS)
        while True:
            started, before = self._clock.monotonic(), self.resource_version
            try:
                if not self.resource_version:
                    await self._relist()
                    backoff.reset()
                await self._watch()
            except Expired:
                log.info("watch is too old, listing again", resource=self.resource.plural)
                self.resource_version = ""
            except (StatusError, ConnectionError, TimeoutError) as error:
                log.warning("list or watch failed", resource=self.resource.plural, error=str(error))
            if self.resource_version != before or self._clock.monotonic() - started > SHORT_WATCH_SECONDS:
                backoff.reset()
                if self.resource_version:
                    continue
            await self._clock.sleep(backoff.next_seconds())

    async def _relist(self) -> None:
        listing = await self._rest.list(
            self.resource,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            accept=self._list_accept,
        )
        self.replace(listing.items)
        self.resource_version = listing.resource_version
        self._synced.set()

    async def _watch(self) -> None:
        events = self._rest.watch(
            self.resource,
            self._namespace,
            resource_version=self.resource_version,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            accept=self._watch_accept,
        )
        async with aclosing(events):
            async for event in events:
                obj = event.object
                if event.type != "BOOKMARK":
                    self.apply(event.type, obj)
                self.resource_version = obj.metadata.resourceVersion or self.resource_version

    def replace(self, items: Iterable[T]) -> None:
        """Makes the cache equal to `items`, and tells the handlers the difference."""
        current = {obj.key: obj for obj in items}
        for key in [key for key in self._store.keys() if key not in current]:  # noqa: SIM118
            self._forget(key, None)
        for key, obj in current.items():
            old = self._store.get(key)
            if old is None or old.metadata.resourceVersion != obj.metadata.resourceVersion:
                self._keep(key, obj)

    def apply(self, event_type: str, obj: T) -> None:
        """Takes one watch event into the cache."""
        if event_type == "DELETED":
            self._forget(obj.key, obj)
        else:
            self._keep(obj.key, obj)

    def _keep(self, key: str, obj: T) -> None:
        obj.metadata.managedFields = None
        if self._trim is not None:
            self._trim(obj)
        old = self._store.get(key)
        if old is not None and old.metadata.uid != obj.metadata.uid:
            self._forget(key, None)  # deleted and created again while nobody watched
        old = self._store.put(key, obj)
        for handler in self._handlers:
            handler(old, obj)

    def _forget(self, key: str, last: T | None) -> None:
        old = self._store.remove(key)
        if old is not None:
            for handler in self._handlers:
                handler(last or old, None)


class Informers:
    """Shares informers within a process: one for each kind and selection."""

    def __init__(self, rest: RestClient, clock: Clock | None = None) -> None:
        self.rest = rest
        self._clock = clock or Clock()
        self._informers: dict[tuple[str, str, str, str], Informer[Any]] = {}
        self._tasks: dict[Informer[Any], asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._noted: list[Informer[Any]] | None = None

    @contextmanager
    def noting(self) -> Iterator[list[Informer[Any]]]:
        """Notes which informers are asked for in the block, in which nothing may be awaited."""
        self._noted = []
        try:
            yield self._noted
        finally:
            self._noted = None

    def of(
        self,
        model: type[T] | Resource[T],
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        list_accept: str = JSON,
        watch_accept: str = JSON,
        trim: Callable[[T], None] | None = None,
    ) -> Informer[T]:
        """Returns the informer of this kind, started at once when `run` is under way."""
        resource = as_resource(model)
        selection = (resource.path(namespace), label_selector, field_selector, watch_accept)
        informer = self._informers.get(selection)
        if informer is None:
            informer = Informer(
                self.rest,
                resource,
                namespace=namespace,
                label_selector=label_selector,
                field_selector=field_selector,
                list_accept=list_accept,
                watch_accept=watch_accept,
                trim=trim,
                clock=self._clock,
            )
            self._informers[selection] = informer
            if self._group is not None:
                self._tasks[informer] = self._group.create_task(informer.run())
        if self._noted is not None:
            self._noted.append(informer)
        return informer

    def drop(self, informer: Informer[Any]) -> None:
        """Ends an informer that only the caller uses: its kind is gone."""
        self._informers = {key: value for key, value in self._informers.items() if value is not informer}
        task = self._tasks.pop(informer, None)
        if task is not None:
            task.cancel()

    def find(self, resource: Resource[Any]) -> Informer[Any] | None:
        """Returns the informer that holds all objects of this resource, if somebody uses one."""
        return self._informers.get((resource.path(), "", "", JSON))

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for informer in self._informers.values():
                    self._tasks[informer] = group.create_task(informer.run())
                await asyncio.Future()  # the group must stay open for informers that are asked for later
            finally:
                self._group = None

    async def wait_synced(self) -> None:
        for informer in list(self._informers.values()):
            await informer.wait_synced()
