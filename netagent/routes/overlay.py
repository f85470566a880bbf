"""The overlay: VXLAN tunnels to nodes that no link of this one leads to. Pure.

Every node knows the tunnels' ends from the Nodes alone: a tunnel's Ethernet address is made of its node's address, so
nothing has to be learnt or announced, and no frame is ever flooded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import Any

from apimachinery.validation import IPNetwork, is_cidr, parse_ip
from componentbase.host.links import OVERLAY, ethernet_address
from netagent.routes.plan import Place, change_lines

PORT, VNI = 4789, 1
OVERHEAD = {4: 50, 6: 70}
"""Bytes of each packet that the tunnel needs, by the IP version outside."""
MODES = ("auto", "always", "never")


@dataclass(frozen=True)
class Overlay:
    """`addresses` are this end's own; `far` are the other ends: pod network -> address of the node that has it."""

    local: str
    addresses: tuple[str, ...]
    far: Mapping[str, str]

    def routes(self) -> dict[str, str]:
        """Returns network -> way, as `ip route` takes it."""
        return {network: f"{ip_network(network)[0]} dev {OVERLAY} onlink" for network in self.far}

    def neighbours(self) -> dict[str, str]:
        """Returns the other ends' inner addresses, and the Ethernet addresses that answer for them."""
        return {str(ip_network(network)[0]): hardware(address) for network, address in self.far.items()}

    def forwarding(self) -> dict[str, str]:
        """Returns Ethernet address -> the node's address to which its frames go."""
        return {hardware(address): address for address in self.far.values()}


def wanted_overlay(nodes: Mapping[str, Place], own_name: str, near: Iterable[str], mode: str) -> Overlay | None:
    """Returns None where nothing needs it. `near` are the networks that have a route without it.

    In the mode "always" they go by the overlay nevertheless.
    """
    own = nodes.get(own_name)
    own_ends = [address for address in (own.addresses if own else ()) if parse_ip(address)]
    if mode == "never" or own is None or not own_ends or not own.pod_cidrs:
        return None
    near = set(near) if mode == "auto" else set[str]()
    version = ip_address(own_ends[0]).version
    far = {}
    for name, place in sorted(nodes.items()):
        ends = [item for item in map(parse_ip, place.addresses) if item is not None and item.version == version]
        for network in (str(ip_network(cidr, strict=False)) for cidr in place.pod_cidrs if is_cidr(cidr)):
            if name != own_name and ends and network not in near:
                far[network] = str(ends[0])
    return Overlay(own_ends[0], tuple(map(end_address, own.pod_cidrs)), far) if far else None


def end_address(cidr: str) -> str:
    """Returns the inner address of a node's end, with its prefix length: the first of its pods' network."""
    network: IPNetwork = ip_network(cidr, strict=False)
    return f"{network[0]}/{network.max_prefixlen}"


def hardware(address: str) -> str:
    """Returns the Ethernet address of a tunnel's end, made of its node's address."""
    parsed = ip_address(address)
    last = parsed.packed if parsed.version == 4 else sha256(parsed.packed).digest()[:4]
    return ethernet_address(last)


def link_lines(overlay: Overlay, links: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the lines for `ip -batch` that make this end; `links` is what `ip -json -details address` shows."""
    carrier = next((link for link in links if overlay.local in _addresses(link)), None)
    mtu = int(carrier["mtu"] if carrier else 1500) - OVERHEAD[ip_address(overlay.local).version]
    current = next((link for link in links if link["ifname"] == OVERLAY), None)
    lines = []
    if current is not None and not _is_that_of(current, overlay):
        lines.append(f"link delete dev {OVERLAY}")
        current = None
    if current is None:
        lines.append(
            f"link add name {OVERLAY} address {hardware(overlay.local)} type vxlan id {VNI} local {overlay.local} "
            f"dstport {PORT} nolearning"
        )
    there = {f"{item['local']}/{item['prefixlen']}" for item in _info(current) if item.get("scope") == "global"}
    lines += [f"address delete {address} dev {OVERLAY}" for address in sorted(there - set(overlay.addresses))]
    for address in overlay.addresses:
        if address not in there:
            lines.append(f"address add {address} dev {OVERLAY}{' nodad' if ':' in address else ''}")
    if current is None or current["mtu"] != mtu or "UP" not in current.get("flags", ()):
        lines.append(f"link set dev {OVERLAY} mtu {mtu} up")
    return lines


def neighbour_lines(current: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """Returns the lines for `ip -batch` that make the link's neighbours the wanted ones."""
    return change_lines(
        current,
        wanted,
        lambda address: f"neigh delete {address} dev {OVERLAY}",
        lambda address, ethernet: f"neigh replace {address} lladdr {ethernet} dev {OVERLAY} nud permanent",
    )


def forwarding_lines(current: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """Returns the lines for `bridge -batch` that make the link's forwarding table the wanted one."""
    return change_lines(
        current,
        wanted,
        lambda ethernet: f"fdb delete {ethernet} dev {OVERLAY}",
        lambda ethernet, address: f"fdb replace {ethernet} dev {OVERLAY} dst {address} self permanent",
    )


def _is_that_of(link: Mapping[str, Any], overlay: Overlay) -> bool:
    data = (link.get("linkinfo") or {}).get("info_data") or {}
    found = (data.get("local") or data.get("local6"), data.get("id"), data.get("port"), link.get("address"))
    return found == (overlay.local, VNI, PORT, hardware(overlay.local))


def _info(link: Mapping[str, Any] | None) -> Sequence[Mapping[str, Any]]:
    return (link or {}).get("addr_info") or ()


def _addresses(link: Mapping[str, Any]) -> set[str]:
    return {item["local"] for item in _info(link)}
