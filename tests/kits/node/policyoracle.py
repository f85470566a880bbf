"""What NetworkPolicies say about a connection, word for word and slowly: what quicker ways are compared with.

Source: Kubernetes documentation, "Network Policies"; API reference, "NetworkPolicy".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Dict = dict[str, Any]


@dataclass(frozen=True)
class Pod:
    """A pod, or (without a name) an address that is no pod's."""

    namespace: str
    name: str
    labels: Mapping[str, str] = field(hash=False)
    addresses: tuple[str, ...]
    ports: tuple[tuple[str, str, int], ...] = field(default=())
    """Name, protocol, number."""
    node: str = "n1"

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    def address(self, version: int) -> str:
        return next((item for item in self.addresses if ip_address(item).version == version), "")


def allowed(
    policies: Iterable[Dict],
    namespaces: Mapping[str, Mapping[str, str]],
    client: Pod,
    server: Pod,
    port: int,
    protocol: str,
    version: int = 4,
) -> bool:
    """Whether the client may connect; `policies` as documents with their defaults."""
    if client == server:
        return True
    for pod, direction, other in ((client, "Egress", server), (server, "Ingress", client)):
        selecting = [
            policy
            for policy in policies
            if pod.name
            and policy["metadata"]["namespace"] == pod.namespace
            and matches(policy["spec"]["podSelector"], pod.labels)
            and direction in policy["spec"]["policyTypes"]
        ]
        rules = [
            (policy["metadata"]["namespace"], rule)
            for policy in selecting
            for rule in policy["spec"].get(direction.lower(), ())
        ]
        if selecting and not any(
            _rule_allows(rule, namespace, namespaces, direction, other, server, port, protocol, version)
            for namespace, rule in rules
        ):
            return False
    return True


def _rule_allows(
    rule: Dict,
    namespace: str,
    namespaces: Mapping[str, Mapping[str, str]],
    direction: str,
    other: Pod,
    server: Pod,
    port: int,
    protocol: str,
    version: int,
) -> bool:
    peers = rule.get("from" if direction == "Ingress" else "to") or []
    ports = rule.get("ports") or []
    return (not peers or any(_peer_matches(peer, namespace, namespaces, other, version) for peer in peers)) and (
        not ports or any(_port_matches(item, server, port, protocol) for item in ports)
    )


def _peer_matches(
    peer: Dict, namespace: str, namespaces: Mapping[str, Mapping[str, str]], pod: Pod, version: int
) -> bool:
    if block := peer.get("ipBlock"):
        address = ip_address(pod.address(version))
        return address in ip_network(block["cidr"]) and not any(
            address in ip_network(hole) for hole in block.get("except", ())
        )
    if not pod.name:
        return False
    if "namespaceSelector" in peer:
        if not matches(peer["namespaceSelector"], namespaces[pod.namespace]):
            return False
    elif pod.namespace != namespace:
        return False
    return matches(peer.get("podSelector", {}), pod.labels)


def _port_matches(item: Dict, server: Pod, port: int, protocol: str) -> bool:
    if item.get("protocol", "TCP") != protocol:
        return False
    wanted = item.get("port")
    if wanted is None:
        return True
    if isinstance(wanted, int):
        return wanted <= port <= item.get("endPort", wanted)
    return next((number for name, its, number in server.ports if (name, its) == (wanted, protocol)), None) == port


def matches(selector: Dict, labels: Mapping[str, str]) -> bool:
    """A LabelSelector."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for item in selector.get("matchExpressions", ()):
        value, operator = labels.get(item["key"]), item["operator"]
        holds = {
            "In": value in item.get("values", ()),
            "NotIn": value not in item.get("values", ()),
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }[operator]
        if not holds:
            return False
    return True
