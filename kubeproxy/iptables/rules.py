"""PURE: turns service ports into the rules of kube-proxy's own chains, in the words of iptables.

Chain names and rules are those of Kubernetes' own proxy in iptables mode, and what nothing serves on a cluster IP is
rejected as in its nftables mode. Keys are (table, chain). The entries of a shared chain are rules, and their value
tells on which side of the chain they stand.
"""

from __future__ import annotations

import hashlib
from base64 import b32encode
from collections.abc import Sequence

from kubeproxy.ledger import Fragment, FragmentWriter
from kubeproxy.settings import Settings
from kubeproxy.topology import Balance, Endpoint, ServicePort

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
SERVICE_CHAIN_PREFIXES = ("KUBE-SEP-", "KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-")
"""Each kind of chain leads to those before it."""
SHARED = frozenset((
    ("nat", SERVICES), ("nat", NODE_PORTS), ("filter", SERVICES), ("filter", EXTERNAL_SERVICES),
    ("filter", NODE_PORTS), ("filter", LB_FIREWALL),
))  # fmt: skip
"""The chains that consist of entries. The others belong to one fragment each."""

FIRST, LAST = "first", "last"
"""The sides of a shared chain. Where a rule is put into its side does not matter."""


def chain_name(prefix: str, port: ServicePort, endpoint: Endpoint | None = None) -> str:
    """ "KUBE-SVC-" plus 16 characters of the base32 of SHA-256 over name, protocol and, for endpoints, address.

    The same as upstream's, so a change of proxy leaves no doubles; 28 characters is what iptables allows.
    """
    text = port.full_name + port.protocol + (str(endpoint) if endpoint else "")
    return prefix + b32encode(hashlib.sha256(text.encode()).digest()).decode()[:16]


def base_fragment(settings: Settings, node_ports_on: tuple[str, ...] | None) -> Fragment:
    """Returns the rules that do not depend on Services; NodePorts answer on these addresses, or on any for None."""
    mark = settings.mark
    masked = f"--mark {mark}/{mark}"
    writer = FragmentWriter()
    writer.chain(("nat", MARK_MASQ), f"-j MARK --or-mark {mark}")
    writer.chain(
        ("nat", POSTROUTING),
        f"-m mark ! {masked} -j RETURN",
        # Without the mark, or the packet would still carry it when it comes back through another stack (a tunnel).
        f"-j MARK --xor-mark {mark}",
        '-m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
    )
    writer.chain(
        ("filter", FORWARD),
        "-m conntrack --ctstate INVALID -j DROP",
        f'-m comment --comment "kubernetes forwarding rules" -m mark {masked} -j ACCEPT',
        '-m comment --comment "kubernetes forwarding conntrack rule" '
        "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    )
    writer.chain(("filter", LOCALNET_FIREWALL))
    if settings.localhost_node_ports:  # route_localnet would let neighbours reach what listens on loopback alone
        writer.chain(
            ("filter", LOCALNET_FIREWALL),
            '-m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 '
            "! -s 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",
        )
    for rule in _node_port_jumps(settings, node_ports_on):
        writer.entry(("nat", SERVICES), rule, LAST)
    return writer.fragment()


def _node_port_jumps(settings: Settings, node_ports_on: tuple[str, ...] | None) -> list[str]:
    """Returns the last rules of KUBE-SERVICES: a port of a service's own address comes before a NodePort."""
    comment = '-m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain"'
    if node_ports_on is not None:
        return [f"{comment} -d {address}{settings.host_bits} -j {NODE_PORTS}" for address in node_ports_on]
    loopback = "127.0.0.0/8" if settings.family == 4 else "::1/128"
    other_than = "" if settings.localhost_node_ports else f"! -d {loopback} "
    return [f"{comment} {other_than}-m addrtype --dst-type LOCAL -j {NODE_PORTS}"]


def service_fragment(ports: Sequence[ServicePort], settings: Settings) -> Fragment:
    """Returns what the ports of one Service, all of the settings' family, bring."""
    writer = FragmentWriter()
    for port in ports:
        _PortRules(port, settings, writer).write()
    if ports:
        # What comes here was not translated: nothing serves it. It would leave by the default route.
        name = f"{ports[0].namespace}/{ports[0].service}"
        to = f"-d {ports[0].cluster_ip}{settings.host_bits}"
        comment = f'-m comment --comment "{name} does not serve this port"'
        writer.entry(("filter", SERVICES), f"{comment} {to} -j REJECT", LAST)
    return writer.fragment()


class _PortRules:
    """Writes the rules of one service port."""

    def __init__(self, port: ServicePort, settings: Settings, writer: FragmentWriter) -> None:
        self._port, self._settings, self._writer = port, settings, writer
        self._cluster_chain = chain_name("KUBE-SVC-", port)
        self._local_chain = chain_name("KUBE-SVL-", port)
        self._external_chain = chain_name("KUBE-EXT-", port)
        self._firewall_chain = chain_name("KUBE-FW-", port)
        self._internal_chain = self._local_chain if port.internal_local else self._cluster_chain
        self._external_policy_chain = self._local_chain if port.external_local else self._cluster_chain
        self._relayed = port.balance is Balance.LEAST_CONNECTIONS and bool(settings.relay_port)

    def write(self) -> None:
        port = self._port
        self._cluster_ip()
        if port.externally_accessible:
            self._external_addresses()
            if port.has_endpoints:
                self._external()
        self._balance(self._cluster_chain, port.cluster_endpoints)
        self._balance(self._local_chain, port.local_endpoints)
        if not self._relayed:
            for endpoint in port.endpoints:
                self._endpoint(endpoint)
        if port.health_check_node_port:
            to = f"-m tcp -p tcp --dport {port.health_check_node_port}"
            self._filter(NODE_PORTS, f"{self._comment('health check node port')} {to} -j ACCEPT")

    def _nat(self, chain: str, *rules: str) -> None:
        """Adds rules to a chain of this port's own."""
        self._writer.chain(("nat", chain), *rules)

    def _lead(self, chain: str, rule: str) -> None:
        self._writer.entry(("nat", chain), rule, FIRST)

    def _filter(self, chain: str, rule: str) -> None:
        self._writer.entry(("filter", chain), rule, FIRST)

    def _to(self, address: str) -> str:
        protocol = self._port.protocol
        return f"-m {protocol} -p {protocol} -d {address}{self._settings.host_bits} --dport {self._port.port}"

    @property
    def _to_node_port(self) -> str:
        protocol = self._port.protocol
        return f"-m {protocol} -p {protocol} --dport {self._port.node_port}"

    def _from_pods(self, negation: str = "") -> str:
        """Matches the traffic of this node's pods, or with "! " all other; "" where that can't be told."""
        local = self._settings.local
        if local is None:
            return ""
        match = f"-s {local.network}" if local.network else f"-i {local.interface.replace('*', '+')}"
        return negation + match

    def _comment(self, what: str) -> str:
        return f'-m comment --comment "{self._port.full_name} {what}"'

    def _cluster_ip(self) -> None:
        port = self._port
        to = self._to(port.cluster_ip)
        if not port.internal_endpoints:
            self._filter(SERVICES, f"{self._no_endpoints(port.internal_local)} {to} {self._refusal()}")
            return
        comment = self._comment("cluster IP")
        self._lead(SERVICES, f"{comment} {to} -j {self._internal_chain}")
        if self._settings.masquerade_all:
            self._nat(self._internal_chain, f"{comment} {to} -j {MARK_MASQ}")
        elif outsiders := self._from_pods("! "):
            self._nat(self._internal_chain, f"{comment} {outsiders} {to} -j {MARK_MASQ}")

    def _external_addresses(self) -> None:
        """Leads externalIPs, the load balancer's addresses and the NodePort to this port's chains, or to a refusal."""
        port = self._port
        guarded = bool(port.source_ranges and port.load_balancer_ips)
        if port.has_endpoints:
            balancer_chain = self._firewall_chain if guarded else self._external_chain
            for ip in port.external_ips:
                self._lead(SERVICES, f"{self._comment('external IP')} {self._to(ip)} -j {self._external_chain}")
            for ip in port.load_balancer_ips:
                self._lead(SERVICES, f"{self._comment('loadbalancer IP')} {self._to(ip)} -j {balancer_chain}")
            if port.node_port:
                self._lead(NODE_PORTS, f"{self._comment('node port')} {self._to_node_port} -j {self._external_chain}")
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
            if pods := self._from_pods():
                comment = f'-m comment --comment "pod traffic for {port.full_name} external destinations"'
                self._nat(chain, f"{comment} {pods} -j {self._cluster_chain}")
            comment = f'-m comment --comment "LOCAL traffic for {port.full_name} external destinations"'
            from_here = f"{comment} -m addrtype --src-type LOCAL"
            self._nat(chain, f"{from_here} -j {MARK_MASQ}", f"{from_here} -j {self._cluster_chain}")
        if port.external_endpoints:
            self._nat(chain, f"-j {self._external_policy_chain}")

    def _balance(self, chain: str, endpoints: Sequence[Endpoint]) -> None:
        """Sends clients with affinity to their endpoint, others to each in turn or with probability 1/(those left)."""
        port = self._port
        if self._relayed:
            if endpoints:
                self._nat(chain, f"-m tcp -p tcp -j REDIRECT --to-ports {self._settings.relay_port}")
            return
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
            if left == 1:
                turn = ""
            elif port.balance is Balance.ROUND_ROBIN:
                turn = f" -m statistic --mode nth --every {left} --packet 0"
            else:
                turn = f" -m statistic --mode random --probability {1 / left:.10f}"
            self._nat(chain, f"{comment}{turn} -j {target}")

    def _endpoint(self, endpoint: Endpoint) -> None:
        port = self._port
        chain = chain_name("KUBE-SEP-", port, endpoint)
        comment = f'-m comment --comment "{port.full_name}"'
        remember = f" -m recent --name {chain} --set" if port.affinity_seconds else ""
        protocol = f"-m {port.protocol} -p {port.protocol}"
        self._nat(
            chain,
            # Hairpin: a pod that reaches itself through the service must see the answer come from the node.
            f"{comment} -s {endpoint.ip}{self._settings.host_bits} -j {MARK_MASQ}",
            f"{comment}{remember} {protocol} -j DNAT --to-destination {endpoint}",
        )

    def _no_endpoints(self, local_only: bool) -> str:
        """Comments on a refusal: under a Local policy there may be endpoints elsewhere."""
        some_elsewhere = self._port.has_endpoints and local_only
        return self._comment("has no local endpoints" if some_elsewhere else "has no endpoints")

    def _refusal(self) -> str:
        """Returns REJECT, which answers the client at once, or DROP where another node may serve (policy Local)."""
        return "-j DROP" if self._port.has_endpoints else "-j REJECT"
