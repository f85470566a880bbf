"""PURE: turns service ports into kube-proxy's own nftables table, in the words of `nft`.

A packet's address and port are looked up in maps, which lead to the chain of the Service: as fast with 10,000 Services
as with ten. Keys are (kind, name): chains, sets and maps. Entries are elements; those of a map have a verdict as value.
Names and layout are those of Kubernetes' own proxy in nftables mode.
"""

from __future__ import annotations

import hashlib
from base64 import b32encode
from collections.abc import Sequence

from kubeproxy.ledger import Fragment, FragmentWriter, Key
from kubeproxy.settings import Settings
from kubeproxy.topology import Balance, Endpoint, ServicePort

TABLE = "kube-proxy"
CHAIN, SET, MAP = "chain", "set", "map"

SERVICE_IPS: Key = (MAP, "service-ips")
SERVICE_NODE_PORTS: Key = (MAP, "service-nodeports")
NO_ENDPOINTS: Key = (MAP, "no-endpoint-services")
NO_ENDPOINTS_NODE_PORTS: Key = (MAP, "no-endpoint-nodeports")
FIREWALL_IPS: Key = (MAP, "firewall-ips")
CLUSTER_IPS: Key = (SET, "cluster-ips")
NODE_PORT_IPS: Key = (SET, "nodeport-ips")
HAIRPINS: Key = (SET, "hairpin-connections")

MASQUERADING, MARK_FOR_MASQUERADE, REJECT = "masquerading", "mark-for-masquerade", "reject-chain"
SERVICES, SERVICE_ENDPOINTS, NODE_PORT_ENDPOINTS = "services", "service-endpoints-check", "nodeport-endpoints-check"
FIREWALL, CLUSTER_IPS_CHECK = "firewall-check", "cluster-ips-check"

MOST_RULES = 8
"""The most endpoints that are chosen by a rule each. More are chosen by a map, which `nft` has to read with every later
change: there should be few of them."""

HOOKS = {
    "filter-prerouting": "type filter hook prerouting priority -110",
    "filter-input": "type filter hook input priority -110",
    "filter-forward": "type filter hook forward priority -110",
    "filter-output": "type filter hook output priority -110",
    "filter-output-post-dnat": "type filter hook output priority -90",
    "nat-prerouting": "type nat hook prerouting priority -100",
    "nat-output": "type nat hook output priority -100",
    "nat-postrouting": "type nat hook postrouting priority 100",
}
"""The chains in which packets enter the table."""


def shared_types(settings: Settings) -> dict[Key, str]:
    """Returns the declaration of each set and map that Services share."""
    address = f"ipv{settings.family}_addr"
    to_address = f"type {address} . inet_proto . inet_service : verdict"
    to_node_port = "type inet_proto . inet_service : verdict"
    return {
        SERVICE_IPS: to_address,
        SERVICE_NODE_PORTS: to_node_port,
        NO_ENDPOINTS: to_address,
        NO_ENDPOINTS_NODE_PORTS: to_node_port,
        FIREWALL_IPS: to_address,
        CLUSTER_IPS: f"type {address}",
        NODE_PORT_IPS: f"type {address}",
        HAIRPINS: f"type {address} . {address}",
    }


def base_fragment(settings: Settings, node_ports_on: tuple[str, ...] | None) -> Fragment:
    """Returns the rules that do not depend on Services; NodePorts answer on these addresses, or on any for None."""
    ip, mark = _ip(settings), settings.mark
    address = f"{ip} daddr . meta l4proto . th dport"
    loopback = "127.0.0.0/8" if settings.family == 4 else "::1"
    to_node = f"{ip} daddr != {loopback} fib daddr type local" if node_ports_on is None else f"{ip} daddr @nodeport-ips"
    new = "ct state new"
    chains = {
        "filter-prerouting": [f"{new} jump {FIREWALL}"],
        "filter-input": [f"{new} jump {NODE_PORT_ENDPOINTS}", f"{new} jump {SERVICE_ENDPOINTS}"],
        "filter-forward": [f"{new} jump {SERVICE_ENDPOINTS}", f"{new} jump {CLUSTER_IPS_CHECK}"],
        "filter-output": [f"{new} jump {SERVICE_ENDPOINTS}", f"{new} jump {FIREWALL}"],
        "filter-output-post-dnat": [f"{new} jump {CLUSTER_IPS_CHECK}"],
        "nat-prerouting": [f"jump {SERVICES}"],
        "nat-output": [f"jump {SERVICES}"],
        "nat-postrouting": [f"jump {MASQUERADING}"],
        SERVICES: [
            f"{address} vmap @{SERVICE_IPS[1]}",
            f"{to_node} meta l4proto . th dport vmap @{SERVICE_NODE_PORTS[1]}",
        ],
        SERVICE_ENDPOINTS: [f"{address} vmap @{NO_ENDPOINTS[1]}"],
        NODE_PORT_ENDPOINTS: [f"{to_node} meta l4proto . th dport vmap @{NO_ENDPOINTS_NODE_PORTS[1]}"],
        FIREWALL: [f"{address} vmap @{FIREWALL_IPS[1]}"],
        # What was not translated: nothing serves it. It would leave by the default route.
        CLUSTER_IPS_CHECK: [f"{ip} daddr @{CLUSTER_IPS[1]} reject"],
        REJECT: ["reject"],
        MARK_FOR_MASQUERADE: [f"mark set mark or {mark}"],
        # Without the mark, or the packet would still carry it when it comes back through another stack (a tunnel).
        MASQUERADING: [
            # A pod that reaches itself through a Service must see the answer come from the node.
            f"ct status dnat {ip} saddr . {ip} daddr @{HAIRPINS[1]} jump {MARK_FOR_MASQUERADE}",
            f"mark and {mark} == 0 return",
            f"mark set mark xor {mark}",
            "masquerade fully-random",
        ],
    }
    writer = FragmentWriter()
    for name, rules in chains.items():
        writer.chain((CHAIN, name), *rules)
    for node_address in node_ports_on or ():
        writer.entry(NODE_PORT_IPS, node_address)
    return writer.fragment()


def service_fragment(ports: Sequence[ServicePort], settings: Settings) -> Fragment:
    """Returns what the ports of one Service, all of the settings' family, bring."""
    writer = FragmentWriter()
    for port in ports:
        _PortRules(port, settings, writer).write()
        writer.entry(CLUSTER_IPS, port.cluster_ip)
    return writer.fragment()


def object_name(kind: str, port: ServicePort, endpoint: Endpoint | None = None, extra: str = "") -> str:
    """ "service-ULMVA6XW-ns1/svc1/tcp/http": a hash tells apart names that are cut, or mean the same cut otherwise."""
    place = f"__{endpoint.ip}/{endpoint.port}" if endpoint else ""
    text = f"{port.namespace}/{port.service}/{port.protocol}/{port.name}{place}".replace(":", ".")
    digest = b32encode(hashlib.sha256((text + extra).encode()).digest()).decode()[:8]
    return f"{kind}-{digest}-{text}"[:127]


def _ip(settings: Settings) -> str:
    return "ip" if settings.family == 4 else "ip6"


class _PortRules:
    """Writes the rules of one service port."""

    def __init__(self, port: ServicePort, settings: Settings, writer: FragmentWriter) -> None:
        self._port, self._settings, self._writer = port, settings, writer
        self._ip = _ip(settings)
        self._cluster_chain, self._local_chain = object_name("service", port), object_name("local", port)
        self._external_chain = object_name("external", port)
        self._relayed = port.balance is Balance.LEAST_CONNECTIONS and bool(settings.relay_port)
        self._chained = bool(port.affinity_seconds) or len(port.endpoints) > MOST_RULES
        """Whether endpoints have chains. `nft` lists all chains with every change, so most Services do without."""

    def write(self) -> None:
        port = self._port
        self._cluster_ip()
        if port.externally_accessible:
            self._external_addresses()
            if port.has_endpoints:
                self._external()
        self._balance(self._cluster_chain, port.cluster_endpoints)
        self._balance(self._local_chain, port.local_endpoints)
        for endpoint in port.endpoints if not self._relayed else ():
            if endpoint.local:
                self._writer.entry(HAIRPINS, f"{endpoint.ip} . {endpoint.ip}")
            if self._chained:
                self._endpoint(endpoint)

    def _rules(self, chain: str, *rules: str) -> None:
        self._writer.chain((CHAIN, chain), *rules)

    def _at(self, address: str) -> str:
        return f"{address} . {self._port.protocol} . {self._port.port}"

    @property
    def _at_node_port(self) -> str:
        return f"{self._port.protocol} . {self._port.node_port}"

    def _from_pods(self, sign: str = "") -> str:
        """Matches the traffic of this node's pods, or with "!= " all other; "" where that can't be told."""
        local = self._settings.local
        if local is None:
            return ""
        if local.network:
            return f"{self._ip} saddr {sign}{local.network}"
        return f'iifname {sign}"{local.interface}"'

    def _refusal(self) -> str:
        """Returns a refusal that answers the client at once, or drop where another node may serve (policy Local)."""
        return "drop" if self._port.has_endpoints else f"goto {REJECT}"

    def _cluster_ip(self) -> None:
        port = self._port
        if not port.internal_endpoints:
            self._writer.entry(NO_ENDPOINTS, self._at(port.cluster_ip), self._refusal())
            return
        chain = self._local_chain if port.internal_local else self._cluster_chain
        self._writer.entry(SERVICE_IPS, self._at(port.cluster_ip), f"goto {chain}")
        to = f"{self._ip} daddr {port.cluster_ip} {port.protocol} dport {port.port}"
        if self._settings.masquerade_all:
            self._rules(chain, f"{to} jump {MARK_FOR_MASQUERADE}")
        elif outsiders := self._from_pods("!= "):
            self._rules(chain, f"{to} {outsiders} jump {MARK_FOR_MASQUERADE}")

    def _external_addresses(self) -> None:
        """Leads externalIPs, the load balancer's addresses and the NodePort to this port's chain, or to a refusal."""
        port, entry = self._port, self._writer.entry
        if port.has_endpoints:
            verdict = f"goto {self._external_chain}"
            for ip in (*port.external_ips, *port.load_balancer_ips):
                entry(SERVICE_IPS, self._at(ip), verdict)
            if port.node_port:
                entry(SERVICE_NODE_PORTS, self._at_node_port, verdict)
            if port.source_ranges and port.load_balancer_ips:
                chain = object_name("firewall", port)
                self._rules(chain, f"{self._ip} saddr != {{ {', '.join(port.source_ranges)} }} drop")
                for ip in port.load_balancer_ips:
                    entry(FIREWALL_IPS, self._at(ip), f"goto {chain}")
        if not port.external_endpoints:
            for ip in (*port.external_ips, *port.load_balancer_ips):
                entry(NO_ENDPOINTS, self._at(ip), self._refusal())
            if port.node_port:
                entry(NO_ENDPOINTS_NODE_PORTS, self._at_node_port, self._refusal())

    def _external(self) -> None:
        """Masquerades what came in by an external address; under policy Local it keeps its source address."""
        port, chain = self._port, self._external_chain
        if not port.external_local:
            self._rules(chain, f"jump {MARK_FOR_MASQUERADE}")
        else:
            if pods := self._from_pods():
                self._rules(chain, f"{pods} goto {self._cluster_chain}")
            from_here = "fib saddr type local"
            self._rules(chain, f"{from_here} jump {MARK_FOR_MASQUERADE}", f"{from_here} goto {self._cluster_chain}")
        if port.external_endpoints:
            self._rules(chain, f"goto {self._local_chain if port.external_local else self._cluster_chain}")

    def _balance(self, chain: str, endpoints: Sequence[Endpoint]) -> None:
        """Sends clients with affinity to their endpoint, others to each in turn or at random."""
        port = self._port
        if not endpoints:
            return
        if self._relayed:
            self._rules(chain, f"meta l4proto tcp redirect to :{self._settings.relay_port}")
            return
        targets = [self._verdict(endpoint) for endpoint in endpoints]
        if port.affinity_seconds:
            for endpoint, target in zip(endpoints, targets, strict=True):
                self._rules(chain, f"{self._ip} saddr @{self._affinity_set(endpoint)} {target}")
        generator = "inc" if port.balance is Balance.ROUND_ROBIN else "random"
        if len(targets) > MOST_RULES:
            choices = ", ".join(f"{number} : {target}" for number, target in enumerate(targets))
            self._rules(chain, f"numgen {generator} mod {len(targets)} vmap {{ {choices} }}")
            return
        for left, target in zip(range(len(targets), 1, -1), targets, strict=False):
            self._rules(chain, f"numgen {generator} mod {left} 0 {target}")
        self._rules(chain, targets[-1])

    def _verdict(self, endpoint: Endpoint) -> str:
        return f"goto {object_name('endpoint', self._port, endpoint)}" if self._chained else self._translation(endpoint)

    def _translation(self, endpoint: Endpoint) -> str:
        return f"meta l4proto {self._port.protocol} dnat to {endpoint}"

    def _affinity_set(self, endpoint: Endpoint) -> str:
        """Another timeout makes another set: a set's own can't be changed."""
        return object_name("affinity", self._port, endpoint, extra=str(self._port.affinity_seconds))

    def _endpoint(self, endpoint: Endpoint) -> None:
        port, chain = self._port, object_name("endpoint", self._port, endpoint)
        if port.affinity_seconds:
            name = self._affinity_set(endpoint)
            # A set of its own is one "rule": its declaration.
            kind = f"type ipv{self._settings.family}_addr ; flags dynamic,timeout"
            self._writer.chain((SET, name), f"{kind} ; timeout {port.affinity_seconds}s")
            self._rules(chain, f"update @{name} {{ {self._ip} saddr }}")
        self._rules(chain, self._translation(endpoint))
