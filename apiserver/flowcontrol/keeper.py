"""Keeps the default flow schemas and priority levels in the store, and the server's flow control at what is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from apimachinery.conditions import get_condition
from apimachinery.errors import AlreadyExists, NotFound, StatusError
from apimachinery.model import decode, to_dict
from apimachinery.resource import Resource, resource_of
from apimachinery.times import format_time
from apiserver.flowcontrol.control import FlowControl
from apiserver.flowcontrol.defaults import AUTO_UPDATE, MANDATORY, default_levels, default_schemas
from apiserver.registry.apply import Apply
from apiserver.registry.changes import Edit
from apiserver.registry.store import Store
from apiserver.registry.stores import Stores
from apiserver.request.query import WriteOptions
from apiserver.request.user import User
from apiserver.storage import CachedStorage
from apiserver.storage.interface import StorageError
from componentbase import logs
from componentbase.clock import Clock
from kubeapi.flowcontrol._flowcontrol import FlowCondition
from kubeapi.flowcontrol.flowschema import DANGLING, FlowSchema
from kubeapi.flowcontrol.prioritylevelconfiguration import PriorityLevelConfiguration

REBALANCE_SECONDS = 10.0
RETRY_SECONDS = 1.0
PRODUCER = WriteOptions(field_manager="api-priority-and-fairness-config-producer-v1")
CONSUMER = WriteOptions(field_manager="api-priority-and-fairness-config-consumer-v1", force=True, applies=True)

log = logs.logger(__name__)


class FlowControlKeeper:
    """`user` is the identity of the server's own writes."""

    def __init__(self, control: FlowControl, stores: Stores, storage: CachedStorage, clock: Clock, user: User) -> None:
        self._control = control
        self._storage = storage
        self._clock = clock
        self._user = user
        self._kinds: list[Resource[Any]] = [resource_of(PriorityLevelConfiguration), resource_of(FlowSchema)]
        self._stores: list[Store[Any]] = [stores.find(kind.plural, kind.group) for kind in self._kinds]
        self._changed = asyncio.Event()
        for kind in self._kinds:
            storage.on_change(kind, self._changed.set)

    async def run(self) -> None:
        """Follows the stored configuration until cancelled."""
        await self._storage.wait_loaded()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._rebalance())
            group.create_task(self._follow())

    async def begin(self) -> None:
        """Creates the default objects, and takes over what is stored. Raises: StatusError, StorageError."""
        await self._create_defaults()
        await self._storage.catch_up()
        await self._take_over()

    async def _create_defaults(self) -> None:
        """Creates what is missing, and gives those that nobody has taken over their spec."""
        levels, schemas = self._stores
        for level in default_levels():
            await self._ensure(levels, level)
        for schema in default_schemas():
            await self._ensure(schemas, schema)

    async def _rebalance(self) -> None:
        while True:
            await asyncio.sleep(REBALANCE_SECONDS)
            self._control.rebalance()

    async def _follow(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._create_defaults()
                await self._take_over()
            except (StatusError, StorageError) as error:
                log.warning("flow control's objects not written", error=str(error))
                self._changed.set()
                await asyncio.sleep(RETRY_SECONDS)

    def _read(self, model: type[Any]) -> Iterator[Any]:
        """Yields what the cache has of a kind."""
        for entry in self._storage.snapshot(resource_of(model)):
            yield decode(model, entry.value)

    async def _ensure(self, store: Store[Any], default: Any) -> None:
        entry = self._storage.peek(store.resource, "", default.name)
        if entry is None:
            with suppress(AlreadyExists):  # another API server has just created it
                await store.create("", default, self._user, PRODUCER)
            return
        if _follows(decode(store.resource.model, entry.value), default):

            def replace(old: Any) -> Any:
                if not _follows(old, default):
                    return old
                new = old.clone()
                new.spec = default.spec.clone()
                return new

            with suppress(NotFound):  # deleted just now: the next change creates it
                await store.update("", default.name, Edit(replace), self._user, PRODUCER)

    async def _take_over(self) -> None:
        """Acts on what is stored, and writes into each schema whether its level is missing."""
        self._control.configure(self._read(FlowSchema), self._read(PriorityLevelConfiguration))
        levels = {entry.name for entry in self._storage.snapshot(resource_of(PriorityLevelConfiguration))}
        for schema in list(self._read(FlowSchema)):
            expected = dangling(schema, levels, format_time(self._clock.now()))
            current = get_condition(schema.status.conditions, DANGLING)
            if current is not None and (current.status, current.message) == (expected.status, expected.message):
                continue

            await self._apply_condition(schema.name, expected)

    async def _apply_condition(self, name: str, condition: FlowCondition) -> None:
        kind = self._kinds[1]
        config = {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": {"name": name},
            "status": {"conditions": [to_dict(condition)]},
        }
        apply = Apply(kind, "", name, "status", config, CONSUMER, self._clock.now())
        with suppress(NotFound):
            await self._stores[1].update("", name, apply, self._user, CONSUMER, subresource="status")


def _follows(stored: Any, default: Any) -> bool:
    """Tells whether the stored object differs from its default and should not."""
    ours = stored.name in MANDATORY or (stored.metadata.annotations or {}).get(AUTO_UPDATE) == "true"
    return ours and stored.spec != default.spec


def dangling(schema: FlowSchema, levels: set[str], now: str) -> FlowCondition:
    """Returns the condition of a schema. Pure."""
    level = schema.spec.priorityLevelConfiguration.name
    missing = level not in levels
    ending = "but there is no such object" if missing else "and it exists"
    return FlowCondition(
        type=DANGLING,
        status="True" if missing else "False",
        lastTransitionTime=now,
        reason="NotFound" if missing else "Found",
        message=f'This FlowSchema references the PriorityLevelConfiguration object named "{level}" {ending}',
    )
