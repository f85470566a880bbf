"""Which node answers for which address of a balancer, and how it says so."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

from apimachinery.model import from_dict
from kubeapi.core.node import Node
from kubeapi.core.service.model import Service
from kubeapi.discovery.endpointslice import EndpointSlice
from netagent.balancer.election import held, holder
from netagent.balancer.link import gratuitous_arp

NETWORK = IPv4Network("172.30.0.0/24")
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
    return {name: held(name, NETWORK, nodes, services, lambda service: slices) for name in NAMES}


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
    endpoints = [
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
    assert holder("172.30.0.129", ()) == ""


def test_the_frame_tells_all_neighbours_who_has_the_address() -> None:
    frame = gratuitous_arp(bytes.fromhex("026d02000001"), "172.30.0.129")
    assert frame.hex() == (
        "ffffffffffff" "026d02000001" "0806" "0001" "0800" "06" "04" "0001"
        "026d02000001" "ac1e0081" "000000000000" "ac1e0081"
    )  # fmt: skip
