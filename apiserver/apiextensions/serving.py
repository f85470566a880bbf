"""Serves the kinds that are defined at run time: each API server follows the definitions in its watch cache.

A definition that is established gets a table in the watch cache, and a registry and routes for each served version;
then the catalogue tells discovery of it. Other API servers may be quicker: a request for a kind that is not served here
waits until this server serves all that is defined (`settle`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Protocol

from apimachinery.catalogue import CatalogueError
from apimachinery.custom import CustomObject
from apimachinery.resource import Resource
from apiserver.apiextensions.kinds import CustomKind, read_kind
from apiserver.storage import CachedStorage
from apiserver.storage.interface import Compacted, StorageError
from componentbase import logs
from kubeapi.apiextensions.customresourcedefinition import RESOURCE

RETRY_SECONDS = 0.5
SETTLE_SECONDS = 2.0  # a request for a kind that nobody serves is answered by then at the latest

log = logs.logger(__name__)


class Publisher(Protocol):
    """What a kind has to be made known to."""

    def publish(self, kind: CustomKind) -> None:
        """Raises: CatalogueError when the path is another kind's; then nothing has been done."""
        ...

    def withdraw(self, kind: CustomKind) -> None: ...


class CustomKinds:
    """The kinds that this server serves now."""

    def __init__(self, storage: CachedStorage, publisher: Publisher) -> None:
        self._storage = storage
        self._publisher = publisher
        self._kinds: dict[str, CustomKind] = {}
        self._state = 0  # of the definitions in the cache that `_kinds` is made of
        self._dirty = asyncio.Event()
        self._moved = asyncio.Condition()
        self.listeners: list[Callable[[], None]] = []
        """Called after kinds have come, changed or gone."""
        storage.on_change(RESOURCE, self._dirty.set)

    def __iter__(self) -> Iterator[CustomKind]:
        return iter(list(self._kinds.values()))

    def get(self, name: str) -> CustomKind | None:
        """The kind of the definition of that name, None if it is not served."""
        return self._kinds.get(name)

    def group_versions(self) -> list[tuple[str, str]]:
        return list({(resource.group, resource.version): None for kind in self for resource in kind.served})

    async def run(self) -> None:
        """Follows the definitions until cancelled."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            try:
                await self._follow()
            except StorageError as error:
                log.warning("custom kinds not read", error=str(error))
                self._dirty.set()
                await asyncio.sleep(RETRY_SECONDS)

    async def settle(self) -> None:
        """Returns once all kinds are served that were established before the call, or can't be served in time."""
        with suppress(TimeoutError, StorageError):
            async with asyncio.timeout(SETTLE_SECONDS):
                await self._storage.catch_up()
                state = self._storage.changed(RESOURCE)
                async with self._moved:
                    await self._moved.wait_for(lambda: self._state >= state)

    async def _follow(self) -> None:
        """Serves what is defined now. Raises: StorageError."""
        state, names = self._storage.changed(RESOURCE), self._changed_names()
        for name in names:
            try:
                await self._update(name)
            except StorageError:
                raise
            except Exception as error:  # one definition must not end the server
                log.error("custom kind not served", name=name, error=str(error))
        async with self._moved:
            self._state = state
            self._moved.notify_all()

    def _changed_names(self) -> list[str]:
        try:
            changes = self._storage.changes(RESOURCE, self._state)
        except Compacted:
            return list({*self._kinds, *(entry.name for entry in self._storage.snapshot(RESOURCE))})
        return list({change.entry.name: None for change in changes})

    async def _update(self, name: str) -> None:
        """Raises: StorageError."""
        entry, current = self._storage.peek(RESOURCE, "", name), self._kinds.get(name)
        wanted = read_kind(entry.value) if entry is not None else None
        if wanted is None:
            if current is not None:
                self._withdraw(current)
                self._storage.remove(current.stored)
                self._tell()
            return
        if current is not None and current.signature == wanted.signature:
            current.refer(wanted.stored.schema.definition)  # type: ignore[union-attr]
            return
        if current is None:
            await self._storage.add(wanted.stored)
        elif _path(current.stored) == _path(wanted.stored):
            await self._storage.replace(wanted.stored)
            self._withdraw(current)
        else:  # deleted, and defined again in another way, before this server has seen it
            self._withdraw(current)
            self._storage.remove(current.stored)
            await self._storage.add(wanted.stored)
        try:
            self._publisher.publish(wanted)
        except CatalogueError:
            self._storage.remove(wanted.stored)
            raise
        self._kinds[name] = wanted
        self._tell()
        log.info("custom kind served", name=name, versions=",".join(item.version for item in wanted.served))

    def _withdraw(self, kind: CustomKind) -> None:
        del self._kinds[kind.name]
        self._publisher.withdraw(kind)
        log.info("custom kind withdrawn", name=kind.name)

    def _tell(self) -> None:
        for listener in self.listeners:
            listener()


def _path(resource: Resource[CustomObject]) -> tuple[str, str, bool]:
    return resource.group, resource.plural, resource.namespaced
