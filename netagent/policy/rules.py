"""A NetworkPolicy in the form that plans are made of: selectors that are parsed, ports by protocol."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network

from apimachinery.selectors import EVERYTHING, Selector, selector_of
from kubeapi.networking.networkpolicy import (
    EGRESS,
    INGRESS,
    IPBlock,
    NetworkPolicy,
    NetworkPolicyPeer,
    NetworkPolicyPort,
)
from netagent.policy.pods import PodSelector

LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Block:
    """A range of addresses, and the ranges in it that do not belong to it."""

    cidr: str
    holes: tuple[str, ...]

    @property
    def family(self) -> str:
        return str(ip_network(self.cidr).version)

    def __contains__(self, address: str) -> bool:
        item = ip_address(address)
        return item in ip_network(self.cidr) and not any(item in ip_network(hole) for hole in self.holes)

    def __str__(self) -> str:
        return " -".join((self.cidr, *self.holes))


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports of one protocol: ranges of numbers in ascending order (both ends included), and names."""

    protocol: str
    ranges: tuple[tuple[int, int], ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """Allows what has one of the peers at the other end and goes to one of the ports; without any, all do."""

    peers: tuple[PodSelector | Block, ...] = ()
    ports: tuple[Ports, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    key: str
    """ "namespace/name"."""
    namespace: str
    pods: Selector
    rules: dict[str, tuple[Rule, ...]]
    """By direction, for those that the policy restricts."""


def policy_of(obj: NetworkPolicy) -> Policy:
    """Raises: BadRequest for a selector with an unknown operator, which the API server does not take."""
    spec, rules = obj.spec, {}
    types = spec.policyTypes or ()
    if INGRESS in types:
        rules[INGRESS] = tuple(_rule(obj.namespace, rule.from_, rule.ports) for rule in spec.ingress or ())
    if EGRESS in types:
        rules[EGRESS] = tuple(_rule(obj.namespace, rule.to, rule.ports) for rule in spec.egress or ())
    return Policy(obj.key, obj.namespace, selector_of(spec.podSelector), rules)


def merged(ranges: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Sorts ranges, and joins those that overlap or touch."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return tuple(joined)


def _rule(namespace: str, peers: list[NetworkPolicyPeer] | None, ports: list[NetworkPolicyPort] | None) -> Rule:
    return Rule(tuple(dict.fromkeys(_peer(namespace, peer) for peer in peers or ())), _ports(ports or []))


def _peer(namespace: str, peer: NetworkPolicyPeer) -> PodSelector | Block:
    if peer.ipBlock is not None:
        return _block(peer.ipBlock)
    pods = EVERYTHING if peer.podSelector is None else selector_of(peer.podSelector)
    if peer.namespaceSelector is None:
        return PodSelector(namespace, EVERYTHING, pods)
    return PodSelector("", selector_of(peer.namespaceSelector), pods)


def _block(block: IPBlock) -> Block:
    holes = block.except_ or ()
    if ":" in block.cidr:
        return Block(block.cidr, tuple(map(str, collapse_addresses(map(IPv6Network, holes)))))
    return Block(block.cidr, tuple(map(str, collapse_addresses(map(IPv4Network, holes)))))


def _ports(ports: list[NetworkPolicyPort]) -> tuple[Ports, ...]:
    ranges: dict[str, list[tuple[int, int]]] = {}
    names: dict[str, list[str]] = {}
    for item in ports:
        protocol = item.protocol or "TCP"
        found = ranges.setdefault(protocol, [])
        if item.port is None:
            found.append((0, LAST_PORT))
        elif isinstance(item.port, int):
            found.append((item.port, item.endPort or item.port))
        else:
            names.setdefault(protocol, []).append(item.port)
    return tuple(
        Ports(protocol, merged(found), tuple(dict.fromkeys(names.get(protocol, ()))))
        for protocol, found in ranges.items()
    )
