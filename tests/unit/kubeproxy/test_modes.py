"""Both modes lead the same packets to the same ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubeproxy.settings import LocalTraffic, Mode, Settings
from kubeproxy.topology import Balance, Endpoint, ServicePort
from tests.unit.kubeproxy.walking import Packet, ends

SETTINGS = Settings(local=LocalTraffic("10.244.0.0/16"), relay_port=4000)
HERE, THERE = Endpoint("10.244.1.5", 8080, True), Endpoint("10.244.2.6", 8080)
PORT = ServicePort(
    "default", "web", "http", "tcp", "10.96.0.10", 80, cluster_endpoints=(HERE, THERE), has_endpoints=True
)
EVERYWHERE = replace(PORT, node_port=30080, external_ips=("203.0.113.7",), load_balancer_ips=("198.51.100.1",))
LOCAL = replace(EVERYWHERE, external_local=True, local_endpoints=(HERE,))
ELSEWHERE = replace(LOCAL, local_endpoints=(), cluster_endpoints=(THERE,))
NOWHERE = replace(EVERYWHERE, cluster_endpoints=(), has_endpoints=False)
GUARDED = replace(EVERYWHERE, source_ranges=("192.0.2.0/25", "10.9.0.0/16"))

POD, OUTSIDER, NODE = "10.244.1.9", "192.0.2.9", "172.18.0.2"
TO_CLUSTER_IP, TO_NODE = ("10.96.0.10", 80), (NODE, 30080)
TO_EXTERNAL_IP, TO_BALANCER = ("203.0.113.7", 80), ("198.51.100.1", 80)
BOTH = {"10.244.1.5:8080", "10.244.2.6:8080"}
BOTH_MASQUERADED = {f"{end} masqueraded" for end in BOTH}

CASES: dict[str, tuple[ServicePort, str, tuple[str, int], set[str]]] = {
    "cluster IP from a pod": (PORT, POD, TO_CLUSTER_IP, BOTH),
    "cluster IP from the node": (PORT, NODE, TO_CLUSTER_IP, BOTH_MASQUERADED),
    "cluster IP from outside": (PORT, OUTSIDER, TO_CLUSTER_IP, BOTH_MASQUERADED),
    "a pod itself": (
        PORT, HERE.ip, TO_CLUSTER_IP, {"10.244.1.5:8080 masqueraded", "10.244.2.6:8080"},
    ),
    "another port": (PORT, POD, ("10.96.0.10", 81), {"reject"}),
    "an address of nobody": (PORT, POD, ("10.96.0.11", 80), {"pass"}),
    "affinity of a new client": (replace(PORT, affinity_seconds=60), POD, TO_CLUSTER_IP, BOTH),
    "round robin": (replace(PORT, balance=Balance.ROUND_ROBIN), POD, TO_CLUSTER_IP, BOTH),
    "least connections": (
        replace(PORT, balance=Balance.LEAST_CONNECTIONS), POD, TO_CLUSTER_IP, {"redirect :4000"},
    ),
    "least connections, none": (
        replace(NOWHERE, balance=Balance.LEAST_CONNECTIONS), POD, TO_CLUSTER_IP, {"reject"},
    ),
    "internal Local": (
        replace(PORT, internal_local=True, local_endpoints=(HERE,)), POD, TO_CLUSTER_IP, {"10.244.1.5:8080"},
    ),
    "internal Local, elsewhere": (replace(PORT, internal_local=True), POD, TO_CLUSTER_IP, {"drop"}),
    "node port from outside": (EVERYWHERE, OUTSIDER, TO_NODE, BOTH_MASQUERADED),
    "node port from a pod": (EVERYWHERE, POD, TO_NODE, BOTH_MASQUERADED),
    "node port at another address": (EVERYWHERE, OUTSIDER, ("172.18.0.9", 30080), {"pass"}),
    "node port on loopback": (EVERYWHERE, NODE, ("127.0.0.1", 30080), {"pass"}),
    "external IP": (EVERYWHERE, OUTSIDER, TO_EXTERNAL_IP, BOTH_MASQUERADED),
    "balancer": (EVERYWHERE, OUTSIDER, TO_BALANCER, BOTH_MASQUERADED),
    "external Local, outsider": (LOCAL, OUTSIDER, TO_NODE, {"10.244.1.5:8080"}),
    "external Local, balancer": (LOCAL, OUTSIDER, TO_BALANCER, {"10.244.1.5:8080"}),
    "external Local, pod": (LOCAL, POD, TO_EXTERNAL_IP, BOTH),
    "external Local, node": (LOCAL, NODE, TO_NODE, BOTH_MASQUERADED),
    "external Local, cluster IP": (LOCAL, POD, TO_CLUSTER_IP, BOTH),
    "external Local, elsewhere, outsider": (ELSEWHERE, OUTSIDER, TO_BALANCER, {"drop"}),
    "external Local, elsewhere, node port": (ELSEWHERE, OUTSIDER, TO_NODE, {"drop"}),
    "external Local, elsewhere, pod": (ELSEWHERE, POD, TO_NODE, {"10.244.2.6:8080"}),
    "no endpoints, cluster IP": (NOWHERE, POD, TO_CLUSTER_IP, {"reject"}),
    "no endpoints, node port": (NOWHERE, OUTSIDER, TO_NODE, {"reject"}),
    "no endpoints, external IP": (NOWHERE, OUTSIDER, TO_EXTERNAL_IP, {"reject"}),
    "ranges, one within": (GUARDED, OUTSIDER, TO_BALANCER, BOTH_MASQUERADED),
    "ranges, one outside": (GUARDED, "192.0.2.200", TO_BALANCER, {"drop"}),
    "ranges, other addresses": (GUARDED, "192.0.2.200", TO_NODE, BOTH_MASQUERADED),
}  # fmt: skip


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("case", CASES)
def test_a_packet_ends_where_it_should(mode: Mode, case: str) -> None:
    port, source, (address, number), wanted = CASES[case]
    assert ends(mode, [port], Packet(source, address, number), SETTINGS) == wanted


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("protocol", ["udp", "sctp"])
def test_other_protocols_have_the_same_rules(mode: Mode, protocol: str) -> None:
    ports = [replace(EVERYWHERE, protocol=protocol), replace(PORT, name="other", port=81)]
    assert ends(mode, ports, Packet(POD, *TO_CLUSTER_IP, protocol), SETTINGS) == BOTH
    assert ends(mode, ports, Packet(OUTSIDER, *TO_NODE, protocol), SETTINGS) == BOTH_MASQUERADED
    assert ends(mode, ports, Packet(POD, *TO_CLUSTER_IP), SETTINGS) == {"reject"}


@pytest.mark.parametrize("mode", list(Mode))
def test_ipv6_is_led_as_ipv4_is(mode: Mode) -> None:
    settings = Settings(family=6, local=LocalTraffic("fd00:244::/56"))
    ends_here = Endpoint("fd00:244::5", 8080, True)
    port = replace(
        EVERYWHERE, cluster_ip="fd00:96::a", cluster_endpoints=(ends_here,), external_ips=("2001:db8::7",),
        load_balancer_ips=("2001:db8::1",), source_ranges=("2001:db8:5::/64",),
    )  # fmt: skip
    target = "[fd00:244::5]:8080"

    def end(source: str, to: str, number: int = 80) -> set[str]:
        return ends(mode, [port], Packet(source, to, number), settings)

    assert end("fd00:244::9", "fd00:96::a") == {target}
    assert end("fd00:18::2", "fd00:96::a") == {f"{target} masqueraded"}
    assert end("fd00:244::5", "fd00:96::a") == {f"{target} masqueraded"}
    assert end("2001:db8:6::1", "fd00:18::2", 30080) == {f"{target} masqueraded"}
    assert end("2001:db8:5::1", "2001:db8::1") == {f"{target} masqueraded"}
    assert end("2001:db8:6::1", "2001:db8::1") == {"drop"}
    assert end("fd00:244::9", "fd00:96::a", 81) == {"reject"}


@pytest.mark.parametrize("mode", list(Mode))
def test_masquerading_follows_the_flags(mode: Mode) -> None:
    packet = Packet(POD, *TO_CLUSTER_IP)
    assert ends(mode, [PORT], packet, Settings(masquerade_all=True)) == BOTH_MASQUERADED
    assert ends(mode, [PORT], replace(packet, source=OUTSIDER), Settings()) == BOTH, "pods can't be told from others"
    by_interface = Settings(local=LocalTraffic(interface="veth*"))
    assert ends(mode, [PORT], replace(packet, interface="veth7"), by_interface) == BOTH
    assert ends(mode, [PORT], packet, by_interface) == BOTH_MASQUERADED
    assert ends(mode, [LOCAL], replace(packet, interface="veth7", to=NODE, port=30080), by_interface) == BOTH
