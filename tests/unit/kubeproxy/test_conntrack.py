"""Which UDP flows are forgotten."""

from __future__ import annotations

from collections.abc import Iterable

from kubeproxy.flows.conntrack import Flow, parse_flows
from kubeproxy.flows.conntrack import stale_flows as stale_among
from kubeproxy.flows.frontends import Address, Frontends, udp_targets
from kubeproxy.topology import Endpoint, ServicePort

OLD, NEW = ("10.244.1.5", 5353), ("10.244.1.6", 5353)
PORTAL = ("10.96.0.10", 53)
TO_OLD, TO_NEW = Flow(*PORTAL, *OLD), Flow(*PORTAL, *NEW)
UNANSWERED = Flow(*PORTAL, *PORTAL)


def dns(*endpoints: tuple[str, int], **fields: object) -> ServicePort:
    made = tuple(Endpoint(ip, port) for ip, port in endpoints)
    return ServicePort("kube-system", "dns", "dns", "udp", *PORTAL, cluster_endpoints=made, **fields)  # type: ignore[arg-type]


def frontends(*ports: ServicePort) -> Frontends:
    made = Frontends(udp_targets)
    made.update({port.service: (port,) for port in ports})
    return made


def stale(flows: Iterable[Flow], *ports: ServicePort, changed: Iterable[Address] = ()) -> list[Flow]:
    return stale_among(flows, frontends(*ports), list(changed))


def test_flows_are_read_from_conntracks_listing() -> None:
    text = """\
udp      17 28 src=10.244.1.2 dst=10.96.0.10 sport=40000 dport=53 src=10.244.1.5 dst=10.244.1.2 sport=5353 \
dport=40000 [ASSURED] mark=0 use=1
udp      17 3 src=10.244.1.2 dst=10.96.0.10 sport=40001 dport=53 [UNREPLIED] src=10.96.0.10 dst=10.244.1.2 sport=53 \
dport=40001 mark=0 use=1
unknown  2 100 src=10.0.0.1 dst=224.0.0.1 [UNREPLIED] src=224.0.0.1 dst=10.0.0.1 mark=0 use=1
"""
    assert parse_flows(text) == {TO_OLD, UNANSWERED}


def test_every_udp_address_of_a_service_is_a_frontend() -> None:
    port = dns(OLD, node_port=30053, external_ips=("203.0.113.7",), load_balancer_ips=("198.51.100.1",))
    tcp = ServicePort("default", "web", "", "tcp", "10.96.0.11", 80, cluster_endpoints=(Endpoint(*OLD),))
    made = Frontends(udp_targets)
    addresses = {PORTAL, ("203.0.113.7", 53), ("198.51.100.1", 53), ("", 30053)}
    assert set(made.update({"a/dns": (port,), "a/web": (tcp,)})) == addresses
    assert made.find("192.0.2.1", 30053) == (Endpoint(*OLD),)
    assert made.find(tcp.cluster_ip, 80) is None


def test_a_change_names_the_addresses_that_it_concerns() -> None:
    made = Frontends(udp_targets)
    made.update({"a/dns": (dns(OLD, node_port=30053),)})
    assert made.update({"a/dns": (dns(OLD, node_port=30053),)}) == []
    assert made.update({"a/dns": (dns(OLD),)}) == [("", 30053)]
    assert made.update({"a/dns": (dns(NEW),)}) == [PORTAL]
    assert made.update({"a/dns": ()}) == [PORTAL]
    assert not made


def test_flows_to_endpoints_that_went_are_stale() -> None:
    assert stale({TO_OLD, TO_NEW}, dns(NEW)) == [TO_OLD]


def test_flows_from_before_there_was_an_endpoint_are_stale_once_there_is_one() -> None:
    assert stale({UNANSWERED}, dns(NEW)) == [UNANSWERED]
    assert stale({UNANSWERED}, dns()) == []


def test_the_last_endpoints_flows_are_stale() -> None:
    assert stale({TO_OLD}, dns()) == [TO_OLD]


def test_flows_of_a_deleted_service_are_stale() -> None:
    assert stale({TO_OLD, UNANSWERED}, changed=[PORTAL]) == [TO_OLD]
    assert stale({TO_OLD}) == []


def test_node_ports_match_whatever_the_nodes_address() -> None:
    old, new = Flow("172.18.0.2", 30053, *OLD), Flow("172.18.0.2", 30053, *NEW)
    assert stale({old, new}, dns(NEW, node_port=30053)) == [old]


def test_other_traffic_is_left_alone() -> None:
    assert stale({Flow("192.0.2.1", 53, "192.0.2.1", 53)}, dns(NEW), changed=[PORTAL]) == []
