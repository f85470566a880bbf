"""What every handler shares: one API server's storage, registries and helpers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from apimachinery.catalogue import Catalogue
from apimachinery.resource import Resource
from apiserver.admission._plugin import Chain
from apiserver.auth.authenticator import Authenticator
from apiserver.auth.authorizer import Authorizer
from apiserver.auth.tokens import ServiceAccountTokens
from apiserver.main.options import Options
from apiserver.proxy.kubelet import KubeletClient
from apiserver.registry.claims.services import Repair
from apiserver.registry.store import Store
from apiserver.storage import CachedStorage
from apiserver.subresources._subresource import Handler, Subresource
from componentbase.clock import Clock


@dataclass
class Context:
    options: Options
    catalogue: Catalogue
    storage: CachedStorage
    admission: Chain
    stores: dict[tuple[str, str], Store[Any]]
    """By (group, plural)."""
    subresources: dict[tuple[str, str, str], Subresource]
    """By (group, plural, subresource)."""
    virtual: Mapping[tuple[str, str], Mapping[str, Handler]]
    """(group, plural) of kinds that nothing is stored of -> verb -> handler."""
    authenticator: Authenticator
    tokens: ServiceAccountTokens
    authorizer: Authorizer
    kubelet: KubeletClient
    clock: Clock
    repair: Repair
    closers: set[Callable[[], None]] = field(default_factory=set)
    """Ends each open watch, log and exec: called when the server stops, so that their clients go elsewhere."""
    stopping: bool = False

    def core(self, plural: str) -> Resource[Any]:
        """A resource of the core group that this server can't do without. Raises: LookupError."""
        resource = self.catalogue.find("", "v1", plural)
        if resource is None:
            raise LookupError(f"no kind has the plural {plural}")
        return resource

    def store(self, plural: str) -> Store[Any]:
        return self.stores[("", plural)]
