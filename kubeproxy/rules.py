"""PURE: service ports -> one text for `iptables-restore --noflush`, over kube-proxy's own chains alone.

A declared user chain (`:CHAIN - [0:0]`) is flushed by the restore and then filled, so each sync says everything that
holds; chains of services that went are flushed and deleted in the same transaction. Built-in chains get nothing but
the jumps that are missing. Chain names and rules are those of Kubernetes' own proxy in iptables mode.
"""

from __future__ import annotations

import hashlib
from base64 import b32encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

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
class Jump:
    """One rule in a built-in chain that leads to ours."""

    table: str
    chain: str
    target: str
    arguments: str

    @property
    def rule(self) -> str:
        return f"{self.chain} {self.arguments} -j {self.target}"


_NEW = "-m conntrack --ctstate NEW"
_PORTALS = '-m comment --comment "kubernetes service portals"'
_EXTERNAL_PORTALS = '-m comment --comment "kubernetes externally-visible service portals"'
_LB_FIREWALL = '-m comment --comment "kubernetes load balancer firewall"'

JUMPS = (
    Jump("nat", "PREROUTING", SERVICES, _PORTALS),
    Jump("nat", "OUTPUT", SERVICES, _PORTALS),
    Jump("nat", "POSTROUTING", POSTROUTING, '-m comment --comment "kubernetes postrouting rules"'),
    Jump("filter", "INPUT", EXTERNAL_SERVICES, f"{_NEW} {_EXTERNAL_PORTALS}"),
    Jump("filter", "INPUT", NODE_PORTS, '-m comment --comment "kubernetes health check service ports"'),
    Jump("filter", "INPUT", LB_FIREWALL, f"{_NEW} {_LB_FIREWALL}"),
    Jump("filter", "INPUT", LOCALNET_FIREWALL, '-m comment --comment "kubernetes localnet firewall"'),
    Jump("filter", "FORWARD", EXTERNAL_SERVICES, f"{_NEW} {_EXTERNAL_PORTALS}"),
    Jump("filter", "FORWARD", SERVICES, f"{_NEW} {_PORTALS}"),
    Jump("filter", "FORWARD", FORWARD, '-m comment --comment "kubernetes forwarding rules"'),
    Jump("filter", "FORWARD", LB_FIREWALL, f"{_NEW} {_LB_FIREWALL}"),
    Jump("filter", "OUTPUT", SERVICES, f"{_NEW} {_PORTALS}"),
    Jump("filter", "OUTPUT", LB_FIREWALL, f"{_NEW} {_LB_FIREWALL}"),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What of the flags shapes the rules."""

    cluster_cidr: str = ""
    """Pods' addresses; "" turns off masquerading and short cuts that need to tell pods from others."""
    masquerade_all: bool = False
    masquerade_bit: int = 14
    localhost_node_ports: bool = False
    """Whether NodePorts answer on 127.0.0.1 (needs the route_localnet sysctl)."""

    @property
    def mark(self) -> str:
        return f"{1 << self.masquerade_bit:#x}"


@dataclass(frozen=True, slots=True)
class Installed:
    """What is in the kernel now, of ours: from `iptables-save`."""

    chains: frozenset[tuple[str, str]] = frozenset()
    """(table, chain)."""
    jumps: frozenset[tuple[str, str, str]] = frozenset()
    """(table, built-in chain, target)."""
    jump_rules: tuple[tuple[str, str], ...] = ()
    """(table, rule as iptables-save prints it, without "-A "), for `cleanup_text`."""


def parse_save(text: str) -> Installed:
    """Reads `iptables-save` output; foreign chains and rules are skipped."""
    chains: set[tuple[str, str]] = set()
    jumps: set[tuple[str, str, str]] = set()
    rules: list[tuple[str, str]] = []
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith(":KUBE-"):
            chain = line[1:].split(" ", 1)[0]
            if _is_ours(table, chain):
                chains.add((table, chain))
        elif line.startswith("-A ") and not line.startswith("-A KUBE-"):
            words = line.split()
            target = words[words.index("-j") + 1] if "-j" in words[:-1] else ""
            if any((table, words[1], target) == (jump.table, jump.chain, jump.target) for jump in JUMPS):
                jumps.add((table, words[1], target))
                rules.append((table, line[3:]))
    return Installed(frozenset(chains), frozenset(jumps), tuple(rules))


def _is_ours(table: str, chain: str) -> bool:
    if table == "nat":
        return chain in NAT_CHAINS or chain.startswith(SERVICE_CHAIN_PREFIXES)
    return table == "filter" and chain in FILTER_CHAINS


@dataclass(slots=True)
class _Table:
    """A table's text while it is put together."""

    name: str
    chains: dict[str, None] = field(default_factory=dict)
    rules: list[str] = field(default_factory=list)

    def text(self, installed: Installed) -> str:
        stale = sorted(chain for table, chain in installed.chains if table == self.name and chain not in self.chains)
        lines = [f"*{self.name}"]
        lines += [f":{chain} - [0:0]" for chain in (*self.chains, *stale)]
        missing = [
            jump for jump in JUMPS
            if jump.table == self.name and (jump.table, jump.chain, jump.target) not in installed.jumps
        ]  # fmt: skip
        # Inserted at the head one after the other, so the last of the list is inserted first.
        lines += [f"-I {jump.chain} 1 {jump.arguments} -j {jump.target}" for jump in reversed(missing)]
        lines += self.rules
        lines += [f"-X {chain}" for chain in stale]
        lines.append("COMMIT")
        return "\n".join(lines) + "\n"


def restore_text(ports: Iterable[ServicePort], settings: Settings, installed: Installed) -> str:
    """Everything that shall hold, for one run of `iptables-restore --noflush`: a transaction for each table."""
    nat = _Table("nat", dict.fromkeys(NAT_CHAINS))
    filters = _Table("filter", dict.fromkeys(FILTER_CHAINS))
    _base_rules(nat, filters, settings)
    for port in sorted(ports, key=lambda item: (item.full_name, item.protocol)):
        _PortRules(port, settings, nat, filters).write()
    _node_port_jump(nat, settings)
    return nat.text(installed) + filters.text(installed)


def cleanup_text(installed: Installed) -> str:
    """Takes away every jump and chain of ours; "" when there is none."""
    text = ""
    for table in ("nat", "filter"):
        chains = sorted(chain for owner, chain in installed.chains if owner == table)
        deletions = [f"-D {rule}" for owner, rule in installed.jump_rules if owner == table]
        if chains or deletions:
            flushes = [f":{chain} - [0:0]" for chain in chains]
            text += (
                "\n".join([f"*{table}", *flushes, *deletions, *(f"-X {chain}" for chain in chains), "COMMIT"]) + "\n"
            )
    return text


def _base_rules(nat: _Table, filters: _Table, settings: Settings) -> None:
    mark = settings.mark
    masked = f"--mark {mark}/{mark}"
    nat.rules += [
        f"-A {MARK_MASQ} -j MARK --or-mark {mark}",
        f"-A {POSTROUTING} -m mark ! {masked} -j RETURN",
        # The mark is taken off, lest the packet be marked still when it comes back through another stack (a tunnel).
        f"-A {POSTROUTING} -j MARK --xor-mark {mark}",
        f'-A {POSTROUTING} -m comment --comment "kubernetes service traffic requiring SNAT" '
        "-j MASQUERADE --random-fully",
    ]
    filters.rules += [
        f"-A {FORWARD} -m conntrack --ctstate INVALID -j DROP",
        f'-A {FORWARD} -m comment --comment "kubernetes forwarding rules" -m mark {masked} -j ACCEPT',
        f'-A {FORWARD} -m comment --comment "kubernetes forwarding conntrack rule" '
        "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    ]
    if settings.localhost_node_ports:  # route_localnet would let neighbours reach what listens on loopback alone
        filters.rules.append(
            f'-A {LOCALNET_FIREWALL} -m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 '
            "! -s 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"
        )


def _node_port_jump(nat: _Table, settings: Settings) -> None:
    """Last in KUBE-SERVICES: a port of a service's own address beats a NodePort."""
    loopback = "" if settings.localhost_node_ports else "! -d 127.0.0.0/8 "
    comment = '-m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain"'
    nat.rules.append(f"-A {SERVICES} {comment} {loopback}-m addrtype --dst-type LOCAL -j {NODE_PORTS}")


def chain_name(prefix: str, port: ServicePort, endpoint: Endpoint | None = None) -> str:
    """ "KUBE-SVC-" plus 16 characters of the base32 of SHA-256 over name, protocol and, for endpoints, address.

    The same as upstream's, so a change of proxy leaves no doubles; 28 characters is what iptables allows.
    """
    text = port.full_name + port.protocol + (str(endpoint) if endpoint else "")
    return prefix + b32encode(hashlib.sha256(text.encode()).digest()).decode()[:16]


class _PortRules:
    """Writes the rules of one service port."""

    def __init__(self, port: ServicePort, settings: Settings, nat: _Table, filters: _Table) -> None:
        self.port, self.settings, self.nat, self.filters = port, settings, nat, filters
        self.cluster_chain = chain_name("KUBE-SVC-", port)
        self.local_chain = chain_name("KUBE-SVL-", port)
        self.external_chain = chain_name("KUBE-EXT-", port)
        self.firewall_chain = chain_name("KUBE-FW-", port)
        self.internal_chain = self.local_chain if port.internal_local else self.cluster_chain
        self.external_policy_chain = self.local_chain if port.external_local else self.cluster_chain

    def write(self) -> None:
        port = self.port
        self._cluster_ip()
        if port.externally_accessible:
            self._external_addresses()
            if port.has_endpoints:
                self._external()
        for chain, endpoints in (
            (self.cluster_chain, port.cluster_endpoints),
            (self.local_chain, port.local_endpoints),
        ):
            if endpoints:
                self._balance(chain, endpoints)
        for endpoint in port.endpoints:
            self._endpoint(endpoint)
        if port.health_check_node_port:
            self.filters.rules.append(
                f'-A {NODE_PORTS} -m comment --comment "{port.full_name} health check node port" '
                f"-m tcp -p tcp --dport {port.health_check_node_port} -j ACCEPT"
            )

    def _to(self, address: str) -> str:
        protocol = self.port.protocol
        return f"-m {protocol} -p {protocol} -d {address}/32 --dport {self.port.port}"

    def _comment(self, what: str) -> str:
        return f'-m comment --comment "{self.port.full_name} {what}"'

    def _cluster_ip(self) -> None:
        port = self.port
        to = self._to(port.cluster_ip)
        if not port.internal_endpoints:
            self.filters.rules.append(f"-A {SERVICES} {self._no_endpoints(internal=True)} {to} {self._refusal()}")
            return
        self.nat.rules.append(f"-A {SERVICES} {self._comment('cluster IP')} {to} -j {self.internal_chain}")
        chain = self._declare(self.internal_chain)
        if self.settings.masquerade_all:
            self.nat.rules.append(f"-A {chain} {self._comment('cluster IP')} {to} -j {MARK_MASQ}")
        elif self.settings.cluster_cidr:
            outside = f"! -s {self.settings.cluster_cidr}"
            self.nat.rules.append(f"-A {chain} {self._comment('cluster IP')} {outside} {to} -j {MARK_MASQ}")

    def _external_addresses(self) -> None:
        """From externalIPs, the load balancer's addresses and the NodePort to this port's chains, or to a refusal."""
        port = self.port
        guarded = bool(port.source_ranges and port.load_balancer_ips)
        balancer_chain = self.firewall_chain if guarded else self.external_chain
        if port.has_endpoints:
            self.nat.rules += [
                f"-A {SERVICES} {self._comment('external IP')} {self._to(ip)} -j {self.external_chain}"
                for ip in port.external_ips
            ] + [
                f"-A {SERVICES} {self._comment('loadbalancer IP')} {self._to(ip)} -j {balancer_chain}"
                for ip in port.load_balancer_ips
            ]
            if port.node_port:
                self.nat.rules.append(
                    f"-A {NODE_PORTS} {self._comment('node port')} -m {port.protocol} -p {port.protocol} "
                    f"--dport {port.node_port} -j {self.external_chain}"
                )
            if guarded:
                self._firewall()
        if not port.external_endpoints:
            start = f"-A {EXTERNAL_SERVICES} {self._no_endpoints(internal=False)}"
            addresses = (*port.external_ips, *port.load_balancer_ips)
            self.filters.rules += [f"{start} {self._to(ip)} {self._refusal()}" for ip in addresses]
            if port.node_port:
                self.filters.rules.append(
                    f"{start} -m addrtype --dst-type LOCAL -m {port.protocol} -p {port.protocol} "
                    f"--dport {port.node_port} {self._refusal()}"
                )

    def _firewall(self) -> None:
        """Only the source ranges pass on to the service; the rest is dropped in the filter table."""
        port = self.port
        chain = self._declare(self.firewall_chain)
        self.nat.rules += [
            f"-A {chain} {self._comment('loadbalancer IP')} -s {cidr} -j {self.external_chain}"
            for cidr in port.source_ranges
        ]
        self.filters.rules += [
            f"-A {LB_FIREWALL} {self._comment(f'traffic not accepted by {chain}')} {self._to(ip)} -j DROP"
            for ip in port.load_balancer_ips
        ]

    def _external(self) -> None:
        """What came in by an external address: masqueraded, or under policy Local kept with its source address."""
        port = self.port
        chain = self._declare(self.external_chain)
        if not port.external_local:
            comment = f'-m comment --comment "masquerade traffic for {port.full_name} external destinations"'
            self.nat.rules.append(f"-A {chain} {comment} -j {MARK_MASQ}")
        else:
            if self.settings.cluster_cidr:
                comment = f'-m comment --comment "pod traffic for {port.full_name} external destinations"'
                self.nat.rules.append(f"-A {chain} {comment} -s {self.settings.cluster_cidr} -j {self.cluster_chain}")
            comment = f'-m comment --comment "LOCAL traffic for {port.full_name} external destinations"'
            from_here = f"-A {chain} {comment} -m addrtype --src-type LOCAL"
            self.nat.rules += [f"{from_here} -j {MARK_MASQ}", f"{from_here} -j {self.cluster_chain}"]
        if port.external_endpoints:
            self.nat.rules.append(f"-A {chain} -j {self.external_policy_chain}")

    def _balance(self, chain: str, endpoints: Sequence[Endpoint]) -> None:
        """Known clients first, then each endpoint with probability 1/(those left), which is equal weight for all."""
        port = self.port
        self._declare(chain)
        chains = [(f'-m comment --comment "{port.full_name} -> {item}"', chain_name("KUBE-SEP-", port, item))
                  for item in endpoints]  # fmt: skip
        if port.affinity_seconds:
            self.nat.rules += [
                f"-A {chain} {comment} -m recent --name {target} --rcheck --seconds {port.affinity_seconds} "
                f"--reap -j {target}"
                for comment, target in chains
            ]
        for index, (comment, target) in enumerate(chains):
            left = len(chains) - index
            chance = f" -m statistic --mode random --probability {1 / left:.10f}" if left > 1 else ""
            self.nat.rules.append(f"-A {chain} {comment}{chance} -j {target}")

    def _endpoint(self, endpoint: Endpoint) -> None:
        port = self.port
        chain = self._declare(chain_name("KUBE-SEP-", port, endpoint))
        comment = f'-m comment --comment "{port.full_name}"'
        # Hairpin: a pod that reaches itself through the service must see the answer come from the node.
        self.nat.rules.append(f"-A {chain} {comment} -s {endpoint.ip}/32 -j {MARK_MASQ}")
        remember = f" -m recent --name {chain} --set" if port.affinity_seconds else ""
        self.nat.rules.append(
            f"-A {chain} {comment}{remember} -m {port.protocol} -p {port.protocol} -j DNAT --to-destination {endpoint}"
        )

    def _declare(self, chain: str) -> str:
        self.nat.chains[chain] = None
        return chain

    def _no_endpoints(self, *, internal: bool) -> str:
        if not self.port.has_endpoints:
            return self._comment("has no endpoints")
        policy = self.port.internal_local if internal else self.port.external_local
        return self._comment("has no local endpoints" if policy else "has no endpoints")

    def _refusal(self) -> str:
        """REJECT answers the client at once; under a Local policy another node may serve, so the packet just goes."""
        return "-j DROP" if self.port.has_endpoints else "-j REJECT"
