"""The ConfigMaps and Secrets that pods of this node use: one watch per object, shared, ended with its last user.

One that is immutable is not watched any further once it is known.

A kubelet never sees others: a node's credentials need not read them, and its memory does not hold them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from componentbase import logs
from kubeapi.core.configmap import ConfigMap
from kubeapi.core.secret.model import Secret
from kubeclient.informer import Informer
from kubeclient.rest import RestClient
from kubelet.volume.interface import ObjectRef

SYNC_SECONDS = 30.0  # how long a pod waits for the first answer about its objects, before it tries again

log = logs.logger(__name__)


@dataclass(slots=True)
class _Watched:
    informer: Informer[Any]
    task: asyncio.Task[None]
    users: set[str] = field(default_factory=set)


class ObjectsNotSynced(Exception):
    """The API server has not answered in time; the text is the FailedMount event's."""


class ObjectStore:
    """Implements `env.ObjectLookup`. `on_change(pod_uid)` is called for each user of an object that changed."""

    def __init__(self, rest: RestClient, on_change: Callable[[str], None], tasks: asyncio.TaskGroup) -> None:
        self._rest = rest
        self._on_change = on_change
        self._tasks = tasks
        self._watched: dict[ObjectRef, _Watched] = {}
        self._used: dict[str, frozenset[ObjectRef]] = {}

    def use(self, uid: str, refs: Collection[ObjectRef]) -> None:
        """Watches the objects that the pod refers to now, and no longer those that it referred to before."""
        new, old = frozenset(refs), self._used.get(uid, frozenset())
        for ref in new - old:
            self._acquire(ref).users.add(uid)
        for ref in old - new:
            self._release(ref, uid)
        if new:
            self._used[uid] = new
        else:
            self._used.pop(uid, None)

    async def wait_synced(self, uid: str) -> None:
        """Waits until the API has answered about all that the pod refers to. Raises: ObjectsNotSynced."""
        try:
            async with asyncio.timeout(SYNC_SECONDS):
                for ref in self._used.get(uid, ()):
                    await self._watched[ref].informer.wait_synced()
        except TimeoutError:
            kinds = sorted({ref.kind.lower() for ref in self._used.get(uid, ())})
            raise ObjectsNotSynced(
                f"failed to sync {' and '.join(kinds)} cache: timed out waiting for the condition"
            ) from None

    def config_map(self, namespace: str, name: str) -> ConfigMap | None:
        config_map = self._get(ObjectRef("ConfigMap", namespace, name))
        return config_map if isinstance(config_map, ConfigMap) else None

    def secret(self, namespace: str, name: str) -> Secret | None:
        secret = self._get(ObjectRef("Secret", namespace, name))
        return secret if isinstance(secret, Secret) else None

    def __len__(self) -> int:
        return len(self._watched)

    def _get(self, ref: ObjectRef) -> object | None:
        watched = self._watched.get(ref)
        return watched.informer.get(f"{ref.namespace}/{ref.name}") if watched else None

    def _acquire(self, ref: ObjectRef) -> _Watched:
        watched = self._watched.get(ref)
        if watched is None:
            model: type[Any] = ConfigMap if ref.kind == "ConfigMap" else Secret
            selector = f"metadata.name={ref.name}"
            informer: Informer[Any] = Informer(self._rest, model, namespace=ref.namespace, field_selector=selector)
            informer.add_handler(lambda old, new: self._changed(ref, new))
            watched = self._watched[ref] = _Watched(informer, self._tasks.create_task(informer.run()))
        return watched

    def _release(self, ref: ObjectRef, uid: str) -> None:
        watched = self._watched[ref]
        watched.users.discard(uid)
        if not watched.users:
            watched.task.cancel()
            del self._watched[ref]

    def _changed(self, ref: ObjectRef, new: ConfigMap | Secret | None) -> None:
        watched = self._watched.get(ref)
        if watched is not None and new is not None and new.immutable:
            asyncio.get_running_loop().call_soon(watched.task.cancel)  # not before the informer says that it is synced
        for uid in watched.users if watched else ():
            self._on_change(uid)
