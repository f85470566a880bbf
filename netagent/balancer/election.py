"""Which node answers for the address of a balancer. Pure: each node comes to the same answer by itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, ip_address

from kubeapi.core.node import Node, takes_balanced_traffic
from kubeapi.core.service.model import Service
from kubeapi.discovery.endpointslice import EndpointSlice


def held(
    node_name: str,
    network: IPv4Network,
    nodes: Iterable[Node],
    services: Iterable[Service],
    slices: Callable[[Service], Iterable[EndpointSlice]],
) -> set[str]:
    """Returns the addresses that this node answers for, of those in the network of its link.

    With externalTrafficPolicy Local, it is a node with a ready endpoint: it sends nothing on, so that the address of
    the client stays. Services of another class are left to others.
    """
    able = {node.name for node in nodes if takes_balanced_traffic(node) and _is_in(network, node)}
    mine = set()
    for service in services:
        spec = service.spec
        if spec.type != "LoadBalancer" or spec.loadBalancerClass:
            continue
        addresses = [
            item.ip
            for item in service.status.loadBalancer.ingress or ()
            if item.ip and item.ipMode in (None, "VIP") and ip_address(item.ip) in network
        ]
        if not addresses:
            continue
        candidates = able & _nodes_of(slices(service)) if spec.externalTrafficPolicy == "Local" else able
        mine |= {address for address in addresses if holder(address, candidates) == node_name}
    return mine


def holder(address: str, nodes: Iterable[str]) -> str:
    """Returns one of the nodes, "" without any. A node that comes or goes moves only addresses that it has."""
    return max(nodes, key=lambda name: hashlib.sha256(f"{address} {name}".encode()).digest(), default="")


def _is_in(network: IPv4Network, node: Node) -> bool:
    """Tells whether the node is on this link, as one that has joined from another machine is not."""
    return any(
        item.type == "InternalIP" and ip_address(item.address) in network for item in node.status.addresses or ()
    )


def _nodes_of(slices: Iterable[EndpointSlice]) -> set[str]:
    endpoints = (endpoint for item in slices for endpoint in item.endpoints)
    return {endpoint.nodeName for endpoint in endpoints if endpoint.nodeName and endpoint.conditions.ready is not False}
