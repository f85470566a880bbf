"""Which node answers for the address of a balancer. Pure: each node comes to the same answer by itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from apimachinery.validation import IPNetwork
from kubeapi.core.node import Node, internal_addresses, takes_balanced_traffic
from kubeapi.core.service.model import Service
from kubeapi.discovery.endpointslice import EndpointSlice


@dataclass(frozen=True, slots=True)
class Share:
    """What falls to one node."""

    held: frozenset[str]
    """The addresses that it answers for."""
    watched: Mapping[str, str]
    """The nodes that it is next in line to, and their addresses on the link."""


def share_of(
    node_name: str,
    networks: Sequence[IPNetwork],
    nodes: Iterable[Node],
    services: Iterable[Service],
    slices: Callable[[Service], Iterable[EndpointSlice]],
    lost: Collection[str] = (),
) -> Share:
    """Returns what falls to this node, of the addresses in the networks of its link.

    It stands in for one that it is next in line to and that is `lost`. With externalTrafficPolicy Local, only nodes
    with a ready endpoint are in the line: they send nothing on, so that the address of the client stays. Services of
    another class are left to others.
    """
    able = [node for node in nodes if takes_balanced_traffic(node)]
    on_link = {network: dict(_in_network(network, able)) for network in networks}
    held, watched = set[str](), dict[str, str]()
    for service in services:
        for address, network in _addresses(service, networks):
            candidates = on_link[network]
            local = service.spec.externalTrafficPolicy == "Local"
            names = candidates.keys() & _nodes_of(slices(service)) if local else candidates.keys()
            first, second = (*line(address, names)[:2], "", "")[:2]
            if second == node_name:
                watched[first] = candidates[first]
            if first == node_name or (second == node_name and first in lost):
                held.add(address)
    return Share(frozenset(held), watched)


def line(address: str, nodes: Iterable[str]) -> list[str]:
    """Returns the nodes in the order in which they answer for an address.

    Who comes or goes leaves the others' order alone, and so moves only addresses that it has.
    """
    return sorted(nodes, key=lambda name: hashlib.sha256(f"{address} {name}".encode()).digest(), reverse=True)


def _addresses(service: Service, networks: Sequence[IPNetwork]) -> Iterator[tuple[str, IPNetwork]]:
    if service.spec.type != "LoadBalancer" or service.spec.loadBalancerClass:
        return
    for item in service.status.loadBalancer.ingress or ():
        if item.ip and item.ipMode in (None, "VIP"):
            yield from ((item.ip, network) for network in networks if ip_address(item.ip) in network)


def _in_network(network: IPNetwork, nodes: Iterable[Node]) -> Iterator[tuple[str, str]]:
    """Yields the nodes on this link with their addresses; one that has joined from another machine is not on it."""
    for node in nodes:
        for address in internal_addresses(node):
            if ip_address(address) in network:
                yield node.name, address


def _nodes_of(slices: Iterable[EndpointSlice]) -> set[str]:
    endpoints = (endpoint for item in slices for endpoint in item.endpoints)
    return {endpoint.nodeName for endpoint in endpoints if endpoint.nodeName and endpoint.conditions.ready is not False}
