"""The kernel's routes: ours bear a protocol number of their own, and the agent's metric."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_interface, ip_network

from componentbase.host.process import run
from netagent.routes.plan import Network, route_lines

PROTOCOL = 78
"""None of those that the kernel, or routing daemons, mark their routes with (rtnetlink's RTPROT_...)."""
_FAMILIES = ("-4", "-6")
_ADDRESSES, _ROUTES = 0x10, 0x40  # RTMGRP_IPV4_IFADDR and RTMGRP_IPV4_ROUTE of <linux/rtnetlink.h>
_MESSAGE_BYTES = 65536


async def neighbourhoods() -> list[Network]:
    """Returns the networks that links of this host have addresses in. Raises: CommandError."""
    links = json.loads(await run("ip", "-json", "address", "show") or "[]")
    networks = [
        ip_interface(f"{item['local']}/{item['prefixlen']}").network
        for link in links
        for item in link.get("addr_info", ())
        if link["ifname"] != "lo"
    ]
    return [network for network in networks if not network.is_link_local]


async def set_routes(wanted: dict[str, str], metric: int) -> list[str]:
    """Makes ours these routes; returns what has changed. Raises: CommandError; others may have changed, then."""
    lines = route_lines(await _ours(metric), wanted, f"proto {PROTOCOL} metric {metric}")
    if lines:
        await run("ip", "-force", "-batch", "-", stdin="\n".join(lines) + "\n")
    return lines


@contextmanager
def noticing_changes(changed: asyncio.Event) -> Iterator[None]:
    """Sets the event when IPv4 addresses or routes of this host change, whoever changes them."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.setblocking(False)
        kernel.bind((0, _ADDRESSES | _ROUTES))

        def notice() -> None:
            with suppress(OSError):  # nothing left to read, or more than was kept: all the same a change
                while kernel.recv(_MESSAGE_BYTES):
                    pass
            changed.set()

        loop.add_reader(kernel, notice)
        try:
            yield
        finally:
            loop.remove_reader(kernel)


async def remove_all() -> None:
    """Removes the agent's routes, of whatever metric. Raises: CommandError."""
    for family in _FAMILIES:
        await run("ip", family, "route", "flush", "proto", str(PROTOCOL))


async def _ours(metric: int) -> dict[str, str]:
    routes: dict[str, str] = {}
    for family in _FAMILIES:
        shown = json.loads(await run("ip", "-json", family, "route", "show", "proto", str(PROTOCOL)) or "[]")
        routes |= {
            str(ip_network(route["dst"])): route.get("gateway", "")
            for route in shown
            if route.get("metric") == metric and route["dst"] != "default"
        }
    return routes
