"""Writes what was planned about EndpointSlices."""

from __future__ import annotations

from apimachinery.errors import AlreadyExists, Conflict, Forbidden, NotFound, namespace_is_terminating, object_conflict
from componentbase.clock import Clock
from controller_manager.controllers.network._slices import Plan
from controller_manager.ownership import delete_surely
from kubeclient.rest import RestClient


async def perform(rest: RestClient, plan: Plan, clock: Clock) -> None:
    """Creates and updates first: for a moment an endpoint may be in two slices, but never in none.

    Raises: Conflict where the cache is behind; as RestClient's methods.
    """
    for each in plan.create:
        try:
            await rest.create(each)
        except AlreadyExists:
            raise object_conflict("endpointslices", "discovery.k8s.io", each.name, "the cache is behind") from None
        except Forbidden as error:
            if not namespace_is_terminating(error):
                raise
            return
    for each in plan.update:
        try:
            await rest.update(each)
        except NotFound:
            raise Conflict("the slice is gone and the cache is behind") from None
    for each in plan.delete:
        await delete_surely(rest, each, clock)
