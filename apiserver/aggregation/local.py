"""Keeps an APIService for each version of a group that this server itself answers for.

Source: what the original creates at its start, with the ranks that its clients see.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

from apimachinery.catalogue import Catalogue
from apimachinery.errors import AlreadyExists, Conflict, NotFound, StatusError
from apimachinery.meta import DeleteOptions, ObjectMeta
from apimachinery.model import decode
from apiserver.registry.store import Store
from apiserver.registry.stores import Stores
from apiserver.request.user import User
from apiserver.storage import CachedStorage
from apiserver.storage.interface import StorageError
from componentbase import logs
from kubeapi.apiregistration.apiservice import GROUP, RESOURCE, APIService, APIServiceSpec

AUTOMANAGED = "kube-aggregator.kubernetes.io/automanaged"
ON_START, CUSTOM = "onstart", "true"
RETRY_SECONDS = 1.0
CORE_RANK = (18000, 1)
CUSTOM_RANK = (1000, 100)
GROUP_RANKS = {
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "certificates.k8s.io": 17300,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "apiextensions.k8s.io": 16700,
    "admissionregistration.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
    "resource.k8s.io": 16200,
    "flowcontrol.apiserver.k8s.io": 16100,
}
VERSION_RANKS = {("autoscaling", "v2"): 30, ("flowcontrol.apiserver.k8s.io", "v1"): 21, ("resource.k8s.io", "v1"): 21}
VERSION_RANK = 15

log = logs.logger(__name__)


def built_in(catalogue: Catalogue) -> list[APIService]:
    """Makes the APIServices of the kinds that are always there. Metrics have none: an adapter may serve them."""
    return [
        _service(group, version, *_ranks(group, version), ON_START)
        for group, versions in catalogue.groups().items()
        for version in versions
        if not group or group in GROUP_RANKS
    ]


def of_custom(group: str, version: str) -> APIService:
    """Makes the APIService of custom resources."""
    return _service(group, version, *CUSTOM_RANK, CUSTOM)


def _ranks(group: str, version: str) -> tuple[int, int]:
    return (GROUP_RANKS[group], VERSION_RANKS.get((group, version), VERSION_RANK)) if group else CORE_RANK


def _service(group: str, version: str, group_rank: int, version_rank: int, managed: str) -> APIService:
    return APIService(
        apiVersion=RESOURCE.api_version,
        kind=RESOURCE.kind,
        metadata=ObjectMeta(name=f"{version}.{group}", labels={AUTOMANAGED: managed}),
        spec=APIServiceSpec(
            group=group or None, version=version, groupPriorityMinimum=group_rank, versionPriority=version_rank
        ),
    )


class LocalServices:
    """Creates what is missing and deletes what is served no more. `user` is the identity of the server's writes."""

    def __init__(
        self,
        catalogue: Catalogue,
        custom: Callable[[], Iterable[tuple[str, str]]],
        stores: Stores,
        storage: CachedStorage,
        user: User,
    ) -> None:
        """`custom` gives group and version of the custom resources that are served now."""
        self._built_in = {service.name: service for service in built_in(catalogue)}
        self._custom = custom
        self._store: Store[APIService] = stores.find(RESOURCE.plural, GROUP)
        self._storage = storage
        self._user = user
        self._changed = asyncio.Event()
        storage.on_change(self._store.resource, self._changed.set)

    def changed(self) -> None:
        """To be called when other custom resources are served than before."""
        self._changed.set()

    async def begin(self) -> None:
        """Raises: StatusError, StorageError."""
        self._changed.clear()
        wanted = self._built_in | {item.name: item for item in (of_custom(*names) for names in self._custom())}
        stored = {entry.name: entry for entry in self._storage.snapshot(self._store.resource)}
        for name in wanted.keys() - stored.keys():
            with suppress(AlreadyExists):  # another API server has just created it
                await self._store.create("", wanted[name].clone(), self._user)
        for name in stored.keys() - wanted.keys():
            service = decode(APIService, stored[name].value)
            if service.spec.service is None and (service.metadata.labels or {}).get(AUTOMANAGED) == CUSTOM:
                with suppress(NotFound, Conflict):
                    await self._store.delete("", name, DeleteOptions(), self._user)

    async def run(self) -> None:
        """Follows what is served until cancelled."""
        while True:
            await self._changed.wait()
            try:
                await self.begin()
            except (StatusError, StorageError) as error:
                log.warning("APIServices not written", error=str(error))
                self._changed.set()
                await asyncio.sleep(RETRY_SECONDS)
