"""The addresses of balancers on the node's link: the kernel answers ARP for them, and neighbours are told of a move."""

from __future__ import annotations

import json
import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any

from componentbase.host.process import CommandError, run

LABEL = "lb"
"""Marks our addresses, as in "eth0:lb"."""
BROADCAST = b"\xff" * 6
_ARP = 0x0806


@dataclass(frozen=True, slots=True)
class Link:
    """The link with the node's own address."""

    device: str
    network: IPv4Network


async def find_link(node_address: str) -> Link | None:
    """Raises: CommandError."""
    for device, item in await _addresses():
        if item["local"] == node_address:
            return Link(device, IPv4Interface(f"{node_address}/{item['prefixlen']}").network)
    return None


async def set_addresses(link: Link | None, wanted: set[str]) -> tuple[set[str], set[str]]:
    """Makes ours on the link those that are wanted; returns which came and which went. Raises: CommandError."""
    ours = {
        (device, item["local"]) for device, item in await _addresses() if item.get("label", "").endswith(f":{LABEL}")
    }
    target = {(link.device, address) for address in wanted} if link is not None else set()
    for device, address in ours - target:
        await run("ip", "address", "delete", f"{address}/32", "dev", device)
    for device, address in target - ours:
        await run("ip", "address", "add", f"{address}/32", "dev", device, "label", f"{device}:{LABEL}")
        announce(device, address)
    return {address for _, address in target - ours}, {address for _, address in ours - target}


def announce(device: str, address: str) -> None:
    """Sends a gratuitous ARP: who knew the address elsewhere finds it here. Raises: CommandError."""
    hardware = bytes.fromhex(Path(f"/sys/class/net/{device}/address").read_text().strip().replace(":", ""))
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ARP)) as sender:
            sender.bind((device, 0))
            sender.send(gratuitous_arp(hardware, address))
    except OSError as error:
        raise CommandError(("announce", address), None, str(error)) from None


def gratuitous_arp(hardware: bytes, address: str) -> bytes:
    """Returns the frame. Source: RFC 826; RFC 5227, section 3."""
    ip = socket.inet_aton(address)
    head = struct.pack("!6s6sHHHBBH", BROADCAST, hardware, _ARP, 1, 0x0800, 6, 4, 1)
    return head + hardware + ip + bytes(6) + ip


async def _addresses() -> list[tuple[str, dict[str, Any]]]:
    links = json.loads(await run("ip", "-json", "-4", "address", "show") or "[]")
    return [(link["ifname"], item) for link in links for item in link.get("addr_info", ())]
