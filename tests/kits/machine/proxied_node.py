"""A node with three pods and a client outside, each in a network namespace, and kube-proxy's rules in the node's."""

from __future__ import annotations

import asyncio

from kubeproxy.family import FamilyRules, Kernel
from kubeproxy.flows.conntrack import Conntrack, UdpCleaner
from kubeproxy.iptables import kernel as iptables
from kubeproxy.nftables import kernel as nftables
from kubeproxy.settings import FAMILIES, LocalTraffic, Mode, Settings
from kubeproxy.topology import Endpoint, ServicePort
from tests.kits.machine.netns import Namespace, connect, unique

CLUSTER_IP, NODE_IP, OUTSIDE_IP, BRIDGE_IP, BALANCER_IP = (
    "10.96.0.10",
    "172.31.9.1",
    "172.31.9.2",
    "10.244.1.1",
    "198.51.100.1",
)
CLUSTER_IP6, NODE_IP6, OUTSIDE_IP6, BRIDGE_IP6 = "fd00:96::a", "fd00:31::1", "fd00:31::2", "fd00:244::1"
SETTINGS6 = Settings(family=6, local=LocalTraffic("fd00:244::/64"))
SETTINGS = Settings(local=LocalTraffic("10.244.0.0/16"))
SERVE_PORT, NODE_PORT = 8080, 30080


class ProxiedNode:
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
        host.sysctl("net/ipv6/conf/all/forwarding", "1")
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
        host.ip("address", "add", f"{BRIDGE_IP6}/64", "dev", "cbr0", "nodad")
        host.ip("address", "add", f"{NODE_IP6}/64", "dev", "eth0", "nodad")
        self.outside.ip("address", "add", f"{OUTSIDE_IP6}/64", "dev", "eth0", "nodad")
        self.outside.ip("-6", "route", "add", "default", "via", NODE_IP6)
        host.ip("-6", "route", "add", "default", "via", OUTSIDE_IP6)
        for number, pod in enumerate(self.pods, 1):
            connect(host, pod, f"veth{number}", "eth0")
            host.ip("link", "set", f"veth{number}", "master", "cbr0")
            # As the engine does without its userland proxy: else a bridge sends nothing back to where it came from.
            host.ip("link", "set", f"veth{number}", "type", "bridge_slave", "hairpin", "on")
            pod.ip("addr", "add", f"{self.pod_ip(number)}/24", "dev", "eth0")
            pod.ip("route", "add", "default", "via", BRIDGE_IP)
            pod.ip("address", "add", f"{self.pod_ip6(number)}/64", "dev", "eth0", "nodad")
            pod.ip("-6", "route", "add", "default", "via", BRIDGE_IP6)
            pod.serve_tcp(SERVE_PORT)
            pod.serve_udp(SERVE_PORT)

    @staticmethod
    def pod_ip6(number: int) -> str:
        return f"fd00:244::{number + 1}"

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
        rules = FamilyRules(settings.family, await self.kernel(settings))
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
            return iptables.IptablesKernel(settings, await iptables.watch(settings.family))
        return nftables.NftablesKernel(settings, nftables.watch(settings.family))

    def flush_udp(self, *ports: ServicePort, former: tuple[ServicePort, ...] = ()) -> None:
        async def flush() -> None:
            cleaner = UdpCleaner(Conntrack((4,)))
            cleaner.update({"default/web": former})
            cleaner.update({"default/web": ports})
            await cleaner.clean()

        self.host.run(asyncio.run, flush())

    def cleanup(self) -> None:
        module = iptables if self.mode is Mode.IPTABLES else nftables
        for family in FAMILIES:
            self.host.run(asyncio.run, module.cleanup(family))

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
