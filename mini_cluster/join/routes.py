"""Keeps this machine's routes to the pods of nodes on other machines, as nodes come and go.

It watches Nodes, and gives the `spec.podCIDR` of each a route by its InternalIP. Nodes in the network of the control
plane's own hosts have their routes from the launcher.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from componentbase import daemon, logs
from componentbase.tasks import wait_for
from kubeapi.core.node import Node
from kubeclient.daemon import daemon_client
from kubeclient.informer import Informer
from kubeclient.rest import RestClient
from mini_cluster.machine.commands import MachineCommandError, run

NAME = "node-routes"
RETRY_SECONDS = 10.0  # after a route that the kernel refused: its gateway may not be there yet

log = logs.logger(__name__)


def wanted_routes(nodes: Iterable[Node], own_network: str, own_name: str = "") -> dict[str, str]:
    """Returns pod network -> gateway for each node on another machine."""
    network = IPv4Network(own_network)
    routes = {}
    for node in nodes:
        address = next(
            (item.address for item in node.status.addresses or () if item.type == "InternalIP" and "." in item.address),
            "",
        )
        if node.name != own_name and node.spec.podCIDR and address and IPv4Address(address) not in network:
            routes[node.spec.podCIDR] = address
    return routes


def plan(current: dict[str, str], wanted: dict[str, str], metric: int) -> list[str]:
    """Returns the lines for `ip -batch` that turn our routes, which have this metric, into the wanted ones."""
    lines = [f"route delete {network} metric {metric}" for network in current if network not in wanted]
    for network, gateway in wanted.items():
        if current.get(network) != gateway:
            lines.append(f"route replace {network} via {gateway} metric {metric}")
    return lines


def current_routes(metric: int) -> dict[str, str]:
    """Returns the routes with this metric, which this program made. Raises: MachineCommandError."""
    routes = json.loads(run(["ip", "-json", "-4", "route", "show"]) or "[]")
    return {route["dst"]: route.get("gateway", "") for route in routes if route.get("metric") == metric}


async def keep_routes(rest: RestClient, own_network: str, own_name: str, metric: int, ready_file: Path) -> None:
    """Runs until cancelled. `ready_file` is there once the routes have been set."""
    changed = asyncio.Event()
    nodes = Informer(rest, Node)
    nodes.add_handler(lambda old, new: changed.set())

    async def follow() -> None:
        await nodes.wait_synced()
        while True:
            changed.clear()
            retry_seconds = None
            try:
                await asyncio.to_thread(_apply, wanted_routes(nodes.list(), own_network, own_name), metric)
            except MachineCommandError as error:
                log.warning("routes not set", error=str(error))
                retry_seconds = RETRY_SECONDS
            await asyncio.to_thread(ready_file.touch)
            await wait_for(changed, retry_seconds)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(nodes.run())
        tasks.create_task(follow())


def _apply(wanted: dict[str, str], metric: int) -> None:
    lines = plan(current_routes(metric), wanted, metric)
    if lines:
        log.info("routes change", lines="; ".join(lines))
        run(["ip", "-force", "-batch", "-"], stdin="\n".join(lines) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog=NAME, description=__doc__)
    parser.add_argument("--kubeconfig", required=True, metavar="FILE")
    parser.add_argument("--own-network", required=True, metavar="CIDR", help="nodes in it need no route")
    parser.add_argument("--own-name", default="", metavar="NODE", help="the node on this machine")
    parser.add_argument("--metric", type=int, required=True, metavar="N", help="tells our routes from others")
    parser.add_argument("--ready-file", type=Path, required=True, metavar="FILE", help="made once routes are set")
    parser.add_argument("--log-file", default="", metavar="FILE")
    options = parser.parse_args()
    logs.setup(NAME, options.log_file, 0)

    async def work() -> None:
        options.ready_file.unlink(missing_ok=True)
        async with daemon_client(options.kubeconfig, NAME) as rest:
            await keep_routes(rest, options.own_network, options.own_name, options.metric, options.ready_file)

    return daemon.run(work, NAME)


if __name__ == "__main__":
    sys.exit(main())
