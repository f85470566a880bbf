"""Keeps the definitions: gives them their names, establishes them, and empties those that are deleted.

Every API server does so; writes are guarded by the revision that they were decided on, so that all agree.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from apimachinery.conditions import set_condition
from apimachinery.errors import NotFound, StatusError
from apimachinery.meta import DeleteOptions
from apimachinery.model import decode
from apimachinery.times import format_time
from apiserver.apiextensions.conditions import has_names, precedes, wanted_status
from apiserver.apiextensions.serving import CustomKinds
from apiserver.registry.changes import Edit
from apiserver.registry.store import Store
from apiserver.registry.stores import Stores
from apiserver.request.user import User
from apiserver.storage import CachedStorage
from apiserver.storage.interface import Entry, StorageError
from componentbase import logs
from componentbase.clock import Clock
from kubeapi.apiextensions.customresourcedefinition import (
    CLEANUP_FINALIZER,
    GROUP,
    RESOURCE,
    TERMINATING,
    CustomResourceDefinition,
    CustomResourceDefinitionCondition,
)

RETRY_SECONDS = 1.0
PARALLEL_DELETES = 8
REMAINING_CHECK_SECONDS = 0.2  # an object with finalizers keeps its definition: looked at again, at growing intervals
MAX_CHECK_SECONDS = 5.0

log = logs.logger(__name__)


@dataclass
class _Seen:
    revision: int
    definition: CustomResourceDefinition


class DefinitionUpkeep:
    """`user` is the identity of the server's own writes."""

    def __init__(self, kinds: CustomKinds, stores: Stores, storage: CachedStorage, clock: Clock, user: User) -> None:
        self._kinds = kinds
        self._stores = stores
        self._store: Store[CustomResourceDefinition] = stores.find(RESOURCE.plural, GROUP)
        self._storage = storage
        self._clock = clock
        self._user = user
        self._seen: dict[str, _Seen] = {}
        self._emptying: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._changed.set()
        storage.on_change(RESOURCE, self._changed.set)

    async def run(self) -> None:
        """Follows the definitions until cancelled."""
        await self._storage.wait_loaded()
        async with asyncio.TaskGroup() as group:
            while True:
                await self._changed.wait()
                self._changed.clear()
                try:
                    await self._settle_names()
                    self._empty_deleted(group)
                except (StatusError, StorageError) as error:
                    log.warning("definitions not kept", error=str(error))
                    self._changed.set()
                    await asyncio.sleep(RETRY_SECONDS)

    async def _settle_names(self) -> None:
        """Looks at the definitions that have changed, and at those of their groups that wait for names.

        Raises: StatusError, StorageError.
        """
        entries = {entry.name: entry for entry in self._storage.snapshot(RESOURCE)}
        groups = {seen.definition.spec.group for name, seen in self._seen.items() if name not in entries}
        self._seen = {name: seen for name, seen in self._seen.items() if name in entries}
        changed = [
            self._note(entry)
            for name, entry in entries.items()
            if (seen := self._seen.get(name)) is None or seen.revision != entry.revision
        ]
        groups |= {definition.spec.group for definition in changed}
        changed_names = {definition.name for definition in changed}
        for group in groups:
            members = [seen.definition for seen in self._seen.values() if seen.definition.spec.group == group]
            for definition in members:
                if definition.name in changed_names or not has_names(definition):
                    await self._give_names(definition, [item for item in members if item is not definition])

    def _note(self, entry: Entry) -> CustomResourceDefinition:
        definition = decode(CustomResourceDefinition, entry.value)
        for version in definition.spec.versions:
            version.schema_ = None  # nothing here looks at schemas, which may be large
        self._seen[entry.name] = _Seen(entry.revision, definition)
        return definition

    async def _give_names(self, definition: CustomResourceDefinition, others: list[CustomResourceDefinition]) -> None:
        if definition.metadata.deletionTimestamp is not None:
            return
        rivals = [item for item in others if not has_names(item) and precedes(item, definition)]
        if any(_wants_the_same(rival, definition) for rival in rivals) and not has_names(definition):
            return  # the older one is about to get them; its change wakes us
        now = format_time(int(self._clock.now()))
        if wanted_status(definition, others, now) == definition.status:
            return

        def change(stored: CustomResourceDefinition) -> CustomResourceDefinition:
            new = stored.clone()
            new.status = wanted_status(stored, others, now)
            return new

        try:
            await self._store.update("", definition.name, Edit(change), self._user, subresource="status")
        except NotFound:
            return

    def _empty_deleted(self, group: asyncio.TaskGroup) -> None:
        self._emptying = {name: task for name, task in self._emptying.items() if not task.done()}
        for name, seen in self._seen.items():
            meta = seen.definition.metadata
            if meta.deletionTimestamp and CLEANUP_FINALIZER in (meta.finalizers or ()) and name not in self._emptying:
                self._emptying[name] = group.create_task(self._empty(name, meta.uid or ""))

    async def _empty(self, name: str, uid: str) -> None:
        """Deletes all objects of a deleted definition, and then lets it go."""
        wait = REMAINING_CHECK_SECONDS
        while (seen := self._seen.get(name)) is not None and seen.definition.metadata.uid == uid:
            try:
                if await self._delete_objects(name) == 0:
                    await self._release(name, uid)
                    return
            except (StatusError, StorageError) as error:
                log.warning("objects of a definition not deleted", name=name, error=str(error))
            await asyncio.sleep(wait)
            wait = min(2 * wait, MAX_CHECK_SECONDS)

    async def _delete_objects(self, name: str) -> int:
        """Returns how many are left. Raises: StatusError, StorageError."""
        await self._kinds.settle()
        kind = self._kinds.get(name)
        if kind is None:
            return 0
        store = self._stores.find(kind.stored.plural, kind.stored.group)
        waiting = [entry for entry in self._storage.snapshot(kind.stored) if b'"deletionTimestamp":' not in entry.value]

        async def worker() -> None:
            while waiting:
                entry = waiting.pop()
                try:
                    await store.delete(entry.namespace, entry.name, DeleteOptions(), self._user)
                except NotFound:
                    continue

        await asyncio.gather(*(worker() for _ in range(min(PARALLEL_DELETES, len(waiting)))))
        await self._storage.catch_up()
        return self._storage.count(kind.stored)

    async def _release(self, name: str, uid: str) -> None:
        done = CustomResourceDefinitionCondition(
            type=TERMINATING,
            status="False",
            reason="InstanceDeletionCompleted",
            message="removed all instances",
            lastTransitionTime=format_time(int(self._clock.now())),
        )

        def change(stored: CustomResourceDefinition) -> CustomResourceDefinition:
            new = stored.clone()
            if stored.metadata.uid == uid:
                finalizers = [item for item in stored.metadata.finalizers or () if item != CLEANUP_FINALIZER]
                new.metadata.finalizers = finalizers or None
                new.status.conditions = set_condition(stored.status.conditions, done)
            return new

        try:
            await self._store.update("", name, Edit(change), self._user)
        except NotFound:
            return


def _wants_the_same(one: CustomResourceDefinition, other: CustomResourceDefinition) -> bool:
    def names(definition: CustomResourceDefinition) -> set[str]:
        names = definition.spec.names
        return {names.kind, names.listKind or "", names.singular or "", *(names.shortNames or ())} - {""}

    return bool(names(one) & names(other))
