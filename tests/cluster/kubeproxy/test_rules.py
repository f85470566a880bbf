"""The rules of both modes in a real kernel: a node with three pods and a client outside, each in its own namespace."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from componentbase.process import run
from kubeproxy.family import FamilyRules, Kernel
from kubeproxy.flows.conntrack import Conntrack, UdpCleaner
from kubeproxy.iptables import kernel as iptables
from kubeproxy.nftables import kernel as nftables
from kubeproxy.settings import LocalTraffic, Mode, Settings
from kubeproxy.topology import Balance, Endpoint, ServicePort
from tests.kits.eventually import eventually_async
from tests.kits.machine.netns import Namespace, ask_udp, connect, unique

pytestmark = pytest.mark.cluster

CLUSTER_IP, NODE_IP, OUTSIDE_IP, BRIDGE_IP, BALANCER_IP = (
    "10.96.0.10",
    "172.31.9.1",
    "172.31.9.2",
    "10.244.1.1",
    "198.51.100.1",
)
SETTINGS = Settings(local=LocalTraffic("10.244.0.0/16"))
SERVE_PORT, NODE_PORT = 8080, 30080


class Node:
    """The namespaces, and the way rules get into the node's."""

    def __init__(self) -> None:
        self.mode = Mode.IPTABLES
        self.host = Namespace(unique("kp-node"))
        self.outside = Namespace(unique("kp-out"))
        self.pods = [Namespace(unique(f"kp-pod{number}")) for number in (1, 2, 3)]
        self._wire()

    def _wire(self) -> None:
        host = self.host
        host.sysctl("net/ipv4/ip_forward", "1")
        connect(host, self.outside, "eth0", "eth0")
        host.ip("addr", "add", f"{NODE_IP}/24", "dev", "eth0")
        self.outside.ip("addr", "add", f"{OUTSIDE_IP}/24", "dev", "eth0")
        for network in ("10.96.0.0/16", "198.51.100.0/24"):
            self.outside.ip("route", "add", network, "via", NODE_IP)
        connect(host, self.outside, "eth1", "eth1")
        host.ip("addr", "add", "172.31.10.1/24", "dev", "eth1")
        host.ip("route", "add", "default", "via", "172.31.10.2")
        host.ip("link", "add", "cbr0", "type", "bridge")
        host.ip("addr", "add", f"{BRIDGE_IP}/24", "dev", "cbr0")
        host.ip("link", "set", "cbr0", "up")
        for number, pod in enumerate(self.pods, 1):
            connect(host, pod, f"veth{number}", "eth0")
            host.ip("link", "set", f"veth{number}", "master", "cbr0")
            # As the engine does without its userland proxy: else a bridge sends nothing back to where it came from.
            host.ip("link", "set", f"veth{number}", "type", "bridge_slave", "hairpin", "on")
            pod.ip("addr", "add", f"{self.pod_ip(number)}/24", "dev", "eth0")
            pod.ip("route", "add", "default", "via", BRIDGE_IP)
            pod.serve_tcp(SERVE_PORT)
            pod.serve_udp(SERVE_PORT)

    @staticmethod
    def pod_ip(number: int) -> str:
        return f"10.244.1.{number + 1}"

    def endpoints(self, *numbers: int) -> tuple[Endpoint, ...]:
        return tuple(Endpoint(self.pod_ip(number), SERVE_PORT, True) for number in numbers)

    def service(self, *pods: int, protocol: str = "tcp") -> ServicePort:
        return ServicePort(
            "default", "web", "p", protocol, CLUSTER_IP, 80,
            node_port=NODE_PORT, cluster_endpoints=self.endpoints(*pods), has_endpoints=bool(pods),
        )  # fmt: skip

    def apply(self, *ports: ServicePort, settings: Settings = SETTINGS) -> None:
        """Makes the node's rules those of these ports, as a new kube-proxy would."""
        self.host.run(asyncio.run, self._sync(ports, settings))

    async def _sync(self, ports: tuple[ServicePort, ...], settings: Settings) -> None:
        rules = FamilyRules(4, await self.kernel(settings))
        by_service: dict[str, tuple[ServicePort, ...]] = {}
        for port in ports:
            key = f"{port.namespace}/{port.service}"
            by_service[key] = (*by_service.get(key, ()), port)
        try:
            await rules.sync(by_service, None, periodic=False)
            assert not rules.needs_check(periodic=False)
        finally:
            rules.kernel.monitor.close()

    async def kernel(self, settings: Settings) -> Kernel:
        if self.mode is Mode.IPTABLES:
            return iptables.IptablesKernel(settings, await iptables.watch(4))
        return nftables.NftablesKernel(settings, nftables.watch(4))

    def flush_udp(self, *ports: ServicePort, former: tuple[ServicePort, ...] = ()) -> None:
        async def flush() -> None:
            cleaner = UdpCleaner(Conntrack((4,)))
            cleaner.update({"default/web": former})
            cleaner.update({"default/web": ports})
            await cleaner.clean()

        self.host.run(asyncio.run, flush())

    def cleanup(self) -> None:
        module = iptables if self.mode is Mode.IPTABLES else nftables
        self.host.run(asyncio.run, module.cleanup(4))

    def own_chains(self) -> list[str]:
        """The chains and sets of Services."""
        lines = self.host.command("nft", "list", "ruleset").splitlines()
        words = ("KUBE-SVC-", "KUBE-SEP-", "KUBE-EXT-", "service-", "endpoint-", "external-", "affinity-", "firewall-")
        names = [line.split()[1] for line in lines if line.strip().startswith(("chain ", "set "))]
        shared = ("service-endpoints-check", "firewall-check")
        return [name for name in names if name.startswith(words) and name not in shared]

    def saved(self) -> list[str]:
        """All rules and chains, without counters and comments."""
        lines = self.host.command("iptables-save").splitlines()
        lines = [line.split(" [")[0] if line.startswith(":") else line for line in lines if not line.startswith("#")]
        return lines + self.host.command("nft", "list", "tables").splitlines() * (self.mode is Mode.NFTABLES)

    def close(self) -> None:
        for namespace in (*self.pods, self.outside, self.host):
            namespace.close()


@pytest.fixture(scope="module")
def shared_node() -> Iterator[Node]:
    node = Node()
    yield node
    node.close()


@pytest.fixture(params=list(Mode))
def node(request: pytest.FixtureRequest, shared_node: Node) -> Iterator[Node]:
    shared_node.mode = request.param
    shared_node.cleanup()
    shared_node.host.command("conntrack", "-F")
    yield shared_node
    shared_node.cleanup()


def test_a_cluster_ip_answers_pods_the_node_and_routed_outsiders(node: Node) -> None:
    node.apply(node.service(1))
    first = node.pods[0].name
    assert node.pods[1].ask_tcp(CLUSTER_IP, 80) == (first, node.pod_ip(2))
    assert node.host.ask_tcp(CLUSTER_IP, 80) == (first, BRIDGE_IP)
    assert node.outside.ask_tcp(CLUSTER_IP, 80) == (first, BRIDGE_IP)


def test_connections_spread_evenly_over_the_endpoints(node: Node) -> None:
    node.apply(node.service(1, 2, 3))
    answers = Counter(node.outside.ask_tcp(NODE_IP, NODE_PORT)[0] for _ in range(300))
    # 100 each on average with a deviation of 8: outside of this once in some ten million runs.
    assert set(answers) == {pod.name for pod in node.pods}
    assert all(55 < count < 145 for count in answers.values()), answers


def test_a_pod_reaches_itself_through_its_service(node: Node) -> None:
    node.apply(node.service(1))
    assert node.pods[0].ask_tcp(CLUSTER_IP, 80) == (node.pods[0].name, BRIDGE_IP)


def test_a_node_port_answers_outsiders_pods_and_the_node(node: Node) -> None:
    node.apply(node.service(2))
    second = node.pods[1].name
    assert node.outside.ask_tcp(NODE_IP, NODE_PORT) == (second, BRIDGE_IP)
    assert node.pods[0].ask_tcp(NODE_IP, NODE_PORT)[0] == second
    assert node.host.ask_tcp(NODE_IP, NODE_PORT)[0] == second


def test_a_node_port_answers_on_loopback_only_where_asked_to(node: Node) -> None:
    if node.mode is Mode.NFTABLES:
        pytest.skip("NodePorts never answer on loopback in this mode")
    node.apply(node.service(2))
    with pytest.raises(ConnectionRefusedError):
        node.host.ask_tcp("127.0.0.1", NODE_PORT)
    node.host.sysctl("net/ipv4/conf/all/route_localnet", "1")
    node.apply(node.service(2), settings=replace(SETTINGS, localhost_node_ports=True))
    assert node.host.ask_tcp("127.0.0.1", NODE_PORT)[0] == node.pods[1].name
    node.host.sysctl("net/ipv4/conf/all/route_localnet", "0")


def test_external_policy_local_shows_the_pod_who_asked(node: Node) -> None:
    local = replace(node.service(1, 2), external_local=True, local_endpoints=node.endpoints(1))
    node.apply(local)
    assert {node.outside.ask_tcp(NODE_IP, NODE_PORT) for _ in range(8)} == {(node.pods[0].name, OUTSIDE_IP)}


def test_a_client_keeps_its_endpoint_under_affinity(node: Node) -> None:
    node.apply(replace(node.service(1, 2, 3), affinity_seconds=60))
    for client in (node.outside, node.pods[0]):
        assert len({client.ask_tcp(CLUSTER_IP, 80)[0] for _ in range(20)}) == 1


def test_affinity_survives_a_sync(node: Node) -> None:
    service = replace(node.service(1, 2, 3), affinity_seconds=60)
    node.apply(service)
    before = node.outside.ask_tcp(CLUSTER_IP, 80)[0]
    node.apply(service)
    assert {node.outside.ask_tcp(CLUSTER_IP, 80)[0] for _ in range(10)} == {before}


def test_round_robin_takes_the_endpoints_in_turn(node: Node) -> None:
    node.apply(replace(node.service(1, 2, 3), balance=Balance.ROUND_ROBIN))
    answers = Counter(node.outside.ask_tcp(CLUSTER_IP, 80)[0] for _ in range(12))
    assert answers == {pod.name: 4 for pod in node.pods}


def test_without_endpoints_the_connection_is_refused_at_once(node: Node) -> None:
    node.apply(node.service())
    for client, address, port in (
        (node.pods[0], CLUSTER_IP, 80),
        (node.host, CLUSTER_IP, 80),
        (node.outside, CLUSTER_IP, 80),
        (node.outside, NODE_IP, NODE_PORT),
    ):
        with pytest.raises(ConnectionRefusedError):  # a packet that just vanished would be a TimeoutError
            client.ask_tcp(address, port)


def test_a_port_that_the_service_does_not_have_is_refused_at_once(node: Node) -> None:
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


def test_source_ranges_guard_the_load_balancers_address(node: Node) -> None:
    service = replace(node.service(1), load_balancer_ips=(BALANCER_IP,), source_ranges=(f"{OUTSIDE_IP}/32",))
    node.apply(service)
    assert node.outside.ask_tcp(BALANCER_IP, 80)[0] == node.pods[0].name
    node.apply(replace(service, source_ranges=("192.0.2.0/24",)))
    with pytest.raises(TimeoutError):
        node.outside.ask_tcp(BALANCER_IP, 80, timeout_seconds=0.5)


def test_removed_endpoints_and_services_leave_no_chains(node: Node) -> None:
    node.apply(node.service(1, 2, 3), replace(node.service(1), service="other", cluster_ip="10.96.0.11", node_port=0))
    node.apply(node.service(2))
    assert {node.pods[0].ask_tcp(CLUSTER_IP, 80)[0] for _ in range(10)} == {node.pods[1].name}
    assert len(node.own_chains()) == 3  # the Service's, for external traffic, and the endpoint's
    node.apply(replace(node.service(2), node_port=0))
    assert len(node.own_chains()) == 2
    node.apply()
    assert node.own_chains() == []


def test_syncing_again_changes_nothing(node: Node) -> None:
    node.apply(node.service(1, 2))
    once = node.host.command("nft", "list", "ruleset")
    node.apply(node.service(1, 2))
    assert _without_counters(node.host.command("nft", "list", "ruleset")) == _without_counters(once)


def _without_counters(ruleset: str) -> str:
    return re.sub(r"counter packets \d+ bytes \d+", "", ruleset)


def test_changes_cost_only_themselves_and_foreign_changes_are_noticed(node: Node) -> None:
    async def play() -> None:
        rules = FamilyRules(4, await node.kernel(SETTINGS))
        monitor = rules.kernel.monitor
        web, other = node.service(1), replace(node.service(2), service="other", cluster_ip="10.96.0.11", node_port=0)
        assert await rules.sync({"default/web": (web,)}, None, periodic=False)
        assert not await rules.sync({"default/other": (other,)}, None, periodic=True)
        assert not await rules.sync({"default/other": ()}, None, periodic=False)
        for command in (
            ["iptables", "-t", "nat", "-F", "KUBE-SERVICES"],
            ["iptables", "-t", "nat", "-D", "PREROUTING", "1"],
        ) if node.mode is Mode.IPTABLES else (
            ["nft", "flush", "chain", "ip", "kube-proxy", "services"],
            ["nft", "delete", "table", "ip", "kube-proxy"],
        ):  # fmt: skip
            await run(*command)
            await eventually_async(lambda: monitor.altered)
            assert await rules.sync({}, None, periodic=False)
            assert not rules.needs_check(periodic=False)
        await run("iptables", "-N", "FOREIGN")
        await run("iptables", "-X", "FOREIGN")
        await asyncio.sleep(0)
        assert not rules.needs_check(periodic=False)
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


def test_foreign_rules_are_left_alone_and_cleanup_removes_all_of_ours(node: Node) -> None:
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


def test_no_connection_fails_while_rules_are_synced(node: Node) -> None:
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


def test_a_udp_client_moves_on_when_its_endpoint_goes(node: Node) -> None:
    before, after = node.service(1, protocol="udp"), node.service(2, protocol="udp")
    node.apply(before)
    with node.pods[2].udp_client() as client:
        assert ask_udp(client, CLUSTER_IP, 80) == node.pods[0].name
        node.apply(after)
        assert ask_udp(client, CLUSTER_IP, 80) == node.pods[0].name  # the flow is remembered: why it must be flushed
        node.flush_udp(after)
        assert ask_udp(client, CLUSTER_IP, 80) == node.pods[1].name


def test_a_udp_node_port_client_moves_on_too(node: Node) -> None:
    before, after = node.service(1, protocol="udp"), node.service(2, protocol="udp")
    node.apply(before)
    with node.outside.udp_client() as client:
        assert ask_udp(client, NODE_IP, NODE_PORT) == node.pods[0].name
        node.apply(after)
        node.flush_udp(after)
        assert ask_udp(client, NODE_IP, NODE_PORT) == node.pods[1].name


def test_a_udp_client_that_came_before_the_first_endpoint_is_served(node: Node) -> None:
    with node.pods[2].udp_client() as client:
        client.settimeout(0.2)
        with pytest.raises((TimeoutError, OSError)):
            ask_udp(client, CLUSTER_IP, 80)
        client.settimeout(3)
        service = node.service(1, protocol="udp")
        node.apply(service)
        node.flush_udp(service)
        assert ask_udp(client, CLUSTER_IP, 80) == node.pods[0].name


def test_flows_of_a_deleted_udp_service_are_forgotten(node: Node) -> None:
    service = node.service(1, protocol="udp")
    node.apply(service)
    with node.pods[2].udp_client() as client:
        assert ask_udp(client, CLUSTER_IP, 80) == node.pods[0].name
        node.apply()
        node.flush_udp(former=(service,))
        client.settimeout(0.2)
        with pytest.raises((TimeoutError, OSError)):
            ask_udp(client, CLUSTER_IP, 80)
