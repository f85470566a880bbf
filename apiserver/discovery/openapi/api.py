"""The content of the documents: every path that is served, and the groups of the models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from apimachinery.catalogue import Catalogue
from apimachinery.resource import Resource
from apiserver.discovery.openapi.describe import Descriptions
from apiserver.discovery.openapi.paths import Body, Path, ResourcePaths, body_of, discovery_paths
from apiserver.discovery.openapi.schemas import GroupVersion, Schemas, gvk_of, kinds_by_model
from apiserver.subresources._subresource import Subresource


class Api:
    """`version` is the server's own, "v1.35.0". With `discovery`, the paths of discovery are there, too."""

    def __init__(
        self, catalogue: Catalogue, subresources: Iterable[Subresource], version: str, *, discovery: bool = True
    ) -> None:
        self.version = version
        self._discovery = discovery
        self.groups = catalogue.groups()
        self._subresources: list[tuple[Subresource, Body | None]] = []
        self._resources: list[Resource[Any]] = sorted(catalogue, key=lambda item: (item.root, item.plural))
        self._homes: dict[str, GroupVersion] = {}
        group_versions = [(group, version) for group, versions in self.groups.items() for version in versions]
        self._descriptions = Descriptions()
        self._gvks = kinds_by_model(self._resources, group_versions)
        for resource in self._resources:
            module = resource.model.__module__
            self._homes[module] = self._homes[module.removesuffix(".model")] = (resource.group, resource.version)
            package = module.removesuffix(".model").rpartition(".")[0]  # with what its kinds share
            self._homes.setdefault(package, (resource.group, resource.version))
        for sub in sorted(subresources, key=lambda sub: sub.name):
            version = f"{sub.group}/{sub.version}" if sub.group else sub.version
            kind = catalogue.by_kind(version, sub.kind)
            body = None if kind is None else body_of(kind)  # None for streams
            self._subresources.append((sub, body))
            model = None if kind is None else kind.model
            if model is not None and model not in self._gvks:
                self._homes.setdefault(model.__module__, (sub.group, sub.version))
                self._gvks[model] = [gvk_of(sub.group, sub.version, sub.kind)]

    def paths(self) -> Iterator[Path]:
        if self._discovery:
            yield from discovery_paths(self.groups)
        for resource in self._resources:
            subresources = [(sub, model) for sub, model in self._subresources if sub.belongs_to(resource)]
            yield from ResourcePaths(resource, subresources).all()

    def schemas(self, *, v3: bool) -> Schemas:
        return Schemas(v3=v3, homes=self._homes, gvks=self._gvks, descriptions=self._descriptions)
