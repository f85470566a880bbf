"""Which node answers for which address of a balancer, and how it says so."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from apimachinery.model import from_dict
from kubeapi.core.node import Node, NodeAddress
from kubeapi.core.service.model import Service
from kubeapi.discovery.endpointslice import EndpointSlice
from netagent.balancer.election import line, share_of
from netagent.balancer.link import gratuitous_arp, neighbour_advertisement
from netagent.balancer.reachability import MISSES, Reachability, is_there
from tests.fakes.clock import FakeClock

NETWORKS = (IPv4Network("172.30.0.0/24"), IPv6Network("fd00::/64"))
NAMES = ("one", "two", "three")
ADDRESSES = [f"172.30.0.{number}" for number in range(129, 169)]


def node(name: str, address: str = "172.30.0.11", *, ready: str = "True", **labels: str) -> Node:
    status = {
        "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
        "conditions": [{"type": "Ready", "status": ready}],
    }
    written = {f"node.kubernetes.io/{key.replace('_', '-')}": value for key, value in labels.items()}
    return from_dict(Node, {"metadata": {"name": name, "labels": written}, "status": status})


def service(address: str, mode: str | None = None, **spec: Any) -> Service:
    ingress = {"ip": address} | ({"ipMode": mode} if mode else {})
    status = {"loadBalancer": {"ingress": [ingress]}}
    meta = {"name": f"s-{address}", "namespace": "default"}
    return from_dict(Service, {"metadata": meta, "spec": {"type": "LoadBalancer", **spec}, "status": status})


def shares(
    nodes: list[Node], services: list[Service], endpoints: list[dict[str, Any]] | None = None
) -> dict[str, set[str]]:
    """Returns the addresses of each node, as it finds by itself."""
    slices = [from_dict(EndpointSlice, {"addressType": "IPv4", "endpoints": endpoints or []})]
    return {name: set(share_of(name, NETWORKS, nodes, services, lambda service: slices).held) for name in NAMES}


def test_each_address_has_one_holder_and_all_nodes_have_some() -> None:
    found = shares([node(name) for name in NAMES], [service(address) for address in ADDRESSES])
    assert sorted(address for addresses in found.values() for address in addresses) == sorted(ADDRESSES)
    assert all(found.values())


def test_a_node_that_goes_moves_its_own_addresses_alone() -> None:
    services = [service(address) for address in ADDRESSES]
    before = shares([node(name) for name in NAMES], services)
    for gone in (node("three", ready="Unknown"), node("three", exclude_from_external_load_balancers="")):
        after = shares([node("one"), node("two"), gone], services)
        assert after["three"] == set()
        assert before["one"] < after["one"]
        assert before["two"] < after["two"]


def test_a_node_on_another_link_holds_nothing() -> None:
    found = shares([node("one"), node("two", "10.0.0.1")], [service(address) for address in ADDRESSES])
    assert (found["one"], found["two"]) == (set(ADDRESSES), set())


def test_with_the_policy_local_a_node_with_a_ready_endpoint_answers() -> None:
    nodes = [node(name) for name in NAMES]
    local = [service(address, externalTrafficPolicy="Local") for address in ADDRESSES]
    endpoints: list[dict[str, Any]] = [
        {"addresses": ["10.0.0.1"], "nodeName": "two"},
        {"addresses": ["10.0.0.2"], "nodeName": "three", "conditions": {"ready": False}},
    ]
    assert shares(nodes, local, endpoints) == {"one": set(), "two": set(ADDRESSES), "three": set()}
    assert shares(nodes, local) == {"one": set(), "two": set(), "three": set()}


def test_what_is_others_is_left_to_them() -> None:
    services = [
        service("172.30.0.129", loadBalancerClass="example.com/other"),
        service("172.30.0.130", mode="Proxy"),
        service("10.1.2.3"),
        service("172.30.0.131", type="ClusterIP"),
        service("172.30.0.132", mode="VIP"),
    ]
    assert shares([node("one")], services)["one"] == {"172.30.0.132"}


def test_nobody_holds_an_address_without_nodes() -> None:
    assert shares([], [service("172.30.0.129")]) == {name: set() for name in NAMES}


def test_the_next_in_line_watches_the_holder_and_stands_in_for_it() -> None:
    nodes = [node(name, f"172.30.0.1{number}") for number, name in enumerate(NAMES)]
    order = line("172.30.0.129", NAMES)

    def share(name: str, *lost: str) -> tuple[set[str], dict[str, str]]:
        found = share_of(name, NETWORKS, nodes, [service("172.30.0.129")], lambda service: [], lost)
        return set(found.held), dict(found.watched)

    watched = {order[0]: f"172.30.0.1{NAMES.index(order[0])}"}
    assert share(order[0]) == ({"172.30.0.129"}, {})
    assert share(order[1]) == (set(), watched)
    assert share(order[1], order[0]) == ({"172.30.0.129"}, watched)
    assert share(order[2], order[0]) == (set(), {})


def test_a_node_holds_addresses_of_the_families_that_it_has_itself() -> None:
    both = node("one")
    both.status.addresses = [*(both.status.addresses or ()), NodeAddress(type="InternalIP", address="fd00::b")]
    found = shares([both, node("two")], [service("fd00::1:1")])
    assert (found["one"], found["two"]) == ({"fd00::1:1"}, set())


async def test_a_node_that_answered_and_is_silent_is_lost_until_it_answers_again() -> None:
    clock, changes, answering = FakeClock(), list[None](), {"10.0.0.1"}

    async def answers(address: str) -> bool:
        return address in answering

    others = Reachability(clock, lambda: changes.append(None), answers)
    running = asyncio.create_task(others.run())
    others.watch({"one": "10.0.0.1", "never": "10.0.0.2"})
    await clock.advance(10)
    assert (others.lost, changes) == (set(), [])
    answering.clear()
    await clock.advance(MISSES - 1)
    assert others.lost == set()
    await clock.advance(1)
    assert (others.lost, len(changes)) == ({"one"}, 1)
    answering.add("10.0.0.1")
    await clock.advance(1)
    assert (others.lost, len(changes)) == (set(), 2)
    answering.clear()
    await clock.advance(MISSES)
    others.watch({})
    assert others.lost == set(), "nobody counts as lost who is not watched"
    running.cancel()


async def test_a_node_is_there_that_accepts_or_refuses_a_connection() -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await is_there("127.0.0.1", port)
    server.close()
    await server.wait_closed()
    assert await is_there("127.0.0.1", port)
    assert not await is_there("0.0.0.0.0", port)


def test_the_message_tells_all_neighbours_who_has_the_ipv6_address() -> None:
    message = neighbour_advertisement(bytes.fromhex("026d02000001"), "fd00::1:1")
    assert message.hex() == "8800000020000000fd0000000000000000000000000100010201026d02000001"


def test_the_frame_tells_all_neighbours_who_has_the_address() -> None:
    frame = gratuitous_arp(bytes.fromhex("026d02000001"), "172.30.0.129")
    assert frame.hex() == (
        "ffffffffffff" "026d02000001" "0806" "0001" "0800" "06" "04" "0001"
        "026d02000001" "ac1e0081" "000000000000" "ac1e0081"
    )  # fmt: skip
