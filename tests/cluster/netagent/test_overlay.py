"""The overlay in a real kernel: two hosts with a router between them, and a pod's address on each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from componentbase.host.links import OVERLAY
from netagent.routes.overlay import wanted_overlay
from netagent.routes.plan import Place
from netagent.routes.table import remove_all, set_overlay, set_routes
from tests.kits.machine.netns import Namespace, connect, unique

pytestmark = pytest.mark.cluster

METRIC, PORT = 7800, 8080


@dataclass
class World:
    """Host N (0 and 1) has the address 10.N.0.2 behind the router, and pods in 10.244.N.0/24 and fd02:0:0:N::/64."""

    hosts: list[Namespace]
    places: dict[str, Place]

    def sync(self, number: int, mode: str = "auto") -> list[str]:
        overlay = wanted_overlay(self.places, str(number), (), mode)
        assert overlay is not None
        changes = self.hosts[number].run(asyncio.run, set_overlay(overlay))
        return changes + self.hosts[number].run(asyncio.run, set_routes(overlay.routes(), METRIC))


@pytest.fixture
def world() -> Iterator[World]:
    router, *hosts = [Namespace(unique(f"overlay-{name}")) for name in ("r", "a", "b")]
    try:
        router.sysctl("net/ipv4/ip_forward", "1")
        places = {}
        for number, host in enumerate(hosts):
            connect(router, host, f"to{number}", "eth0")
            router.ip("addr", "add", f"10.{number}.0.1/24", "dev", f"to{number}")
            host.ip("addr", "add", f"10.{number}.0.2/24", "dev", "eth0")
            host.ip("route", "add", "default", "via", f"10.{number}.0.1")
            for address in (f"10.244.{number}.7/24", f"fd02:0:0:{number}::7/64"):
                host.ip("addr", "add", address, "dev", "lo", *(["nodad"] if ":" in address else []))
            host.serve_tcp(PORT)
            cidrs = (f"10.244.{number}.0/24", f"fd02:0:0:{number}::/64")
            places[str(number)] = Place(cidrs, (f"10.{number}.0.2",))
        yield World(hosts, places)
    finally:
        for each in (router, *hosts):
            each.close()


def test_pods_of_hosts_that_are_not_neighbours_reach_each_other(world: World) -> None:
    for number in (0, 1):
        assert world.sync(number)
        assert world.sync(number) == [], "nothing is left to do"
    one, other = world.hosts
    for address in ("10.244.1.7", "fd02:0:0:1::7"):
        name, seen = one.ask_tcp(address, PORT)
        assert name == other.name
        assert seen.removeprefix("::ffff:").startswith(("10.244.0.0", "fd02:0:0:0::", "fd02::"))
    assert "mtu 1450" in one.command("ip", "link", "show", "dev", OVERLAY)

    # The other host gets another address: both ends follow.
    other.ip("addr", "add", "10.1.0.9/24", "dev", "eth0")
    other.ip("addr", "delete", "10.1.0.2/24", "dev", "eth0")
    other.ip("addr", "replace", "10.1.0.9/24", "dev", "eth0")
    other.ip("route", "replace", "default", "via", "10.1.0.1")
    world.places["1"] = Place(world.places["1"].pod_cidrs, ("10.1.0.9",))
    assert world.sync(1)[0] == f"link delete dev {OVERLAY}"
    assert any("dst 10.1.0.9" in line for line in world.sync(0))
    assert one.ask_tcp("10.244.1.7", PORT)[0] == other.name

    one.run(asyncio.run, remove_all())
    assert OVERLAY not in one.command("ip", "link")
    assert "10.244.1.0" not in one.command("ip", "route")
