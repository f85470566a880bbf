"""The rules of both modes in a real kernel: a node with three pods and a client outside, each in its own namespace."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import threading
from collections import Counter
from contextlib import closing
from dataclasses import replace

import pytest

from componentbase.host.process import run
from kubeproxy.family import FamilyRules
from kubeproxy.flows.relay import Relay
from kubeproxy.settings import Mode
from kubeproxy.topology import Balance, Endpoint, ServicePort
from tests.kits.eventually import eventually_async
from tests.kits.machine.netns import ask_udp
from tests.kits.machine.proxied_node import (
    BALANCER_IP,
    BRIDGE_IP,
    BRIDGE_IP6,
    CLUSTER_IP,
    CLUSTER_IP6,
    NODE_IP,
    NODE_IP6,
    NODE_PORT,
    OUTSIDE_IP,
    SERVE_PORT,
    SETTINGS,
    SETTINGS6,
    ProxiedNode,
)

pytestmark = pytest.mark.cluster


def test_a_cluster_ip_answers_pods_the_node_and_routed_outsiders(node: ProxiedNode) -> None:
    node.apply(node.service(1))
    first = node.pods[0].name
    assert node.pods[1].ask_tcp(CLUSTER_IP, 80) == (first, node.pod_ip(2))
    assert node.host.ask_tcp(CLUSTER_IP, 80) == (first, BRIDGE_IP)
    assert node.outside.ask_tcp(CLUSTER_IP, 80) == (first, BRIDGE_IP)


def test_connections_spread_evenly_over_the_endpoints(node: ProxiedNode) -> None:
    node.apply(node.service(1, 2, 3))
    answers = Counter(node.outside.ask_tcp(NODE_IP, NODE_PORT)[0] for _ in range(300))
    # 100 each on average with a deviation of 8: outside of this once in some ten million runs.
    assert set(answers) == {pod.name for pod in node.pods}
    assert all(55 < count < 145 for count in answers.values()), answers


def test_a_pod_reaches_itself_through_its_service(node: ProxiedNode) -> None:
    node.apply(node.service(1))
    assert node.pods[0].ask_tcp(CLUSTER_IP, 80) == (node.pods[0].name, BRIDGE_IP)


def test_a_node_port_answers_outsiders_pods_and_the_node(node: ProxiedNode) -> None:
    node.apply(node.service(2))
    second = node.pods[1].name
    assert node.outside.ask_tcp(NODE_IP, NODE_PORT) == (second, BRIDGE_IP)
    assert node.pods[0].ask_tcp(NODE_IP, NODE_PORT)[0] == second
    assert node.host.ask_tcp(NODE_IP, NODE_PORT)[0] == second


def test_a_node_port_answers_on_loopback_only_where_asked_to(node: ProxiedNode) -> None:
    if node.mode is Mode.NFTABLES:
        pytest.skip("NodePorts never answer on loopback in this mode")
    node.apply(node.service(2))
    with pytest.raises(ConnectionRefusedError):
        node.host.ask_tcp("127.0.0.1", NODE_PORT)
    node.host.sysctl("net/ipv4/conf/all/route_localnet", "1")
    node.apply(node.service(2), settings=replace(SETTINGS, localhost_node_ports=True))
    assert node.host.ask_tcp("127.0.0.1", NODE_PORT)[0] == node.pods[1].name
    node.host.sysctl("net/ipv4/conf/all/route_localnet", "0")


def test_external_policy_local_shows_the_pod_who_asked(node: ProxiedNode) -> None:
    local = replace(node.service(1, 2), external_local=True, local_endpoints=node.endpoints(1))
    node.apply(local)
    assert {node.outside.ask_tcp(NODE_IP, NODE_PORT) for _ in range(8)} == {(node.pods[0].name, OUTSIDE_IP)}


def test_a_client_keeps_its_endpoint_under_affinity(node: ProxiedNode) -> None:
    node.apply(replace(node.service(1, 2, 3), affinity_seconds=60))
    for client in (node.outside, node.pods[0]):
        assert len({client.ask_tcp(CLUSTER_IP, 80)[0] for _ in range(20)}) == 1


def test_affinity_survives_a_sync(node: ProxiedNode) -> None:
    service = replace(node.service(1, 2, 3), affinity_seconds=60)
    node.apply(service)
    before = node.outside.ask_tcp(CLUSTER_IP, 80)[0]
    node.apply(service)
    assert {node.outside.ask_tcp(CLUSTER_IP, 80)[0] for _ in range(10)} == {before}


def test_round_robin_takes_the_endpoints_in_turn(node: ProxiedNode) -> None:
    node.apply(replace(node.service(1, 2, 3), balance=Balance.ROUND_ROBIN))
    answers = Counter(node.outside.ask_tcp(CLUSTER_IP, 80)[0] for _ in range(12))
    assert answers == {pod.name: 4 for pod in node.pods}


def test_without_endpoints_the_connection_is_refused_at_once(node: ProxiedNode) -> None:
    node.apply(node.service())
    for client, address, port in (
        (node.pods[0], CLUSTER_IP, 80),
        (node.host, CLUSTER_IP, 80),
        (node.outside, CLUSTER_IP, 80),
        (node.outside, NODE_IP, NODE_PORT),
    ):
        with pytest.raises(ConnectionRefusedError):  # a packet that just vanished would be a TimeoutError
            client.ask_tcp(address, port)


def test_a_port_that_the_service_does_not_have_is_refused_at_once(node: ProxiedNode) -> None:
    node.apply(node.service(1, protocol="udp"))
    with node.pods[1].udp_client() as client:
        assert ask_udp(client, CLUSTER_IP, 80) == node.pods[0].name
    for place in (node.pods[1], node.host, node.outside):
        for port in (80, 81):
            with pytest.raises(ConnectionRefusedError):
                place.ask_tcp(CLUSTER_IP, port)
    with node.pods[1].udp_client() as client:
        client.connect((CLUSTER_IP, 81))  # else the kernel doesn't tell of the refusal
        client.send(b"?")
        with pytest.raises(ConnectionRefusedError):
            client.recv(1)


def test_source_ranges_guard_the_load_balancers_address(node: ProxiedNode) -> None:
    service = replace(node.service(1), load_balancer_ips=(BALANCER_IP,), source_ranges=(f"{OUTSIDE_IP}/32",))
    node.apply(service)
    assert node.outside.ask_tcp(BALANCER_IP, 80)[0] == node.pods[0].name
    node.apply(replace(service, source_ranges=("192.0.2.0/24",)))
    with pytest.raises(TimeoutError):
        node.outside.ask_tcp(BALANCER_IP, 80, timeout_seconds=0.5)


def test_removed_endpoints_and_services_leave_no_chains(node: ProxiedNode) -> None:
    node.apply(node.service(1, 2, 3), replace(node.service(1), service="other", cluster_ip="10.96.0.11", node_port=0))
    node.apply(node.service(2))
    assert {node.pods[0].ask_tcp(CLUSTER_IP, 80)[0] for _ in range(10)} == {node.pods[1].name}
    ends = 1 if node.mode is Mode.IPTABLES else 0  # chains of endpoints
    assert len(node.own_chains()) == 2 + ends, "the Service's, and for external traffic"
    node.apply(replace(node.service(2), node_port=0))
    assert len(node.own_chains()) == 1 + ends
    node.apply()
    assert node.own_chains() == []


def test_syncing_again_changes_nothing(node: ProxiedNode) -> None:
    node.apply(node.service(1, 2))
    once = node.host.command("nft", "list", "ruleset")
    node.apply(node.service(1, 2))
    assert _without_counters(node.host.command("nft", "list", "ruleset")) == _without_counters(once)


def _without_counters(ruleset: str) -> str:
    return re.sub(r"counter packets \d+ bytes \d+", "", ruleset)


def test_changes_cost_only_themselves_and_foreign_changes_are_noticed(node: ProxiedNode) -> None:
    async def play() -> None:
        rules = FamilyRules(4, await node.kernel(SETTINGS))
        monitor = rules.kernel.monitor
        web, other = node.service(1), replace(node.service(2), service="other", cluster_ip="10.96.0.11", node_port=0)
        assert await rules.sync({"default/web": (web,)}, None, periodic=False)
        assert not await rules.sync({"default/other": (other,)}, None, periodic=True)
        assert not await rules.sync({"default/other": ()}, None, periodic=False)
        foreign = (
            ["iptables", "-t", "nat", "-F", "KUBE-SERVICES"],
            ["iptables", "-t", "nat", "-D", "PREROUTING", "1"],
        ) if node.mode is Mode.IPTABLES else (
            ["nft", "flush", "chain", "ip", "kube-proxy", "services"],
            ["nft", "delete", "table", "ip", "kube-proxy"],
        )  # fmt: skip
        for command in foreign:
            await run(*command)
            await eventually_async(lambda: monitor.altered)
            assert await rules.sync({}, None, periodic=False)
            assert not rules.needs_check(periodic=False)
        async with monitor.own(1, 1):  # what others do to rules of theirs meanwhile does not count, but to ours it does
            await run("iptables", "-N", "FOREIGN")
            await run("iptables", "-X", "FOREIGN")
        await asyncio.sleep(0)
        assert not rules.needs_check(periodic=False)
        async with monitor.own(1, 1):
            for command in foreign:
                await run(*command)
        assert rules.needs_check(periodic=False)
        await rules.sync({}, None, periodic=False)
        monitor.close()

    node.host.run(asyncio.run, play())
    assert node.outside.ask_tcp(CLUSTER_IP, 80)[0] == node.pods[0].name


FOREIGN = """\
*nat
:DOCKER_OUTPUT - [0:0]
-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT
-A DOCKER_OUTPUT -d 127.0.0.11/32 -p udp -m udp --dport 53 -j DNAT --to-destination 127.0.0.11:40000
COMMIT
*filter
:KUBE-KUBELET-CANARY - [0:0]
:MINE - [0:0]
-A FORWARD -s 192.0.2.0/24 -j DROP
-A INPUT -p tcp -m tcp --dport 9 -j MINE
COMMIT
"""


def test_foreign_rules_are_left_alone_and_cleanup_removes_all_of_ours(node: ProxiedNode) -> None:
    node.host.command("iptables-restore", "--noflush", stdin=FOREIGN)
    try:
        before = node.saved()
        node.apply(node.service(1, 2))
        assert [line for line in before if line not in node.saved()] == []
        node.apply()
        assert [line for line in before if line not in node.saved()] == []
        node.cleanup()
        assert node.saved() == before
    finally:
        for table in ("nat", "filter"):
            node.host.command("iptables", "-t", table, "-F")
            node.host.command("iptables", "-t", table, "-X")


def test_no_connection_fails_while_rules_are_synced(node: ProxiedNode) -> None:
    node.apply(node.service(1, 2))
    done = threading.Event()

    def sync() -> None:
        for round_number in range(15):
            node.apply(node.service(*((1, 2), (1, 2, 3))[round_number % 2]))
        done.set()

    thread = threading.Thread(target=sync)
    thread.start()
    answered = 0
    while not done.is_set():
        node.outside.ask_tcp(NODE_IP, NODE_PORT)
        answered += 1
    thread.join()
    assert answered > 10


def test_ipv6_works_as_ipv4_does(node: ProxiedNode) -> None:
    ends = tuple(Endpoint(node.pod_ip6(number), SERVE_PORT, True) for number in (1, 2))
    service = replace(node.service(1), cluster_ip=CLUSTER_IP6, cluster_endpoints=ends[:1])
    node.apply(service, settings=SETTINGS6)
    first = node.pods[0].name
    assert node.pods[1].ask_tcp(CLUSTER_IP6, 80) == (first, node.pod_ip6(2))
    assert node.pods[0].ask_tcp(CLUSTER_IP6, 80) == (first, BRIDGE_IP6)
    assert node.outside.ask_tcp(CLUSTER_IP6, 80) == (first, BRIDGE_IP6)
    assert node.outside.ask_tcp(NODE_IP6, NODE_PORT) == (first, BRIDGE_IP6)
    with pytest.raises(ConnectionRefusedError):
        node.pods[1].ask_tcp(CLUSTER_IP6, 81)
    node.apply(replace(service, cluster_endpoints=ends, affinity_seconds=60), settings=SETTINGS6)
    assert len({node.pods[2].ask_tcp(CLUSTER_IP6, 80)[0] for _ in range(8)}) == 1
    node.apply(replace(service, cluster_endpoints=(), has_endpoints=False), settings=SETTINGS6)
    with pytest.raises(ConnectionRefusedError):
        node.outside.ask_tcp(NODE_IP6, NODE_PORT)


def test_least_connections_goes_where_the_fewest_are_open(node: ProxiedNode) -> None:
    dead = Endpoint(node.pod_ip(1), SERVE_PORT + 1)
    service = replace(node.service(1, 2, 3), balance=Balance.LEAST_CONNECTIONS)

    async def play() -> None:
        relay = Relay((4,))
        rules = FamilyRules(4, await node.kernel(replace(SETTINGS, relay_port=relay.port)))
        serving = asyncio.get_running_loop().create_task(relay.run())

        async def route(*ports: ServicePort) -> None:
            relay.update({"default/web": ports})
            await rules.sync({"default/web": ports}, None, periodic=False)

        await route(service)
        held = [await asyncio.to_thread(node.outside.hold_tcp, CLUSTER_IP, 80) for _ in range(3)]
        assert {name for name, _ in held} == {pod.name for pod in node.pods}
        name, connection = held[1]
        connection.close()
        await eventually_async(lambda: len(relay.open) == 2)
        assert (await asyncio.to_thread(node.pods[0].ask_tcp, NODE_IP, NODE_PORT))[0] == name
        await eventually_async(lambda: len(relay.open) == 2)
        await route(replace(service, cluster_endpoints=(dead, *node.endpoints(2))))
        for _ in range(3):
            assert (await asyncio.to_thread(node.outside.ask_tcp, CLUSTER_IP, 80))[0] == node.pods[1].name
        await route()
        with pytest.raises(OSError, match=r"reset|not connected"):
            await asyncio.to_thread(node.outside.ask_tcp, NODE_IP, relay.port)
        serving.cancel()
        rules.kernel.monitor.close()

    node.host.run(asyncio.run, play())


def test_an_open_connection_outlives_the_rules(node: ProxiedNode) -> None:
    with node.pods[0].run(socket.create_server, ("", SERVE_PORT + 1)) as listener:
        service = replace(node.service(1), cluster_endpoints=(Endpoint(node.pod_ip(1), SERVE_PORT + 1),))
        node.apply(service)
        client = node.outside.run(socket.create_connection, (CLUSTER_IP, 80), 3)
        server, _ = listener.accept()
        server.settimeout(3)
        nft = ("nft", "flush", "chain", "ip", "kube-proxy")
        flush = ("iptables", "-t", "nat", "-F") if node.mode is Mode.IPTABLES else (*nft, "services")
        with client, server:
            for change in (
                lambda: node.apply(node.service(2)),
                lambda: node.host.command(*flush),
                # Without any chain for translation in the kernel, packets wait until there is one again.
                lambda: (node.cleanup(), node.apply(service)),
            ):
                change()
                client.sendall(b"?")
                assert server.recv(1) == b"?"


def test_a_udp_client_moves_on_when_its_endpoint_goes(node: ProxiedNode) -> None:
    before, after = node.service(1, protocol="udp"), node.service(2, protocol="udp")
    node.apply(before)
    with node.pods[2].udp_client() as client:
        assert ask_udp(client, CLUSTER_IP, 80) == node.pods[0].name
        node.apply(after)
        assert ask_udp(client, CLUSTER_IP, 80) == node.pods[0].name  # the flow is remembered: why it must be flushed
        node.flush_udp(after)
        assert ask_udp(client, CLUSTER_IP, 80) == node.pods[1].name


def test_a_udp_node_port_client_moves_on_too(node: ProxiedNode) -> None:
    before, after = node.service(1, protocol="udp"), node.service(2, protocol="udp")
    node.apply(before)
    with node.outside.udp_client() as client:
        assert ask_udp(client, NODE_IP, NODE_PORT) == node.pods[0].name
        node.apply(after)
        node.flush_udp(after)
        assert ask_udp(client, NODE_IP, NODE_PORT) == node.pods[1].name


def test_a_udp_client_that_came_before_the_first_endpoint_is_served(node: ProxiedNode) -> None:
    with node.pods[2].udp_client() as client:
        client.settimeout(0.2)
        with pytest.raises((TimeoutError, OSError)):
            ask_udp(client, CLUSTER_IP, 80)
        client.settimeout(3)
        service = node.service(1, protocol="udp")
        node.apply(service)
        node.flush_udp(service)
        assert ask_udp(client, CLUSTER_IP, 80) == node.pods[0].name


def test_flows_of_a_deleted_udp_service_are_forgotten(node: ProxiedNode) -> None:
    service = node.service(1, protocol="udp")
    node.apply(service)
    with node.pods[2].udp_client() as client:
        assert ask_udp(client, CLUSTER_IP, 80) == node.pods[0].name
        node.apply()
        node.flush_udp(former=(service,))
        client.settimeout(0.2)
        with pytest.raises((TimeoutError, OSError)):
            ask_udp(client, CLUSTER_IP, 80)


def test_sctp_is_led_as_the_others(node: ProxiedNode) -> None:
    """By packets written by hand: a kernel may track SCTP and have no sockets of it."""
    node.apply(node.service(1, protocol="sctp"))
    listener = node.pods[0].run(raw_sctp)
    listener.settimeout(5)
    sender = node.outside.run(raw_sctp)
    with closing(listener), closing(sender):
        sender.sendto(sctp_init(40000, 80), (CLUSTER_IP, 0))
        packet = listener.recv(1000)
    header = packet[4 * (packet[0] & 15) :]
    assert struct.unpack("!HH", header[:4])[1] == SERVE_PORT


def raw_sctp() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, 132)


def sctp_init(source: int, target: int) -> bytes:
    """The first packet of an association. Source: RFC 9260, sections 3 and 3.3.2."""
    chunk = struct.pack("!BBHIIHHI", 1, 0, 20, 1, 65536, 1, 1, 1)
    head = struct.pack("!HHI", source, target, 0)
    return head + struct.pack("<I", crc32c(head + bytes(4) + chunk)) + chunk


def crc32c(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF
