"""Garbage collector: deletes what has lost all its owners, and carries out foreground and orphan deletion.

It keeps a graph of all objects of all kinds, of which it reads metadata alone. Keys are uids. That an owner is gone is
believed when its deletion was seen, or when the API says so; a cache that is behind proves nothing.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from apimachinery.errors import Conflict, MethodNotAllowed, NotFound, StatusError
from apimachinery.meta import Object, ObjectMeta, OwnerReference, split_key
from apimachinery.resource import Resource
from componentbase import logs
from componentbase.tasks import wait_for
from controller_manager.controllers.cluster._ownergraph import (
    FOREGROUND,
    ORPHAN,
    Delete,
    DropOwners,
    Node,
    OwnerGraph,
    Owners,
    decide,
    node_of,
    path_of,
)
from controller_manager.ownership import in_parallel
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Source
from kubeclient.discovery import APIResource, discover
from kubeclient.informer import Informer
from kubeclient.wire import PARTIAL_METADATA, PARTIAL_METADATA_LIST
from kubeclient.workqueue import WorkQueue

NEEDED_VERBS = frozenset(("list", "watch", "delete"))
IGNORED = frozenset((("", "events"), ("events.k8s.io", "events")))
"""Events are never owners and never owned, and there are many."""
DEFINING_KINDS = frozenset(
    (("apiextensions.k8s.io", "customresourcedefinitions"), ("apiregistration.k8s.io", "apiservices"))
)
"""A change of one of these may add kinds or take them away."""
KNOWN_ABSENT = 10_000
"""The most uids of missing owners to remember; the oldest is forgotten, and the API is asked again."""
DISCOVERY_RETRY_SECONDS = 2.0
FAILED_GROUP_SECONDS = 30.0

log = logs.logger(__name__)


class GarbageCollector:
    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._informers, self._clock = context.rest, context.informers, context.clock
        self._recorder = context.recorder
        self._graph = OwnerGraph()
        self._absent: OrderedDict[str, None] = OrderedDict()
        self._followed: dict[str, tuple[Resource[Any], Informer[Any]]] = {}
        self._ready = asyncio.Event()
        self._kinds_changed = asyncio.Event()

    async def follow_kinds(self, queue: WorkQueue) -> None:
        """Finds out what kinds there are and follows all of them; again when that changes."""
        while True:
            self._kinds_changed.clear()
            wait = await self._follow_all(queue)
            if await wait_for(self._kinds_changed, wait):
                await self._clock.sleep(DISCOVERY_RETRY_SECONDS)  # a new kind is served a moment after it is defined

    async def _follow_all(self, queue: WorkQueue) -> float | None:
        """Returns in how many seconds to try again, because not all could be read; None when there is no need to."""
        try:
            discovery = await discover(self._rest)
        except (StatusError, ConnectionError, TimeoutError) as error:
            log.warning("discovery failed", error=str(error))
            return DISCOVERY_RETRY_SECONDS
        resources = [item.metadata_only() for item in discovery.resources if _is_collected(item)]
        collected = {path_of(resource): resource for resource in resources}
        for path in self._followed.keys() - collected.keys():
            if not any(path.startswith(f"{group}/") for group in discovery.failed):
                self._unfollow(path)
        new = [self._follow(resource, queue) for path, resource in collected.items() if path not in self._followed]
        for informer in new:
            await informer.wait_synced()
        if new:
            log.info("following kinds", kinds=len(self._followed), objects=len(self._graph))
        self._ready.set()
        return FAILED_GROUP_SECONDS if discovery.failed else None

    def _follow(self, resource: Resource[Any], queue: WorkQueue) -> Informer[Any]:
        """Uses another controller's informer where one follows this kind already."""
        informer = self._informers.find(resource)
        if informer is None:
            informer = self._informers.of(
                resource, list_accept=PARTIAL_METADATA_LIST, watch_accept=PARTIAL_METADATA, trim=_trim
            )
        self._followed[path_of(resource)] = (resource, informer)
        informer.add_handler(self._noter(resource, queue))
        return informer

    def _unfollow(self, path: str) -> None:
        """Forgets a kind that is not served any more: what is known of its objects proves nothing either way."""
        _, informer = self._followed.pop(path)
        self._informers.drop(informer)
        for node in self._graph.of_resource(path):
            self._graph.remove(node.uid)
        log.info("kind is gone", resource=path)

    def _noter(self, resource: Resource[Any], queue: WorkQueue) -> Callable[[Object | None, Object | None], None]:
        defines_kinds = (resource.group, resource.plural) in DEFINING_KINDS

        def note(old: Object | None, new: Object | None) -> None:
            if defines_kinds:
                self._kinds_changed.set()
            if new is not None:
                uids = self._note(node_of(new, resource))
            else:
                uids = self._note_gone(old.metadata.uid or "") if old is not None else ()
            for uid in uids:
                queue.add(uid)

        return note

    def _note(self, node: Node) -> Iterable[str]:
        """Takes an object into the graph and yields the uids for which that may change something."""
        before = self._graph.get(node.uid)
        if before is not None and (before.owners, before.finalizers, before.deleting) == (
            node.owners,
            node.finalizers,
            node.deleting,
        ):
            return
        self._graph.put(node)
        for each in (node, *(self._graph.dependents(node.uid) if before is None else ())):
            self._report_unreachable_owners(each)
        if node.waits_for_dependents or node.orphans_dependents or not self._is_safe(node):
            yield node.uid
        if node.waits_for_dependents:
            for dependent in self._graph.dependents(node.uid):
                yield dependent.uid
        if before is not None and before.owners != node.owners:
            yield from self._waiting_owners(before)

    def _report_unreachable_owners(self, node: Node) -> None:
        """Tells users why an object goes whose owner lives: in another namespace, where it counts as absent."""
        for ref in self._graph.unreachable_owners(node):
            namespace, name = split_key(node.key)
            owner = f"[{ref.apiVersion}/{ref.kind}, namespace: {namespace}, name: {ref.name}, uid: {ref.uid}]"
            self._recorder.event(
                Object(metadata=ObjectMeta(name=name, namespace=namespace or None, uid=node.uid)),
                "Warning",
                "OwnerRefInvalidNamespace",
                f'ownerRef {owner} does not exist in namespace "{namespace}"',
                resource=self._followed[node.plural][0],
            )

    def _is_safe(self, node: Node) -> bool:
        """Tells whether all its owners are known to live: nearly always, and then there is nothing to do."""
        owners = (self._graph.owner_of(node, ref) for ref in node.owners)
        return all(owner is not None and not owner.waits_for_dependents for owner in owners)

    def _note_gone(self, uid: str) -> Iterable[str]:
        """Takes an object out of the graph and yields the uids for which that may change something."""
        node = self._graph.get(uid)
        self._remember_absent(uid)
        if node is None:
            return
        self._graph.remove(uid)
        for dependent in self._graph.dependents(uid):
            yield dependent.uid
        yield from self._waiting_owners(node)

    def _waiting_owners(self, node: Node) -> Iterable[str]:
        for ref in node.owners:
            owner = self._graph.get(ref.uid)
            if owner is not None and owner.waits_for_dependents:
                yield owner.uid

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
            elif node.waits_for_dependents and not self._graph.is_blocked(node.uid):
                await self._remove_finalizer(node, FOREGROUND)
            return DONE
        if not node.owners:
            return DONE
        owners = await self._classify(node)
        action = decide(node, owners, self._graph.dependents(node.uid))
        if isinstance(action, Delete):
            if action.unblock:
                await self._unblock(node)
            await self._delete(node, action.policy)
        elif isinstance(action, DropOwners):
            await self._drop_owners(node, set(action.uids))
        return DONE

    async def _classify(self, node: Node) -> Owners:
        owners = Owners()
        for ref in node.owners:
            owner = self._graph.owner_of(node, ref)
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
        resource = self._resource_named(ref)
        if resource is None or (resource.namespaced and not node.namespaced):
            # A kind this server does not have, or a reference across scopes: nothing is known, so nothing is deleted.
            log.warning("owner can't be looked up", object=node.key, owner=f"{ref.apiVersion} {ref.kind} {ref.name}")
            return False
        namespace = split_key(node.key)[0] if resource.namespaced else ""
        try:
            owner = await self._rest.get(resource, ref.name, namespace)
        except NotFound:
            owner = None
        if owner is not None and owner.metadata.uid == ref.uid:
            return False
        if self._graph.get(ref.uid) is None:  # else it lives, under another name than the reference says
            self._remember_absent(ref.uid)
        return True

    def _resource_named(self, ref: OwnerReference) -> Resource[Any] | None:
        kind = (ref.apiVersion.rpartition("/")[0], ref.kind)
        return next(
            (resource for resource, _ in self._followed.values() if (resource.group, resource.kind) == kind), None
        )

    async def _delete(self, node: Node, policy: str) -> None:
        namespace, name = split_key(node.key)
        resource, _ = self._followed[node.plural]
        try:
            await self._rest.delete(resource, name, namespace, propagation_policy=policy, uid=node.uid)
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

    async def _unblock(self, node: Node) -> None:
        """Stops its owners from waiting for it: in a circle everyone would wait for everyone."""

        def change(obj: Object) -> Object | None:
            blocking = [ref for ref in obj.metadata.ownerReferences or () if ref.blockOwnerDeletion]
            for ref in blocking:
                ref.blockOwnerDeletion = False
            return obj if blocking else None

        await self._patch(node, change)

    async def _orphan(self, node: Node) -> None:
        """Takes the owner out of all its dependents, then lets it go."""

        async def release(dependent: Node) -> None:
            await self._drop_owners(dependent, {node.uid})

        errors = await in_parallel(self._graph.dependents(node.uid), release)
        if errors:
            raise errors[0]
        await self._remove_finalizer(node, ORPHAN)

    async def _remove_finalizer(self, node: Node, finalizer: str) -> None:
        def change(obj: Object) -> Object | None:
            if finalizer not in (obj.metadata.finalizers or ()):
                return None
            obj.metadata.finalizers = [name for name in obj.metadata.finalizers or () if name != finalizer]
            return obj

        await self._patch(node, change)

    async def _patch(self, node: Node, change: Callable[[Object], Object | None]) -> None:
        """Applies a change of metadata by a merge patch that is only good for the revision it was computed from."""
        resource, _ = self._followed[node.plural]
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


def _is_collected(item: APIResource) -> bool:
    return not item.is_subresource and (item.group, item.name) not in IGNORED and set(item.verbs) >= NEEDED_VERBS


def _trim(obj: Object) -> None:
    """Drops annotations and labels: they may be large, and nobody here reads them."""
    obj.metadata.annotations = obj.metadata.labels = None


CONTROLLER = ControllerSpec(
    "garbage-collector-controller",
    GarbageCollector,
    [Source(GarbageCollector.follow_kinds)],
    workers=20,
    workers_flag="--concurrent-gc-syncs",
    subjects="objects looked at by the garbage collector",
    service_account="generic-garbage-collector",
)
