"""Makes custom kinds known to everything in the server that looks for kinds."""

from __future__ import annotations

from typing import Any

from apimachinery.catalogue import Catalogue
from apimachinery.custom import CustomObject
from apimachinery.resource import Resource
from apiserver.admission._plugin import Chain
from apiserver.apiextensions.hooks import CustomObjectHooks
from apiserver.apiextensions.kinds import CustomKind
from apiserver.main.collected import add_generic
from apiserver.pipeline.routes import Routes
from apiserver.registry.store import Store
from apiserver.registry.stores import Stores
from apiserver.storage import CachedStorage
from apiserver.subresources._subresource import Subresources
from componentbase.clock import Clock


class KindPublisher:
    """`preferred` are the resources by (group, plural) that admission looks up."""

    def __init__(
        self,
        catalogue: Catalogue,
        subresources: Subresources,
        stores: Stores,
        routes: Routes,
        preferred: dict[tuple[str, str], Resource[Any]],
        admission: Chain,
        storage: CachedStorage,
        clock: Clock,
    ) -> None:
        self._catalogue = catalogue
        self._subresources = subresources
        self._stores = stores
        self._routes = routes
        self._preferred = preferred
        self._admission = admission
        self._storage = storage
        self._clock = clock
        self._made: dict[str, list[Store[CustomObject]]] = {}

    def publish(self, kind: CustomKind) -> None:
        made = self._made[kind.name] = [self._store(kind, resource) for resource in kind.served]
        for store in made:
            resource = store.resource
            self._stores.add(store)
            add_generic(self._subresources, resource)
            self._routes.add(store)
            self._catalogue.add(resource)
            self._preferred.setdefault((resource.group, resource.plural), resource)

    def _store(self, kind: CustomKind, resource: Resource[CustomObject]) -> Store[CustomObject]:
        hooks = CustomObjectHooks(lambda: kind.is_terminating)
        return Store(resource, self._storage, self._admission, self._clock, hooks, spec_subresources=("scale",))

    def withdraw(self, kind: CustomKind) -> None:
        for store in self._made.pop(kind.name):
            resource = store.resource
            self._catalogue.remove(resource)
            self._routes.remove(resource)
            self._subresources.remove_of(resource)
            self._stores.remove(store)
            self._preferred.pop((resource.group, resource.plural), None)
