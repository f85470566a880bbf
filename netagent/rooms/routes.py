"""routes: leads packets for other nodes' pods to the nodes that have them, by a link or by the overlay.

The routes stay when the agent ends, and go when their node does, or by `--cleanup`.
"""

from __future__ import annotations

import asyncio

from componentbase import logs
from componentbase.host.process import CommandError
from componentbase.host.rtnetlink import IPV4_ADDRESSES, IPV4_ROUTES, noticing_changes
from componentbase.tasks import first_of
from kubeapi.core.node import Node
from netagent.room import CHECK_SECONDS, MIN_SYNC_SECONDS, RETRY_SECONDS, Room, RoomContext
from netagent.routes.overlay import wanted_overlay
from netagent.routes.plan import Place, places, wanted_routes
from netagent.routes.table import neighbourhoods, remove_all, set_overlay, set_routes

log = logs.logger(__name__)


async def _run(context: RoomContext) -> None:
    nodes = context.informers.of(Node)
    wake, touched = asyncio.Event(), asyncio.Event()
    nodes.add_handler(lambda old, new: wake.set())
    last: dict[str, Place] | None = None
    check = False
    context.health.add_ready_check("routes", lambda: "" if last is not None else "routes have not been set yet")
    await nodes.wait_synced()
    with noticing_changes(touched, IPV4_ADDRESSES | IPV4_ROUTES):
        while True:
            wake.clear()
            current = places(nodes.list())
            if current != last or check:
                touched.clear()
                try:
                    changed = await _set(current, context)
                except CommandError as error:
                    log.error("routes not changed", error=str(error))
                    await context.clock.sleep(RETRY_SECONDS)
                    check = True
                    continue
                last = current
                if changed:
                    log.info("routes set", nodes=len(current), changes="; ".join(changed))
            check = await first_of(wake.wait(), touched.wait(), context.clock.sleep(CHECK_SECONDS)) > 0
            await context.clock.sleep(MIN_SYNC_SECONDS)


async def _set(nodes: dict[str, Place], context: RoomContext) -> list[str]:
    """Leads to all nodes, and returns what has changed. Raises: CommandError."""
    routes = wanted_routes(nodes, context.node_name, await neighbourhoods())
    overlay = wanted_overlay(nodes, context.node_name, routes, context.overlay)
    if overlay is not None:
        return [*await set_overlay(overlay), *await set_routes(routes | overlay.routes(), context.route_metric)]
    return [*await set_routes(routes, context.route_metric), *await set_overlay(None)]


ROOM = Room("routes", _run, remove_all)
