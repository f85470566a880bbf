"""The agent's routes in a real kernel: its own, of both families, and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from componentbase.host.process import run
from componentbase.host.rtnetlink import IPV4_ADDRESSES, IPV4_ROUTES, noticing_changes
from netagent.routes.table import neighbourhoods, remove_all, set_routes
from tests.kits.machine.netns import Namespace, connect, unique

pytestmark = pytest.mark.cluster

OWN, OTHERS = 7800, 99


@pytest.fixture
def host() -> Iterator[Namespace]:
    """A host with a link into a network of each family."""
    one, other = Namespace(unique("routes-a")), Namespace(unique("routes-b"))
    try:
        connect(one, other, "wire", "wire")
        one.ip("addr", "add", "10.9.0.1/24", "dev", "wire")
        one.ip("addr", "add", "fd09::1/64", "dev", "wire", "nodad")
        yield one
    finally:
        one.close()
        other.close()


def test_routes_are_set_followed_and_removed(host: Namespace) -> None:
    assert {ip_network("10.9.0.0/24"), ip_network("fd09::/64")} == set(host.run(asyncio.run, neighbourhoods()))
    host.ip("route", "add", "10.244.8.0/24", "via", "10.9.0.8", "metric", str(OWN))  # somebody's, of the same metric
    wanted = {"10.244.2.0/24": "10.9.0.2", "10.244.9.7/32": "10.9.0.3", "fd02:0:0:2::/64": "fd09::2"}
    assert len(host.run(asyncio.run, set_routes(wanted, OWN))) == 3
    assert host.run(asyncio.run, set_routes(wanted, OWN)) == []
    assert host.run(asyncio.run, set_routes({}, OTHERS)) == []

    followed = {"10.244.2.0/24": "10.9.0.4", "10.244.9.7/32": "10.9.0.3"}
    assert len(host.run(asyncio.run, set_routes(followed, OWN))) == 2
    assert "10.244.2.0/24 via 10.9.0.4" in host.command("ip", "route")
    assert "fd02" not in host.command("ip", "-6", "route")

    async def notices_a_loss() -> bool:
        lost = asyncio.Event()
        with noticing_changes(lost, IPV4_ADDRESSES | IPV4_ROUTES):
            await run("ip", "route", "delete", "10.244.9.7/32")
            async with asyncio.timeout(10):
                return await lost.wait()

    assert host.run(asyncio.run, notices_a_loss())
    assert len(host.run(asyncio.run, set_routes(followed, OWN))) == 1

    host.run(asyncio.run, remove_all())
    left = host.command("ip", "route")
    assert "10.244.8.0/24" in left
    assert "10.244.2.0/24" not in left
    assert "10.244.9.7" not in left
