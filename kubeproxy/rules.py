"""PURE: turns service ports into the rules of kube-proxy's own chains, in the words of iptables.

Chain names and rules are those of Kubernetes' own proxy in iptables mode, and what nothing serves on a cluster IP is
rejected as in its nftables mode.
"""

from __future__ import annotations

import hashlib
from base64 import b32encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from kubeproxy.topology import Endpoint, ServicePort

SERVICES = "KUBE-SERVICES"
EXTERNAL_SERVICES = "KUBE-EXTERNAL-SERVICES"
NODE_PORTS = "KUBE-NODEPORTS"
POSTROUTING = "KUBE-POSTROUTING"
MARK_MASQ = "KUBE-MARK-MASQ"
FORWARD = "KUBE-FORWARD"
LB_FIREWALL = "KUBE-PROXY-FIREWALL"
LOCALNET_FIREWALL = "KUBE-FIREWALL"

NAT_CHAINS = (SERVICES, NODE_PORTS, POSTROUTING, MARK_MASQ)
FILTER_CHAINS = (SERVICES, EXTERNAL_SERVICES, NODE_PORTS, FORWARD, LB_FIREWALL, LOCALNET_FIREWALL)
SERVICE_CHAIN_PREFIXES = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-SEP-")


@dataclass(frozen=True, slots=True)
class Settings:
    """The flags that shape the rules."""

    cluster_cidr: str = ""
    """The pods' addresses; "" turns off masquerading and short cuts that must tell pods from other clients."""
    masquerade_all: bool = False
    masquerade_bit: int = 14
    localhost_node_ports: bool = False
    """Whether NodePorts answer on 127.0.0.1 (needs the route_localnet sysctl)."""

    @property
    def mark(self) -> str:
        return f"{1 << self.masquerade_bit:#x}"


ChainKey = tuple[str, str]
"""(table, chain)."""
Chains = dict[ChainKey, tuple[str, ...]]
"""The rules of each chain, in order, without "-A CHAIN"."""

REMEMBERED_PORTS = 8192  # whose rules are kept while they don't change; the longest unused are dropped


def desired_chains(ports: Iterable[ServicePort], settings: Settings) -> Chains:
    """Returns all chains as they should be, whatever is installed now."""
    chains: dict[ChainKey, list[str]] = {("nat", chain): [] for chain in NAT_CHAINS}
    chains |= {("filter", chain): [] for chain in FILTER_CHAINS}
    _base_rules(chains, settings)
    in_order = sorted(ports, key=lambda item: (item.full_name, item.protocol))
    for port in in_order:
        for key, rules in _port_chains(port, settings):
            chains.setdefault(key, []).extend(rules)
    chains["nat", SERVICES].append(_node_port_jump(settings))
    chains["filter", SERVICES] += _rejections(in_order)
    return {key: tuple(rules) for key, rules in chains.items()}


@lru_cache(maxsize=REMEMBERED_PORTS)
def _port_chains(port: ServicePort, settings: Settings) -> tuple[tuple[ChainKey, tuple[str, ...]], ...]:
    """Returns the rules that one port adds to each chain."""
    return tuple((key, tuple(rules)) for key, rules in _PortRules(port, settings).write().items())


def _base_rules(chains: dict[ChainKey, list[str]], settings: Settings) -> None:
    mark = settings.mark
    masked = f"--mark {mark}/{mark}"
    chains["nat", MARK_MASQ] += [f"-j MARK --or-mark {mark}"]
    chains["nat", POSTROUTING] += [
        f"-m mark ! {masked} -j RETURN",
        # Without the mark, or the packet would still carry it when it comes back through another stack (a tunnel).
        f"-j MARK --xor-mark {mark}",
        '-m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
    ]
    chains["filter", FORWARD] += [
        "-m conntrack --ctstate INVALID -j DROP",
        f'-m comment --comment "kubernetes forwarding rules" -m mark {masked} -j ACCEPT',
        '-m comment --comment "kubernetes forwarding conntrack rule" '
        "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    ]
    if settings.localhost_node_ports:  # route_localnet would let neighbours reach what listens on loopback alone
        chains["filter", LOCALNET_FIREWALL].append(
            '-m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 '
            "! -s 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"
        )


def _node_port_jump(settings: Settings) -> str:
    """Returns the last rule of KUBE-SERVICES: a port of a service's own address comes before a NodePort."""
    loopback = "" if settings.localhost_node_ports else "! -d 127.0.0.0/8 "
    comment = '-m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain"'
    return f"{comment} {loopback}-m addrtype --dst-type LOCAL -j {NODE_PORTS}"


def _rejections(ports: Iterable[ServicePort]) -> list[str]:
    """Returns the last rules of the filter table's KUBE-SERVICES, one for each cluster IP.

    What comes here was not translated: nothing serves it. It would leave by the default route, and wait for an answer.
    """
    services = {port.cluster_ip: f"{port.namespace}/{port.service}" for port in ports}
    return [
        f'-m comment --comment "{service} does not serve this port" -d {cluster_ip}/32 -j REJECT'
        for cluster_ip, service in services.items()
    ]


def chain_name(prefix: str, port: ServicePort, endpoint: Endpoint | None = None) -> str:
    """ "KUBE-SVC-" plus 16 characters of the base32 of SHA-256 over name, protocol and, for endpoints, address.

    The same as upstream's, so a change of proxy leaves no doubles; 28 characters is what iptables allows.
    """
    text = port.full_name + port.protocol + (str(endpoint) if endpoint else "")
    return prefix + b32encode(hashlib.sha256(text.encode()).digest()).decode()[:16]


class _PortRules:
    """Writes the rules of one service port."""

    def __init__(self, port: ServicePort, settings: Settings) -> None:
        self._port, self._settings = port, settings
        self._chains: dict[ChainKey, list[str]] = {}
        self._cluster_chain = chain_name("KUBE-SVC-", port)
        self._local_chain = chain_name("KUBE-SVL-", port)
        self._external_chain = chain_name("KUBE-EXT-", port)
        self._firewall_chain = chain_name("KUBE-FW-", port)
        self._internal_chain = self._local_chain if port.internal_local else self._cluster_chain
        self._external_policy_chain = self._local_chain if port.external_local else self._cluster_chain

    def write(self) -> dict[ChainKey, list[str]]:
        port = self._port
        self._cluster_ip()
        if port.externally_accessible:
            self._external_addresses()
            if port.has_endpoints:
                self._external()
        self._balance(self._cluster_chain, port.cluster_endpoints)
        self._balance(self._local_chain, port.local_endpoints)
        for endpoint in port.endpoints:
            self._endpoint(endpoint)
        if port.health_check_node_port:
            to = f"-m tcp -p tcp --dport {port.health_check_node_port}"
            self._filter(NODE_PORTS, f"{self._comment('health check node port')} {to} -j ACCEPT")
        return self._chains

    def _nat(self, chain: str, *rules: str) -> None:
        self._chains.setdefault(("nat", chain), []).extend(rules)

    def _filter(self, chain: str, *rules: str) -> None:
        self._chains.setdefault(("filter", chain), []).extend(rules)

    def _to(self, address: str) -> str:
        protocol = self._port.protocol
        return f"-m {protocol} -p {protocol} -d {address}/32 --dport {self._port.port}"

    @property
    def _to_node_port(self) -> str:
        protocol = self._port.protocol
        return f"-m {protocol} -p {protocol} --dport {self._port.node_port}"

    def _comment(self, what: str) -> str:
        return f'-m comment --comment "{self._port.full_name} {what}"'

    def _cluster_ip(self) -> None:
        port = self._port
        to = self._to(port.cluster_ip)
        if not port.internal_endpoints:
            self._filter(SERVICES, f"{self._no_endpoints(port.internal_local)} {to} {self._refusal()}")
            return
        comment = self._comment("cluster IP")
        self._nat(SERVICES, f"{comment} {to} -j {self._internal_chain}")
        if self._settings.masquerade_all:
            self._nat(self._internal_chain, f"{comment} {to} -j {MARK_MASQ}")
        elif self._settings.cluster_cidr:
            self._nat(self._internal_chain, f"{comment} ! -s {self._settings.cluster_cidr} {to} -j {MARK_MASQ}")

    def _external_addresses(self) -> None:
        """Leads externalIPs, the load balancer's addresses and the NodePort to this port's chains, or to a refusal."""
        port = self._port
        guarded = bool(port.source_ranges and port.load_balancer_ips)
        if port.has_endpoints:
            balancer_chain = self._firewall_chain if guarded else self._external_chain
            for ip in port.external_ips:
                self._nat(SERVICES, f"{self._comment('external IP')} {self._to(ip)} -j {self._external_chain}")
            for ip in port.load_balancer_ips:
                self._nat(SERVICES, f"{self._comment('loadbalancer IP')} {self._to(ip)} -j {balancer_chain}")
            if port.node_port:
                self._nat(NODE_PORTS, f"{self._comment('node port')} {self._to_node_port} -j {self._external_chain}")
            if guarded:
                self._firewall()
        if not port.external_endpoints:
            comment = self._no_endpoints(port.external_local)
            for ip in (*port.external_ips, *port.load_balancer_ips):
                self._filter(EXTERNAL_SERVICES, f"{comment} {self._to(ip)} {self._refusal()}")
            if port.node_port:
                to = f"-m addrtype --dst-type LOCAL {self._to_node_port}"
                self._filter(EXTERNAL_SERVICES, f"{comment} {to} {self._refusal()}")

    def _firewall(self) -> None:
        """Lets only the source ranges pass on to the service; the filter table drops the rest."""
        port, chain = self._port, self._firewall_chain
        for cidr in port.source_ranges:
            self._nat(chain, f"{self._comment('loadbalancer IP')} -s {cidr} -j {self._external_chain}")
        for ip in port.load_balancer_ips:
            self._filter(LB_FIREWALL, f"{self._comment(f'traffic not accepted by {chain}')} {self._to(ip)} -j DROP")

    def _external(self) -> None:
        """Masquerades what came in by an external address; under policy Local it keeps its source address."""
        port, chain = self._port, self._external_chain
        if not port.external_local:
            comment = f'-m comment --comment "masquerade traffic for {port.full_name} external destinations"'
            self._nat(chain, f"{comment} -j {MARK_MASQ}")
        else:
            if self._settings.cluster_cidr:
                comment = f'-m comment --comment "pod traffic for {port.full_name} external destinations"'
                self._nat(chain, f"{comment} -s {self._settings.cluster_cidr} -j {self._cluster_chain}")
            comment = f'-m comment --comment "LOCAL traffic for {port.full_name} external destinations"'
            from_here = f"{comment} -m addrtype --src-type LOCAL"
            self._nat(chain, f"{from_here} -j {MARK_MASQ}", f"{from_here} -j {self._cluster_chain}")
        if port.external_endpoints:
            self._nat(chain, f"-j {self._external_policy_chain}")

    def _balance(self, chain: str, endpoints: Sequence[Endpoint]) -> None:
        """Sends clients with affinity to their endpoint, others to each with probability 1/(those left)."""
        port = self._port
        targets = [
            (f'-m comment --comment "{port.full_name} -> {item}"', chain_name("KUBE-SEP-", port, item))
            for item in endpoints
        ]
        if port.affinity_seconds:
            for comment, target in targets:
                recent = f"-m recent --name {target} --rcheck --seconds {port.affinity_seconds} --reap"
                self._nat(chain, f"{comment} {recent} -j {target}")
        for index, (comment, target) in enumerate(targets):
            left = len(targets) - index
            chance = f" -m statistic --mode random --probability {1 / left:.10f}" if left > 1 else ""
            self._nat(chain, f"{comment}{chance} -j {target}")

    def _endpoint(self, endpoint: Endpoint) -> None:
        port = self._port
        chain = chain_name("KUBE-SEP-", port, endpoint)
        comment = f'-m comment --comment "{port.full_name}"'
        remember = f" -m recent --name {chain} --set" if port.affinity_seconds else ""
        protocol = f"-m {port.protocol} -p {port.protocol}"
        self._nat(
            chain,
            # Hairpin: a pod that reaches itself through the service must see the answer come from the node.
            f"{comment} -s {endpoint.ip}/32 -j {MARK_MASQ}",
            f"{comment}{remember} {protocol} -j DNAT --to-destination {endpoint}",
        )

    def _no_endpoints(self, local_only: bool) -> str:
        """Comments on a refusal: under a Local policy there may be endpoints elsewhere."""
        some_elsewhere = self._port.has_endpoints and local_only
        return self._comment("has no local endpoints" if some_elsewhere else "has no endpoints")

    def _refusal(self) -> str:
        """Returns REJECT, which answers the client at once, or DROP where another node may serve (policy Local)."""
        return "-j DROP" if self._port.has_endpoints else "-j REJECT"
