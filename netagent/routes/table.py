"""The kernel's routes and the overlay's link. Our routes bear a protocol number of their own and the agent's metric."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from ipaddress import ip_interface, ip_network
from typing import Any

from apimachinery.validation import IPNetwork
from componentbase.host.links import OVERLAY
from componentbase.host.process import run
from netagent.routes.overlay import Overlay, forwarding_lines, link_lines, neighbour_lines
from netagent.routes.plan import route_lines

PROTOCOL = 78
"""None of those that the kernel, or routing daemons, mark their routes with (rtnetlink's RTPROT_...)."""
_FAMILIES = ("-4", "-6")


async def neighbourhoods() -> list[IPNetwork]:
    """Returns the networks that links of this host have addresses in. Raises: CommandError."""
    networks = [
        ip_interface(f"{item['local']}/{item['prefixlen']}").network
        for link in await _json("ip", "-json", "address", "show")
        for item in link.get("addr_info", ())
        if link["ifname"] not in ("lo", OVERLAY)
    ]
    return [network for network in networks if not network.is_link_local]


async def set_routes(wanted: Mapping[str, str], metric: int) -> list[str]:
    """Makes ours these routes; returns what has changed. Raises: CommandError; others may have changed, then."""
    lines = route_lines(await _ours(metric), wanted, f"proto {PROTOCOL} metric {metric}")
    await _batch("ip", lines)
    return lines


async def set_overlay(overlay: Overlay | None) -> list[str]:
    """Makes this node's end of the overlay, or removes it; returns what has changed. Raises: CommandError."""
    links = await _json("ip", "-json", "-details", "address", "show")
    if overlay is None:
        lines = [f"link delete dev {OVERLAY}"] if any(link["ifname"] == OVERLAY for link in links) else []
        await _batch("ip", lines)
        return lines
    changes = link_lines(overlay, links)
    await _batch("ip", changes)
    neighbours: dict[str, str] = {}
    for family in _FAMILIES:
        shown = await _json("ip", "-json", family, "neigh", "show", "dev", OVERLAY, "nud", "permanent")
        neighbours |= {item["dst"]: item.get("lladdr", "") for item in shown}
    lines = neighbour_lines(neighbours, overlay.neighbours())
    await _batch("ip", lines)
    table = await _json("bridge", "-json", "fdb", "show", "dev", OVERLAY)
    current = {item["mac"]: item["dst"] for item in table if item.get("dst")}
    forwarding = forwarding_lines(current, overlay.forwarding())
    await _batch("bridge", forwarding)
    return [*changes, *lines, *forwarding]


async def remove_all() -> None:
    """Removes the agent's routes, of whatever metric, and the overlay. Raises: CommandError."""
    for family in _FAMILIES:
        await run("ip", family, "route", "flush", "proto", str(PROTOCOL))
    await set_overlay(None)


async def _ours(metric: int) -> dict[str, str]:
    routes: dict[str, str] = {}
    for family in _FAMILIES:
        shown = await _json("ip", "-json", family, "route", "show", "proto", str(PROTOCOL))
        routes |= {
            str(ip_network(route["dst"])): _way(route)
            for route in shown
            if route.get("metric") == metric and route["dst"] != "default"
        }
    return routes


def _way(route: Mapping[str, Any]) -> str:
    gateway = str(route.get("gateway", ""))
    return f"{gateway} dev {OVERLAY} onlink" if route.get("dev") == OVERLAY else gateway


async def _batch(program: str, lines: Iterable[str]) -> None:
    if text := "".join(f"{line}\n" for line in lines):
        await run(program, "-force", "-batch", "-", stdin=text)


async def _json(*argv: str) -> Any:
    return json.loads(await run(*argv) or "[]")
