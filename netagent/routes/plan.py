"""Which routes a node needs: to the pods of each neighbour, by that node's address of the same IP family. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from apimachinery.validation import IPNetwork, is_cidr, parse_ip
from kubeapi.core.node import Node, internal_addresses


@dataclass(frozen=True, slots=True)
class Place:
    """The part of a Node that decides which routes lead to it."""

    pod_cidrs: tuple[str, ...]
    addresses: tuple[str, ...]


def places(nodes: Iterable[Node]) -> dict[str, Place]:
    """Returns the nodes by name: one that only reports that it is well leaves this as it was."""
    return {node.name: Place(tuple(node.spec.podCIDRs or ()), internal_addresses(node)) for node in nodes}


def wanted_routes(nodes: Mapping[str, Place], own_name: str, neighbourhoods: Iterable[IPNetwork]) -> dict[str, str]:
    """Returns network -> gateway. `neighbourhoods` are the networks that this node's links are in.

    Nodes in none of them have no such route: the overlay leads to them, or the way of the wider network.
    """
    near = tuple(neighbourhoods)
    routes = {}
    for name, place in sorted(nodes.items()):
        gateways = [
            parsed for parsed in map(parse_ip, place.addresses) if parsed and any(parsed in net for net in near)
        ]
        for network in (ip_network(cidr, strict=False) for cidr in place.pod_cidrs if is_cidr(cidr)):
            gateway = next((item for item in gateways if item.version == network.version), None)
            if gateway is not None and name != own_name:
                routes[str(network)] = str(gateway)
    return routes


def route_lines(current: Mapping[str, str], wanted: Mapping[str, str], mark: str) -> list[str]:
    """Returns the lines for `ip -batch` that turn our routes, which bear the mark, into the wanted ones."""
    return change_lines(
        current,
        wanted,
        lambda network: f"route delete {network} {mark}",
        lambda network, way: f"route replace {network} via {way} {mark}",
    )


def change_lines(
    current: Mapping[str, str],
    wanted: Mapping[str, str],
    delete: Callable[[str], str],
    replace: Callable[[str, str], str],
) -> list[str]:
    """Returns the lines that turn a table of the kernel's into the wanted one: `delete` and `replace` write a line."""
    lines = [delete(key) for key in current if key not in wanted]
    return lines + [replace(key, value) for key, value in wanted.items() if current.get(key) != value]
