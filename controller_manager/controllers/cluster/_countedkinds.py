"""Follows the kinds that quotas count, whatever they are: their metadata alone, and only while a quota wants them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from apimachinery.errors import StatusError
from apimachinery.meta import Object
from componentbase import logs
from componentbase.tasks import wait_for
from kubeapi._evaluators import Kind
from kubeclient.controller import ControllerContext
from kubeclient.discovery import APIResource, discover
from kubeclient.informer import Informer
from kubeclient.wire import PARTIAL_METADATA, PARTIAL_METADATA_LIST

LOOK_SECONDS = 30.0
"""How often kinds are looked for that a quota counts and the API does not serve, as upstream."""
RETRY_SECONDS = 2.0
READ_SECONDS = 10.0
"""The longest to wait for the objects of a kind, so that one that can't be read does not hold up the others."""

OnObject = Callable[[Kind, Object], None]

log = logs.logger(__name__)


class CountedKinds:
    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._informers = context.rest, context.informers
        self._clock = context.clock
        self._followed: dict[Kind, Informer[Any]] = {}
        self._wanted: set[Kind] = set()
        self._unknown: set[Kind] = set()
        self._wakes = asyncio.Event()

    def informer(self, kind: Kind) -> Informer[Any] | None:
        """Returns the informer of a kind, None while it is being looked for or read."""
        informer = self._followed.get(kind)
        if informer is None:
            if kind not in self._wanted:
                self._wanted.add(kind)
                self._wakes.set()
            return None
        return informer if informer.synced else None

    def is_pending(self, kind: Kind) -> bool:
        """Tells whether the objects of a kind are still being read, or the kind itself is still being looked for."""
        return kind not in self._unknown and not (kind in self._followed and self._followed[kind].synced)

    async def follow(self, on_known: Callable[[Kind], None], on_add: OnObject, on_delete: OnObject) -> None:
        """Never returns. Calls `on_known` once the objects of a kind are known, or that it is not served, and
        `on_add` and `on_delete` for each object that comes or goes."""
        while True:
            await wait_for(self._wakes, LOOK_SECONDS if self._wanted else None)
            self._wakes.clear()
            wanted = set(self._wanted)
            try:
                resources = (await discover(self._rest)).resources
            except (StatusError, ConnectionError, TimeoutError) as error:
                log.warning("discovery failed", error=str(error))
                await self._clock.sleep(RETRY_SECONDS)
                self._wakes.set()
                continue
            served = {(resource.group, resource.name): resource for resource in resources if _can_be_followed(resource)}
            for kind in wanted:
                if kind in served and await self._is_read(served[kind], on_add, on_delete):
                    self._wanted.discard(kind)
                    self._unknown.discard(kind)
                elif kind in self._unknown:
                    continue
                else:
                    self._unknown.add(kind)
                on_known(kind)

    async def _is_read(self, resource: APIResource, on_add: OnObject, on_delete: OnObject) -> bool:
        """Follows a kind; tells whether its objects could be read in time."""
        kind = (resource.group, resource.name)
        if kind not in self._followed:
            self._followed[kind] = self._follow(resource, on_add, on_delete)
        informer = self._followed[kind]
        try:
            async with asyncio.timeout(READ_SECONDS):
                await informer.wait_synced()
        except TimeoutError:
            log.warning("objects can't be read yet", group=kind[0], resource=kind[1])
        return informer.synced

    def _follow(self, resource: APIResource, on_add: OnObject, on_delete: OnObject) -> Informer[Any]:
        kind, plain = (resource.group, resource.name), resource.metadata_only()
        informer = self._informers.find(plain)
        if informer is None:
            informer = self._informers.of(plain, list_accept=PARTIAL_METADATA_LIST, watch_accept=PARTIAL_METADATA)

        def note(old: Object | None, new: Object | None) -> None:
            if new is None and old is not None:
                on_delete(kind, old)
            elif old is None and new is not None:
                on_add(kind, new)

        informer.add_handler(note)
        return informer


def _can_be_followed(resource: APIResource) -> bool:
    return resource.namespaced and {"list", "watch"} <= set(resource.verbs)
