"""routes: leads packets for other nodes' pods to the nodes that have them.

The routes stay when the agent ends, and go when their node does, or by `--cleanup`.
"""

from __future__ import annotations

import asyncio

from componentbase import logs
from componentbase.host.process import CommandError
from componentbase.tasks import first_of
from kubeapi.core.node import Node
from netagent.room import Room, RoomContext
from netagent.routes.plan import Place, places, wanted_routes
from netagent.routes.table import neighbourhoods, noticing_changes, remove_all, set_routes

MIN_SYNC_SECONDS, RETRY_SECONDS = 0.1, 5.0
CHECK_SECONDS = 30.0
"""Between two looks at the kernel's routes for what no event tells: those of IPv6 would tell of each pod's link."""

log = logs.logger(__name__)


async def _run(context: RoomContext) -> None:
    nodes = context.informers.of(Node)
    wake, touched = asyncio.Event(), asyncio.Event()
    nodes.add_handler(lambda old, new: wake.set())
    last: dict[str, Place] | None = None
    check = False
    context.health.add_ready_check("routes", lambda: "" if last is not None else "routes have not been set yet")
    await nodes.wait_synced()
    with noticing_changes(touched):
        while True:
            wake.clear()
            current = places(nodes.list())
            if current != last or check:
                touched.clear()
                try:
                    wanted = wanted_routes(current, context.node_name, await neighbourhoods())
                    changed = await set_routes(wanted, context.route_metric)
                except CommandError as error:
                    log.error("routes not changed", error=str(error))
                    await context.clock.sleep(RETRY_SECONDS)
                    check = True
                    continue
                last = current
                if changed:
                    log.info("routes set", count=len(wanted), changes="; ".join(changed))
            check = await first_of(wake.wait(), touched.wait(), context.clock.sleep(CHECK_SECONDS)) > 0
            await context.clock.sleep(MIN_SYNC_SECONDS)


ROOM = Room("routes", _run, remove_all)
