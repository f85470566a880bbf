"""The addresses of balancers on the node's link: the kernel answers for them, and neighbours are told of a move."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from typing import Any

from apimachinery.validation import IPNetwork
from componentbase.host.process import CommandError, run

METRIC = 7801
"""Marks our addresses."""
BROADCAST = b"\xff" * 6
ALL_NODES = "ff02::1"
_ARP = 0x0806
_NEIGHBOUR_ADVERTISEMENT, _OVERRIDE, _TARGET_LINK_ADDRESS = 136, 0x20000000, 2


@dataclass(frozen=True, slots=True)
class Link:
    """The link with one of the node's own addresses."""

    device: str
    hardware: str
    """Its address, as in 02:6d:02:00:00:01. (/sys may be that of another network namespace.)"""
    network: IPNetwork


async def find_links(node_addresses: Iterable[str]) -> list[Link]:
    """Raises: CommandError."""
    wanted = set(node_addresses)
    return [
        Link(link["ifname"], link["address"], ip_interface(f"{item['local']}/{item['prefixlen']}").network)
        for link, item in await _addresses()
        if item["local"] in wanted
    ]


async def set_addresses(links: Sequence[Link], wanted: Iterable[str]) -> tuple[set[str], set[str]]:
    """Makes ours on the links those that are wanted; returns which came and which went. Raises: CommandError."""
    ours = {(link["ifname"], item["local"]) for link, item in await _addresses() if item.get("metric") == METRIC}
    target = {
        (link.device, address): link for address in wanted for link in links if ip_address(address) in link.network
    }
    came, went = target.keys() - ours, ours - target.keys()
    for device, address in went:
        await run("ip", "address", "delete", str(ip_interface(address)), "dev", device)
    for device, address in came:
        # Nobody is asked first whether the address is free: it is taken from a node that may still have it.
        unasked = ("nodad", "preferred_lft", "0") if ":" in address else ()
        await run("ip", "address", "add", str(ip_interface(address)), "dev", device, "metric", str(METRIC), *unasked)
        announce(target[device, address], address)
    return {address for _, address in came}, {address for _, address in went}


def announce(link: Link, address: str) -> None:
    """Tells who knew the address elsewhere that it is here now. Raises: CommandError."""
    hardware = bytes.fromhex(link.hardware.replace(":", ""))
    try:
        if ":" in address:
            _advertise(link.device, hardware, address)
        else:
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ARP)) as sender:
                sender.bind((link.device, 0))
                sender.send(gratuitous_arp(hardware, address))
    except OSError as error:
        raise CommandError(("announce", address), None, str(error)) from None


def gratuitous_arp(hardware: bytes, address: str) -> bytes:
    """Returns the frame. Source: RFC 826; RFC 5227, section 3."""
    ip = socket.inet_aton(address)
    head = struct.pack("!6s6sHHHBBH", BROADCAST, hardware, _ARP, 1, 0x0800, 6, 4, 1)
    return head + hardware + ip + bytes(6) + ip


def neighbour_advertisement(hardware: bytes, address: str) -> bytes:
    """Returns the message, whose checksum the kernel adds. Source: RFC 4861, sections 4.4 and 7.2.6."""
    head = struct.pack("!BBHI", _NEIGHBOUR_ADVERTISEMENT, 0, 0, _OVERRIDE)
    return head + socket.inet_pton(socket.AF_INET6, address) + bytes((_TARGET_LINK_ADDRESS, 1)) + hardware


def _advertise(device: str, hardware: bytes, address: str) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sender:
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        sender.bind((address, 0))
        scope = socket.if_nametoindex(device)
        sender.sendto(neighbour_advertisement(hardware, address), (ALL_NODES, 0, 0, scope))


async def _addresses() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Returns each address with its link, as `ip` describes them."""
    links = json.loads(await run("ip", "-json", "address", "show") or "[]")
    return [(link, item) for link in links for item in link.get("addr_info", ())]
