"""Follows the kinds that quotas count, whatever they are: their metadata alone, and only while a quota wants them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from apimachinery.errors import StatusError
from apimachinery.meta import Object
from componentbase import logs
from kubeapi.core.resourcequota.evaluators import Kind
from kubeclient.controller import ControllerContext
from kubeclient.discovery import APIResource, discover
from kubeclient.informer import Informer
from kubeclient.wire import PARTIAL_METADATA, PARTIAL_METADATA_LIST

LOOK_SECONDS = 30.0
"""How often kinds are looked for that a quota counts and the API does not serve, as upstream."""
RETRY_SECONDS = 2.0

Gone = Callable[[Kind, Object], None]

log = logs.logger(__name__)


class CountedKinds:
    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._informers = context.rest, context.informers
        self._clock = context.clock
        self._followed: dict[Kind, Informer[Any]] = {}
        self._wanted: set[Kind] = set()
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

    async def follow(self, found: Callable[[Kind], None], gone: Gone) -> None:
        """Works for ever. `found` is called once the objects of a kind are known, `gone` when one is deleted."""
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS if self._wanted else None):
                    await self._wakes.wait()
            except TimeoutError:
                pass
            self._wakes.clear()
            try:
                resources = (await discover(self._rest)).resources
            except (StatusError, ConnectionError, TimeoutError) as error:
                log.warning("discovery failed", error=str(error))
                await self._clock.sleep(RETRY_SECONDS)
                self._wakes.set()
                continue
            for resource in filter(self._is_wanted, resources):
                kind = (resource.group, resource.name)
                self._wanted.discard(kind)
                informer = self._followed[kind] = self._follow(resource, gone)
                await informer.wait_synced()
                found(kind)

    def _is_wanted(self, resource: APIResource) -> bool:
        can_be_followed = resource.namespaced and {"list", "watch"} <= set(resource.verbs)
        return can_be_followed and (resource.group, resource.name) in self._wanted

    def _follow(self, resource: APIResource, gone: Gone) -> Informer[Any]:
        kind, plain = (resource.group, resource.name), resource.metadata_only()
        informer = self._informers.find(plain)
        if informer is None:
            informer = self._informers.of(plain, list_accept=PARTIAL_METADATA_LIST, watch_accept=PARTIAL_METADATA)

        def note(old: Object | None, new: Object | None) -> None:
            if new is None and old is not None:
                gone(kind, old)

        informer.add_handler(note)
        return informer
