"""balancer: answers on the node's link for the addresses of LoadBalancer Services that fall to this node.

An address leads to the node that has it on its link, and there kube-proxy's rules lead it on. When a node is no longer
Ready the others find another one for what it had; the next in line notices by itself, and sooner, that it is silent.
"""

from __future__ import annotations

import asyncio

from componentbase import logs
from componentbase.host.process import CommandError
from componentbase.host.rtnetlink import IPV4_ADDRESSES, noticing_changes
from componentbase.tasks import first_of
from kubeapi.core.node import Node, internal_addresses
from kubeapi.core.service.model import Service
from kubeapi.discovery.endpointslice import SERVICE_NAME_LABEL, EndpointSlice
from netagent.balancer.election import share_of
from netagent.balancer.link import Link, find_links, set_addresses
from netagent.balancer.reachability import Reachability
from netagent.room import CHECK_SECONDS, MIN_SYNC_SECONDS, RETRY_SECONDS, Room, RoomContext

OF_SERVICE = "service"

log = logs.logger(__name__)


async def _run(context: RoomContext) -> None:
    wake = asyncio.Event()
    others = Reachability(context.clock, wake.set)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(others.run())
        tasks.create_task(_answer(context, others, wake))


async def _answer(context: RoomContext, others: Reachability, wake: asyncio.Event) -> None:
    nodes, services = context.informers.of(Node), context.informers.of(Service)
    slices = context.informers.of(EndpointSlice, label_selector=SERVICE_NAME_LABEL)
    slices.add_index(OF_SERVICE, lambda item: (item.service_key,))
    for handled in (nodes, services, slices):
        handled.add_handler(lambda old, new: wake.set())
    for informer in (nodes, services, slices):
        await informer.wait_synced()  # by half a list another node would seem to be elected
    links: list[Link] = []
    last: frozenset[str] | None = None
    touched = asyncio.Event()
    with noticing_changes(touched, IPV4_ADDRESSES):
        while True:
            wake.clear()
            try:
                node = nodes.get(context.node_name)
                links = links or await find_links(internal_addresses(node) if node else ())
                share = share_of(
                    context.node_name,
                    [link.network for link in links],
                    nodes.list(),
                    services.list(),
                    lambda service: slices.by_index(OF_SERVICE, service.key),
                    others.lost,
                )
                others.watch(share.watched)
                if share.held != last:
                    came, went = await set_addresses(links, share.held)
                    last = share.held
                    if came or went:
                        log.info("answering", addresses=",".join(sorted(last)), came=len(came), went=len(went))
            except CommandError as error:
                log.error("addresses not changed", error=str(error))
                await context.clock.sleep(RETRY_SECONDS)
                continue
            if await first_of(wake.wait(), touched.wait(), context.clock.sleep(CHECK_SECONDS)) > 0:
                touched.clear()
                links, last = [], None  # somebody may have taken our addresses, or the node's own
            await context.clock.sleep(MIN_SYNC_SECONDS)


async def _cleanup() -> None:
    await set_addresses((), ())


ROOM = Room("balancer", _run, _cleanup)
