"""The subresources, and the handlers of kinds without storage, as they are collected from their folders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apimachinery.catalogue import Catalogue, CatalogueError, collect
from apimachinery.resource import Resource
from apiserver.handlers.api import Handler
from apiserver.subresources._scale import scale_of
from apiserver.subresources._status import status_of
from apiserver.subresources._subresource import Subresource, Subresources
from apiserver.virtual._virtual import Virtual


def all_subresources(catalogue: Catalogue) -> Subresources:
    """Returns the collected ones, and status and scale of the kinds that have them."""
    subresources = Subresources(collect("apiserver.subresources", "SUBRESOURCE", Subresource).values())
    for resource in catalogue:
        add_generic(subresources, resource)
    return subresources


def add_generic(subresources: Subresources, resource: Resource[Any]) -> None:
    """Adds the subresources that follow from what a kind says of itself."""
    if resource.status:
        subresources.add(status_of(resource))
    if resource.scale is not None:
        subresources.add(scale_of(resource))


def virtual_handlers(
    catalogue: Catalogue, folder: str = "apiserver.virtual"
) -> dict[tuple[str, str], Mapping[str, Handler]]:
    """By (group, plural): what answers for the kinds that are not stored. Raises: CatalogueError when nothing does."""
    handlers = {
        (virtual.group, plural): by_verb
        for virtual in collect(folder, "VIRTUAL", Virtual).values()
        for plural, by_verb in virtual.handlers.items()
    }
    for resource in catalogue:
        if not resource.stored and set(handlers.get((resource.group, resource.plural), ())) != set(resource.verbs):
            raise CatalogueError(f"{resource} is not stored, and {folder} does not answer for its verbs")
    return handlers
