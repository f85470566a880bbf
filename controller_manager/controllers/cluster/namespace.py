"""Namespace: empties a namespace that is deleted, of every kind that the API serves, then takes its finalizer away."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apimachinery.errors import Conflict, MethodNotAllowed, NotFound, StatusError
from apimachinery.meta import Object
from apimachinery.resource import Resource
from componentbase import logs
from controller_manager.controllers.cluster._namespacecontent import Findings, conditions, content_resources, is_pods
from kubeapi.core.namespace import Namespace
from kubeapi.core.pod.model import Pod
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Watch, after
from kubeclient.discovery import APIResource, discover
from kubeclient.wire import PARTIAL_METADATA_LIST

FINALIZER = "kubernetes"
FIRST_LOOK_SECONDS = 0.1
MOST_LOOK_SECONDS = 5.0
"""What remains is looked at again after a time that doubles between these two."""

log = logs.logger(__name__)


class NamespaceReconciler:
    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._clock = context.rest, context.clock
        self._namespaces = context.informers.of(Namespace)
        self._looks: dict[str, int] = {}

    def emptied_by(self, old: Pod | None, new: Pod | None) -> Iterable[str]:
        """Wakes an ending namespace when a pod is gone: after the last one, the rest may go."""
        if new is None and old is not None:
            namespace = self._namespaces.get(old.namespace)
            if namespace is not None and namespace.metadata.deletionTimestamp is not None:
                yield namespace.name

    async def reconcile(self, key: str) -> Result:
        namespace = self._namespaces.get(key)
        if namespace is None or namespace.metadata.deletionTimestamp is None:
            self._looks.pop(key, None)
            return DONE
        if FINALIZER not in (namespace.spec.finalizers or ()):
            return DONE
        findings = await self._empty(key)
        await self._tell(namespace, findings)
        if findings.empty:
            await self._finalize(namespace)
            self._looks.pop(key, None)
            return DONE
        looks = self._looks[key] = self._looks.get(key, 0) + 1
        return after(min(FIRST_LOOK_SECONDS * 2 ** min(looks, 10), MOST_LOOK_SECONDS))

    async def _empty(self, namespace: str) -> Findings:
        """Deletes everything, pods first, and returns what is left."""
        discovery = await discover(self._rest)
        findings = Findings(unread_groups=discovery.failed)
        for resource in content_resources(discovery.resources):
            try:
                await self._delete_all(resource, namespace, findings)
            except StatusError as error:
                findings.errors.append(f"{resource.name}: {error}")
            if is_pods(resource) and (findings.remaining or findings.errors):
                break
        return findings

    async def _delete_all(self, resource: APIResource, namespace: str, findings: Findings) -> None:
        plain = resource.metadata_only()
        left = await self._list(plain, namespace)
        if not left:
            return
        if "deletecollection" in resource.verbs:
            try:
                await self._rest.delete_collection(plain, namespace, propagation_policy="Background")
            except (NotFound, MethodNotAllowed):
                return
        else:
            for obj in left:
                try:
                    await self._rest.delete(plain, obj.name, namespace, propagation_policy="Background")
                except NotFound:
                    continue
        findings.note_objects(resource, await self._list(plain, namespace))

    async def _list(self, resource: Resource[Any], namespace: str) -> list[Object]:
        try:
            listing = await self._rest.list(resource, namespace, accept=PARTIAL_METADATA_LIST)
        except (NotFound, MethodNotAllowed):
            return []
        return listing.items

    async def _tell(self, namespace: Namespace, findings: Findings) -> None:
        updated = conditions(namespace.status.conditions, findings, self._clock.now())
        if updated == namespace.status.conditions or (findings.empty and not namespace.status.conditions):
            return

        def change(fresh: Namespace) -> Namespace | None:
            if fresh.metadata.uid != namespace.metadata.uid:
                return None
            fresh.status.conditions = conditions(fresh.status.conditions, findings, self._clock.now())
            fresh.status.phase = "Terminating"
            return fresh

        try:
            await self._rest.update_with(Namespace, namespace.name, "", change, subresource="status")
        except NotFound:
            return

    async def _finalize(self, namespace: Namespace) -> None:
        """Takes our finalizer away; the API server removes a namespace that has none left."""

        def change(fresh: Namespace) -> Namespace | None:
            if fresh.metadata.uid != namespace.metadata.uid or FINALIZER not in (fresh.spec.finalizers or ()):
                return None
            fresh.spec.finalizers = [name for name in fresh.spec.finalizers or () if name != FINALIZER] or None
            return fresh

        try:
            await self._rest.update_with(Namespace, namespace.name, "", change, subresource="finalize")
        except (NotFound, Conflict):
            return
        log.info("namespace emptied", namespace=namespace.name)


def _when_deleted(_: NamespaceReconciler, old: Namespace | None, new: Namespace | None) -> Iterable[str]:
    """Wakes a namespace that is being deleted or is gone: no other has work for us."""
    if new is None:
        return (old.name,) if old is not None else ()
    return (new.name,) if new.metadata.deletionTimestamp is not None else ()


CONTROLLER = ControllerSpec(
    "namespace-controller",
    NamespaceReconciler,
    [Watch(Namespace, _when_deleted), Watch(Pod, NamespaceReconciler.emptied_by)],
    workers=10,
    workers_flag="--concurrent-namespace-syncs",
    subjects="Namespaces",
)
