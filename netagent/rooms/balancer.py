"""balancer: answers on the node's link for the addresses of LoadBalancer Services that fall to this node.

An address leads to the node that has it on its link, and there kube-proxy's rules lead it on. When a node is no longer
Ready the others find another one for what it had.
"""

from __future__ import annotations

import asyncio

from componentbase import logs
from componentbase.host.process import CommandError
from kubeapi.core.node import Node
from kubeapi.core.service.model import Service
from kubeapi.discovery.endpointslice import SERVICE_NAME_LABEL, EndpointSlice
from netagent.balancer.election import held
from netagent.balancer.link import Link, find_link, set_addresses
from netagent.room import Room, RoomContext

MIN_SYNC_SECONDS, RETRY_SECONDS = 0.1, 5.0
OF_SERVICE = "service"

log = logs.logger(__name__)


async def _run(context: RoomContext) -> None:
    nodes, services = context.informers.of(Node), context.informers.of(Service)
    slices = context.informers.of(EndpointSlice, label_selector=SERVICE_NAME_LABEL)
    slices.add_index(OF_SERVICE, lambda item: (item.service_key,))
    wake = asyncio.Event()
    for handled in (nodes, services, slices):
        handled.add_handler(lambda old, new: wake.set())
    for informer in (nodes, services, slices):
        await informer.wait_synced()  # by half a list another node would seem to be elected
    link: Link | None = None
    last: set[str] | None = None
    while True:
        wake.clear()
        try:
            if link is None:
                link = await _find(nodes.get(context.node_name))
            wanted = set[str]()
            if link is not None:
                wanted = held(
                    context.node_name,
                    link.network,
                    nodes.list(),
                    services.list(),
                    lambda service: slices.by_index(OF_SERVICE, service.key),
                )
            if wanted != last:
                came, went = await set_addresses(link, wanted)
                last = wanted
                log.info("answering", addresses=",".join(sorted(wanted)), came=len(came), went=len(went))
        except CommandError as error:
            log.error("addresses not changed", error=str(error))
            await context.clock.sleep(RETRY_SECONDS)
            continue
        await wake.wait()
        await context.clock.sleep(MIN_SYNC_SECONDS)


async def _find(node: Node | None) -> Link | None:
    for item in (node.status.addresses or ()) if node is not None else ():
        if item.type == "InternalIP" and "." in item.address:
            return await find_link(item.address)
    return None


async def _cleanup() -> None:
    await set_addresses(None, set())


ROOM = Room("balancer", _run, _cleanup)
