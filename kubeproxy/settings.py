"""The flags that shape the rules of one address family, whatever the mode."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address, ip_network
from typing import Literal

Family = Literal[4, 6]
FAMILIES: tuple[Family, Family] = (4, 6)

PRIMARY = "primary"
"""In place of a network: the addresses that the Node object tells."""


class Mode(StrEnum):
    IPTABLES = "iptables"
    NFTABLES = "nftables"


class LocalBy(StrEnum):
    """The ways to tell traffic of this node's pods from other traffic, as `--detect-local-mode` names them."""

    CLUSTER_CIDR = "ClusterCIDR"
    NODE_CIDR = "NodeCIDR"
    BRIDGE_INTERFACE = "BridgeInterface"
    INTERFACE_NAME_PREFIX = "InterfaceNamePrefix"


@dataclass(frozen=True, slots=True)
class LocalTraffic:
    """What traffic of pods looks like: it comes from a network, or through an interface."""

    network: str = ""
    interface: str = ""
    """A name, or its beginning followed by "*"."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The flags, for one family."""

    family: Family = 4
    local: LocalTraffic | None = None
    """None turns off masquerading and short cuts that must tell pods from other clients."""
    masquerade_all: bool = False
    masquerade_bit: int = 14
    localhost_node_ports: bool = False
    """Whether NodePorts answer on 127.0.0.1 (iptables alone; needs the route_localnet sysctl)."""
    relay_port: int = 0
    """The port of this node's own proxy for least-connections; 0 where there is none."""

    @property
    def mark(self) -> str:
        return f"{1 << self.masquerade_bit:#x}"

    @property
    def host_bits(self) -> str:
        """The prefix length of one address: "/32"."""
        return "/32" if self.family == 4 else "/128"


def of_family(cidrs: Iterable[str], family: Family) -> str:
    """Returns the first network of this family; "" if there is none."""
    return next((cidr for cidr in cidrs if ip_network(cidr).version == family), "")


def node_port_addresses(
    wanted: Iterable[str], own: Iterable[str], primary: Iterable[str], family: Family
) -> tuple[str, ...] | None:
    """Returns the addresses that NodePorts answer on; None for any of the node's own.

    `wanted` are the networks of `--nodeport-addresses`, `own` the addresses of the node's interfaces, `primary` those
    that its Node object tells.
    """
    networks = [item for item in wanted if item != PRIMARY]
    everything = "0.0.0.0/0" if family == 4 else "::/0"
    if not wanted or everything in networks:
        return None
    chosen = {item for item in own for network in networks if ip_address(item) in ip_network(network)}
    if PRIMARY in wanted:
        chosen |= set(primary)
    return tuple(sorted(item for item in chosen if ip_address(item).version == family))
