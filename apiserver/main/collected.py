"""The subresources, and the handlers of kinds without storage, as they are collected from their folders."""

from __future__ import annotations

from collections.abc import Mapping

from apimachinery.catalogue import Catalogue, CatalogueError, collect
from apiserver.handlers.api import Handler
from apiserver.subresources._scale import scale_of
from apiserver.subresources._status import status_of
from apiserver.subresources._subresource import Subresource
from apiserver.virtual._virtual import Virtual


def all_subresources(catalogue: Catalogue) -> list[Subresource]:
    """Returns the collected ones, and status and scale of the kinds that have them."""
    subresources = list(collect("apiserver.subresources", "SUBRESOURCE", Subresource).values())
    for resource in catalogue:
        if resource.status:
            subresources.append(status_of(resource))
        if resource.scale is not None:
            subresources.append(scale_of(resource))
    return subresources


def virtual_handlers(catalogue: Catalogue) -> dict[tuple[str, str], Mapping[str, Handler]]:
    """By (group, plural): what answers for the kinds that are not stored. Raises: CatalogueError when nothing does."""
    handlers = {
        (virtual.group, plural): by_verb
        for virtual in collect("apiserver.virtual", "VIRTUAL", Virtual).values()
        for plural, by_verb in virtual.handlers.items()
    }
    for resource in catalogue:
        if not resource.stored and set(handlers.get((resource.group, resource.plural), ())) != set(resource.verbs):
            raise CatalogueError(f"{resource} is not stored, and apiserver/virtual/ does not answer for its verbs")
    return handlers
