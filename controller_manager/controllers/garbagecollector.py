"""Garbage collector: deletes what has lost all its owners, and carries out foreground and orphan deletion.

It keeps a graph of all objects of all kinds, of which it reads metadata alone. Keys are uids. That an owner is gone is
believed when its deletion was seen, or when the API says so; a cache that is behind proves nothing.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from apimachinery.errors import Conflict, MethodNotAllowed, NotFound, StatusError
from apimachinery.meta import Object, OwnerReference, split_key
from apimachinery.resource import Resource
from componentbase import logs
from controller_manager.controllers._ownergraph import (
    FOREGROUND,
    ORPHAN,
    Delete,
    DropOwners,
    Node,
    OwnerGraph,
    Owners,
    decide,
    node_of,
)
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result
from kubeclient.discovery import discover
from kubeclient.informer import Informer
from kubeclient.workqueue import WorkQueue

METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
IGNORED = {"events"}
"""Never owners, never owned, and many."""
KNOWN_ABSENT = 10_000
"""uids of owners that are gone; when it is full the oldest is forgotten, and the API is asked again."""
DISCOVERY_RETRY_SECONDS = 2.0

log = logs.logger(__name__)


class GarbageCollector:
    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._informers, self._clock = context.rest, context.informers, context.clock
        self._graph = OwnerGraph()
        self._absent: OrderedDict[str, None] = OrderedDict()
        self._resources: dict[str, Resource[Any]] = {}
        self._ready = asyncio.Event()
        self._queue: WorkQueue

    def use_queue(self, queue: WorkQueue) -> None:
        self._queue = queue

    async def run(self) -> None:
        """Finds out what kinds there are and follows all of them."""
        resources = await self._discover()
        informers = [(_path(resource), resource, self._informer(resource)) for resource in resources]
        self._resources = {path: resource for path, resource, _ in informers}
        for path, resource, informer in informers:
            informer.add_handler(self._noter(path, resource))
        for _, _, informer in informers:
            await informer.wait_synced()
        log.info("following all kinds", kinds=len(informers), objects=len(self._graph))
        self._ready.set()
        await asyncio.Future()

    async def _discover(self) -> list[Resource[Any]]:
        while True:
            try:
                found = await discover(self._rest)
                break
            except (StatusError, ConnectionError, TimeoutError) as error:
                log.warning("discovery failed", error=str(error))
                await self._clock.sleep(DISCOVERY_RETRY_SECONDS)
        needed = {"list", "watch", "delete"}
        return [
            Resource(
                kind=item.kind,
                plural=item.name,
                model=Object,
                group=item.group,
                version=item.version,
                namespaced=item.namespaced,
            )
            for item in found.resources
            if not item.is_subresource and item.name not in IGNORED and needed <= set(item.verbs)
        ]

    def _informer(self, resource: Resource[Any]) -> Informer[Any]:
        """Another controller's, where one follows this kind already."""
        shared = self._informers.find(resource)
        return shared or self._informers.of(resource, list_accept=METADATA_LIST, watch_accept=METADATA)

    def _noter(self, path: str, resource: Resource[Any]) -> Callable[[Object | None, Object | None], None]:
        def note(old: Object | None, new: Object | None) -> None:
            if new is None:
                self._note_gone(old.metadata.uid or "" if old is not None else "")
            else:
                self._note(node_of(new, path, resource.namespaced))

        return note

    def _note(self, node: Node) -> None:
        before = self._graph.get(node.uid)
        self._graph.put(node)
        if before is not None and (before.owners, before.finalizers, before.deleting) == (
            node.owners,
            node.finalizers,
            node.deleting,
        ):
            return
        if node.owners or node.waits_for_dependents or node.orphans_dependents:
            self._queue.add(node.uid)
        if node.waits_for_dependents:
            for dependent in self._graph.dependents(node.uid):
                self._queue.add(dependent.uid)
        if before is not None and before.owners != node.owners:
            self._wake_waiting_owners(before)

    def _note_gone(self, uid: str) -> None:
        node = self._graph.get(uid)
        self._remember_absent(uid)
        if node is None:
            return
        self._graph.remove(uid)
        for dependent in self._graph.dependents(uid):
            self._queue.add(dependent.uid)
        self._wake_waiting_owners(node)

    def _wake_waiting_owners(self, node: Node) -> None:
        for ref in node.owners:
            owner = self._graph.get(ref.uid)
            if owner is not None and owner.waits_for_dependents:
                self._queue.add(owner.uid)

    def _remember_absent(self, uid: str) -> None:
        self._absent[uid] = None
        self._absent.move_to_end(uid)
        if len(self._absent) > KNOWN_ABSENT:
            self._absent.popitem(last=False)

    async def reconcile(self, key: str) -> Result:
        await self._ready.wait()
        node = self._graph.get(key)
        if node is None:
            return DONE
        if node.deleting:
            if node.orphans_dependents:
                await self._orphan(node)
            elif node.waits_for_dependents and not self._graph.blocking_dependents(node.uid):
                await self._remove_finalizer(node, FOREGROUND)
            return DONE
        if not node.owners:
            return DONE
        owners = await self._classify(node)
        action = decide(node, owners, self._graph.dependents(node.uid))
        if isinstance(action, Delete):
            await self._delete(node, action.policy)
        elif isinstance(action, DropOwners):
            await self._drop_owners(node, set(action.uids))
        return DONE

    async def _classify(self, node: Node) -> Owners:
        owners = Owners()
        for ref in node.owners:
            owner = self._graph.get(ref.uid)
            if owner is not None:
                (owners.waiting if owner.waits_for_dependents else owners.solid).append(ref)
            elif await self._is_absent(node, ref):
                owners.dangling.append(ref)
            else:
                owners.solid.append(ref)
        return owners

    async def _is_absent(self, node: Node, ref: OwnerReference) -> bool:
        if ref.uid in self._absent:
            return True
        resource = next(
            (r for r in self._resources.values() if r.kind == ref.kind and r.api_version == ref.apiVersion), None
        )
        if resource is None or (resource.namespaced and not node.namespaced):
            # A kind this server does not have, or a reference across scopes: nothing is known, so nothing is deleted.
            log.warning("owner can't be looked up", object=node.key, owner=f"{ref.apiVersion} {ref.kind} {ref.name}")
            return False
        namespace = split_key(node.key)[0] if resource.namespaced else ""
        try:
            found = await self._rest.get(resource, ref.name, namespace)
        except NotFound:
            found = None
        if found is not None and found.metadata.uid == ref.uid:
            return False
        self._remember_absent(ref.uid)
        return True

    async def _delete(self, node: Node, policy: str) -> None:
        namespace, name = split_key(node.key)
        try:
            await self._rest.delete(
                self._resources[node.plural], name, namespace, propagation_policy=policy, uid=node.uid
            )
        except (NotFound, MethodNotAllowed):
            return
        except Conflict:
            return  # another object of that name: the watch brings it
        log.debug("deleted", object=f"{node.plural}/{node.key}", policy=policy)

    async def _drop_owners(self, node: Node, uids: set[str]) -> None:
        def change(obj: Object) -> Object | None:
            owners = obj.metadata.ownerReferences or []
            obj.metadata.ownerReferences = [ref for ref in owners if ref.uid not in uids]
            return None if len(obj.metadata.ownerReferences) == len(owners) else obj

        await self._patch(node, change)

    async def _orphan(self, node: Node) -> None:
        """Takes the owner out of all its dependents, then lets it go."""
        async with asyncio.TaskGroup() as group:
            for dependent in self._graph.dependents(node.uid):
                group.create_task(self._drop_owners(dependent, {node.uid}))
        await self._remove_finalizer(node, ORPHAN)

    async def _remove_finalizer(self, node: Node, finalizer: str) -> None:
        def change(obj: Object) -> Object | None:
            if finalizer not in (obj.metadata.finalizers or ()):
                return None
            obj.metadata.finalizers = [name for name in obj.metadata.finalizers or () if name != finalizer]
            return obj

        await self._patch(node, change)

    async def _patch(self, node: Node, change: Callable[[Object], Object | None]) -> None:
        """Applies a change of metadata by a merge patch that is good for the revision it was computed from only."""
        resource = self._resources[node.plural]
        namespace, name = split_key(node.key)
        try:
            obj = await self._rest.get(resource, name, namespace)
            if obj.metadata.uid != node.uid or change(obj) is None:
                return
            meta = obj.metadata
            owners = [ref.model_dump(exclude_none=True) for ref in meta.ownerReferences or ()]
            patch = {
                "metadata": {
                    "resourceVersion": meta.resourceVersion,
                    "ownerReferences": owners or None,
                    "finalizers": meta.finalizers or None,
                }
            }
            await self._rest.patch(resource, name, namespace, patch)
        except NotFound:
            return


def _path(resource: Resource[Any]) -> str:
    return f"{resource.api_version}/{resource.plural}"


CONTROLLER = ControllerSpec(
    "garbage-collector-controller",
    GarbageCollector,
    workers=20,
    workers_option="concurrent_gc_syncs",
)
