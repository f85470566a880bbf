"""netagent: runs in a node's network namespace and keeps its network as the API says, one room for each part of it."""

from __future__ import annotations

import asyncio
import sys

from apimachinery.catalogue import collect
from componentbase import daemon, logs
from componentbase.clock import Clock
from componentbase.health import HealthHandler
from componentbase.host.hostnetwork import end_outside_host_network, network_namespace
from componentbase.host.process import CommandError
from kubeapi.core.node import Node
from kubeclient.daemon import daemon_client
from kubeclient.informer import Informers
from netagent.options import Options, parse
from netagent.room import Room, RoomContext

log = logs.logger(__name__)


def main() -> int:
    options = parse()
    logs.setup("netagent", options.log_file, options.verbosity)
    return daemon.run(lambda: _cleanup(_rooms(options)) if options.cleanup else _run(options), "netagent")


def _rooms(options: Options) -> list[Room]:
    """Raises: FatalError for a name that no room has."""
    rooms = {room.name: room for room in collect("netagent.rooms", "ROOM", Room).values()}
    if unknown := set(options.rooms) - set(rooms):
        raise daemon.FatalError(f"--rooms: there is no {', '.join(sorted(unknown))}; there are {', '.join(rooms)}")
    return [room for name, room in rooms.items() if not options.rooms or name in options.rooms]


async def _cleanup(rooms: list[Room]) -> None:
    for room in rooms:
        try:
            await room.cleanup()
        except CommandError as error:
            raise daemon.FatalError(f"{room.name} could not be removed: {error}") from None
        log.info("removed", room=room.name)


async def _run(options: Options) -> None:
    rooms = _rooms(options)
    clock, health = Clock(), HealthHandler(open_metrics=True)
    async with daemon_client(options.kubeconfig, "netagent") as rest:
        informers = Informers(rest, clock)
        node = informers.of(Node, field_selector=f"metadata.name={options.node_name}")
        context = RoomContext(
            options.node_name,
            options.route_metric,
            options.overlay,
            options.non_masquerade_cidrs,
            rest,
            informers,
            node,
            health,
            clock,
        )
        log.info("starting", rooms=",".join(room.name for room in rooms), node=options.node_name)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(end_outside_host_network(options.host_netns_file, clock, network_namespace()))
            tasks.create_task(informers.run())
            for room in rooms:
                tasks.create_task(room.run(context))
            tasks.create_task(health.serve(options.health_address, options.health_port))


if __name__ == "__main__":
    sys.exit(main())
