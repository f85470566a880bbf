"""How pods leave the cluster."""

from __future__ import annotations

import asyncio

from netagent.masquerade.rules import removal, transaction
from netagent.options import parse
from netagent.rooms.masquerade import keep
from tests.fakes.clock import QuickClock
from tests.kits.eventually import eventually_async
from tests.kits.tasks import background


class Kernel:
    """Has a chain with one rule once something was written."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.found: dict[str, int] = {}

    async def apply(self, text: str) -> None:
        self.texts.append(text)
        self.found = {"postrouting": 1}

    async def shape(self) -> dict[str, int]:
        return self.found


def test_pods_keep_their_addresses_towards_the_networks_that_are_named() -> None:
    text = transaction(["10.244.1.0/24", "fd00:10:244:1::/64"], ["10.244.0.0/16", "192.168.0.0/16"])
    assert text.startswith(removal())
    assert "ip saddr 10.244.1.0/24 ip daddr != { 10.244.0.0/16, 192.168.0.0/16 } masquerade fully-random\n" in text
    assert "ip6 saddr fd00:10:244:1::/64 masquerade fully-random\n" in text


def test_a_node_without_pods_has_no_rules() -> None:
    assert "masquerade fully-random" not in transaction([], ["10.244.0.0/16"])


def test_private_networks_are_left_alone_unless_told_otherwise() -> None:
    assert parse([]).non_masquerade_cidrs == ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"]
    assert parse(["--non-masquerade-cidrs=10.244.0.0/16"]).non_masquerade_cidrs == ["10.244.0.0/16"]


async def test_rules_that_others_have_removed_are_written_anew() -> None:
    kernel = Kernel()
    async with background(keep(kernel, lambda: "rules", asyncio.Event(), QuickClock(), check_seconds=0.01)):
        await eventually_async(lambda: kernel.texts == ["rules"])
        kernel.found = {}
        await eventually_async(lambda: kernel.texts == ["rules", "rules"])
