"""Addresses of balancers on a real link: neighbours are told where they are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from netagent.balancer.link import find_links, set_addresses
from netagent.balancer.reachability import is_there
from tests.kits.eventually import eventually
from tests.kits.machine.netns import Namespace, connect, unique

pytestmark = pytest.mark.cluster

OWN = {"one": ("10.9.0.11", "fd00:9::b"), "two": ("10.9.0.12", "fd00:9::c")}
BALANCERS = ("10.9.0.129", "fd00:9::1:1")


@pytest.fixture
def link() -> Iterator[dict[str, Namespace]]:
    """A neighbour with a bridge, and two nodes on it."""
    with ExitStack() as stack:
        made = {
            name: stack.enter_context(closing(Namespace(unique(f"lb-{name}")))) for name in ("neighbour", "one", "two")
        }
        neighbour = made["neighbour"]
        neighbour.ip("link", "add", "br0", "type", "bridge")
        for address in ("10.9.0.1/24", "fd00:9::1/64"):
            neighbour.ip("address", "add", address, "dev", "br0", *(("nodad",) if ":" in address else ()))
        neighbour.ip("link", "set", "br0", "up")
        for name, (four, six) in OWN.items():
            connect(neighbour, made[name], name, "eth0")
            neighbour.ip("link", "set", name, "master", "br0")
            made[name].ip("address", "add", f"{four}/24", "dev", "eth0")
            made[name].ip("address", "add", f"{six}/64", "dev", "eth0", "nodad")
        yield made


def test_neighbours_learn_that_an_address_has_moved(link: dict[str, Namespace]) -> None:
    neighbour = link["neighbour"]

    def answer(name: str, *wanted: str) -> tuple[set[str], set[str]]:
        async def set_wanted() -> tuple[set[str], set[str]]:
            return await set_addresses(await find_links(OWN[name]), wanted)

        return link[name].run(asyncio.run, set_wanted())

    def hardware_of(address: str) -> str:
        (entry,) = json.loads(neighbour.command("ip", "-json", "neigh", "show", address))
        return str(entry["lladdr"])

    def reachable(address: str) -> bool:
        return bool(neighbour.run(asyncio.run, is_there(address)))

    assert answer("one", *BALANCERS) == (set(BALANCERS), set())
    for address, own in zip(BALANCERS, OWN["one"], strict=True):
        eventually(lambda address=address: reachable(address), f"the way to {address}")  # type: ignore[misc]
        assert reachable(own)
        assert hardware_of(address) == hardware_of(own)
    assert answer("two", *BALANCERS)[0] == set(BALANCERS), "though the other has them, and nobody asks there"
    for address, own in zip(BALANCERS, OWN["two"], strict=True):
        eventually(lambda own=own: reachable(own), f"the way to {own}")  # type: ignore[misc]

        def is_known(address: str = address, own: str = own) -> bool:
            return hardware_of(address) == hardware_of(own)

        eventually(is_known, f"where {address} is now")
    assert answer("two", BALANCERS[0]) == (set(), {BALANCERS[1]})
    assert answer("two") == (set(), {BALANCERS[0]})
