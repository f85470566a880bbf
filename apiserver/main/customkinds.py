"""Makes custom kinds known to everything in the server that looks for kinds."""

from __future__ import annotations

from typing import Any

from apimachinery.catalogue import Catalogue, CatalogueError
from apimachinery.custom import CustomObject
from apimachinery.resource import Resource
from apiserver.admission._plugin import Chain
from apiserver.apiextensions.conversion import conversion_of, schema_of
from apiserver.apiextensions.hooks import CustomObjectHooks
from apiserver.apiextensions.kinds import CustomKind
from apiserver.apiextensions.webhook import ConversionWebhook
from apiserver.main.collected import add_generic
from apiserver.pipeline.routes import Routes
from apiserver.proxy.services import ServiceLocator
from apiserver.registry.store import Store
from apiserver.registry.stores import Stores
from apiserver.storage import CachedStorage, Storage
from apiserver.storage.view import ViewStorage
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
        locator: ServiceLocator,
        clock: Clock,
    ) -> None:
        self._catalogue = catalogue
        self._subresources = subresources
        self._stores = stores
        self._routes = routes
        self._preferred = preferred
        self._admission = admission
        self._storage = storage
        self._locator = locator
        self._clock = clock
        self._made: dict[str, list[Store[CustomObject]]] = {}
        self._webhooks: dict[str, ConversionWebhook] = {}

    def publish(self, kind: CustomKind) -> None:
        for resource in kind.served:
            if other := self._catalogue.find(resource.group, resource.version, resource.plural):
                raise CatalogueError(f"{kind.name} would stand where {other} is served")
        if schema_of(kind.stored).by_webhook:
            webhook = self._webhooks[kind.name] = ConversionWebhook(kind.conversion["webhook"], self._locator)
            for resource in (kind.stored, *kind.served):
                schema_of(resource).webhook = webhook
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
        conversion = conversion_of(kind, resource)
        storage: Storage = self._storage
        if conversion is not None:
            storage = ViewStorage(storage, kind.stored, conversion)
        return Store(resource, storage, self._admission, self._clock, hooks, spec_subresources=("scale",))

    def withdraw(self, kind: CustomKind) -> None:
        if webhook := self._webhooks.pop(kind.name, None):
            webhook.close()
        for store in self._made.pop(kind.name):
            resource = store.resource
            self._catalogue.remove(resource)
            self._routes.remove(resource)
            self._subresources.remove_of(resource)
            self._stores.remove(store)
            self._preferred.pop((resource.group, resource.plural), None)
