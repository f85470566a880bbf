"""Every pod to every pod, on two ports and by two protocols, under one set of policies after another."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kits.eventually import eventually
from tests.kits.node.policylab import NAMESPACES, PODS, PORTS, PolicyLab, Probe
from tests.kits.node.policyoracle import allowed

pytestmark = pytest.mark.cluster
Dict = dict[str, Any]

BY_KEY = {pod.key: pod for pod in PODS}


def policy(namespace: str, name: str, pods: Dict | None = None, **spec: Any) -> Dict:
    """A policy of the types that it has rules for."""
    types = [name for name in ("Ingress", "Egress") if name.lower() in spec]
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"podSelector": pods or {}, "policyTypes": types, **spec},
    }


def labelled(name: str) -> Dict:
    return {"matchLabels": {"pod": name}}


def of(*peers: Dict, ports: list[Dict] | None = None) -> list[Dict]:
    """Rules with one rule for connections from these peers."""
    return [{"from": list(peers), **({"ports": ports} if ports else {})}]


def to(*peers: Dict, ports: list[Dict] | None = None) -> list[Dict]:
    return [{"to": list(peers), **({"ports": ports} if ports else {})}]


def only(namespace: str) -> Dict:
    return {"matchLabels": {"ns": namespace}}


A, B = {"podSelector": labelled("a")}, {"podSelector": labelled("b")}
Y, Z = {"namespaceSelector": only("y")}, {"namespaceSelector": only("z")}
EVERYWHERE: Dict = {"namespaceSelector": {}}
NOT_X = {"namespaceSelector": {"matchExpressions": [{"key": "ns", "operator": "NotIn", "values": ["x"]}]}}
B_OF_Y = {"podSelector": labelled("b"), "namespaceSelector": only("y")}
HTTP, ADMIN, DNS = {"port": "http"}, {"port": "admin"}, {"port": "dns", "protocol": "UDP"}
XA, YB = BY_KEY["x/a"].addresses[0], BY_KEY["y/b"].addresses[0]
BLOCK = {"ipBlock": {"cidr": "10.244.0.0/16", "except": ["10.244.2.0/24", f"{XA}/32"]}}
BLOCK6 = {"ipBlock": {"cidr": "fd00::/16", "except": ["fd00:2::/64"]}}

CASES: dict[str, list[Dict]] = {
    "none": [],
    "deny all ingress": [policy("x", "p", ingress=[])],
    "deny all egress": [policy("x", "p", egress=[])],
    "deny all": [policy("x", "p", ingress=[], egress=[])],
    "deny all everywhere": [policy(namespace, "p", ingress=[], egress=[]) for namespace in NAMESPACES],
    "allow all ingress": [policy("x", "p", ingress=[{}])],
    "allow all egress": [policy("x", "p", egress=[{}])],
    "allow wins over deny": [policy("x", "p", ingress=[]), policy("x", "q", ingress=[{}])],
    "policies add up": [policy("x", "p", labelled("a"), ingress=of(B)), policy("x", "q", ingress=of(Y))],
    "from a pod of the own namespace": [policy("x", "p", labelled("a"), ingress=of(B))],
    "from a namespace": [policy("x", "p", labelled("a"), ingress=of(Y))],
    "from all namespaces": [policy("x", "p", labelled("a"), ingress=of(EVERYWHERE))],
    "from other namespaces": [policy("x", "p", labelled("a"), ingress=of(NOT_X))],
    "and": [policy("x", "p", labelled("a"), ingress=of(B_OF_Y))],
    "or": [policy("x", "p", labelled("a"), ingress=of(B, Y))],
    "two rules": [policy("x", "p", labelled("a"), ingress=[*of(B), *of(Y, ports=[{"port": 81}])])],
    "expressions": [
        policy("x", "p", {"matchExpressions": [{"key": "pod", "operator": "In", "values": ["a", "c"]}]}, ingress=of(B))
    ],
    "no such label": [
        policy("x", "p", ingress=of({"podSelector": {"matchExpressions": [{"key": "p", "operator": "DoesNotExist"}]}}))
    ],
    "a selector of nobody": [policy("x", "p", labelled("none"), ingress=[])],
    "a port": [policy("x", "p", labelled("a"), ingress=of(ports=[{"port": 81}]))],
    "two ports": [policy("x", "p", ingress=of(ports=[{"port": 80}, {"port": 81, "protocol": "UDP"}]))],
    "a protocol": [policy("x", "p", ingress=of(ports=[{"protocol": "UDP"}]))],
    "another protocol": [policy("x", "p", ingress=of(ports=[{"protocol": "SCTP", "port": 80}]))],
    "a range": [policy("x", "p", ingress=of(ports=[{"port": 79, "endPort": 80}]))],
    "a wide range": [policy("x", "p", ingress=of(ports=[{"port": 1, "endPort": 65535}]))],
    "ports and peers": [policy("x", "p", ingress=of(B, Y, ports=[{"port": 80}]))],
    "a named port": [policy("z", "p", ingress=of(ports=[HTTP]))],
    "named ports of two protocols": [policy("z", "p", ingress=of(Y, ports=[ADMIN, DNS]))],
    "a port that nobody has": [policy("z", "p", ingress=of(ports=[{"port": "none"}]))],
    "egress to a pod": [policy("x", "p", labelled("a"), egress=to(B))],
    "egress to a namespace": [policy("x", "p", labelled("a"), egress=to(Y))],
    "egress by both selectors": [policy("x", "p", egress=to(B_OF_Y))],
    "egress to a port": [policy("x", "p", egress=to(ports=[{"port": 80}]))],
    "egress to a named port": [policy("x", "p", egress=to(ports=[HTTP]))],
    "egress to a named port of a namespace": [policy("x", "p", egress=to(Z, ports=[HTTP]))],
    "egress and ingress": [policy("x", "p", labelled("a"), ingress=of(B), egress=to(Y))],
    "both ends must allow": [policy("x", "p", egress=to(Y)), policy("y", "q", labelled("b"), ingress=of(B))],
    "a block with holes": [policy("x", "p", ingress=of(BLOCK))],
    "a block of IPv6": [policy("x", "p", ingress=of(BLOCK6))],
    "egress to a block": [policy("x", "p", egress=to(BLOCK))],
    "egress to one address": [policy("x", "p", egress=to({"ipBlock": {"cidr": f"{YB}/32"}}))],
    "egress to all of IPv4": [policy("x", "p", egress=to({"ipBlock": {"cidr": "0.0.0.0/0"}}))],
    "egress to a named port of a block": [policy("x", "p", egress=to(BLOCK, ports=[HTTP]))],
    "isolated namespaces": [policy(namespace, "p", ingress=of({"podSelector": {}})) for namespace in NAMESPACES],
}
QUICK = ("or", "named ports of two protocols", "a block with holes")


def expected(policies: list[Dict]) -> set[Probe]:
    return {
        (client, server, port, protocol, version)
        for client in PODS
        for server in PODS
        for port in PORTS
        for protocol in ("TCP", "UDP")
        for version in (4, 6)
        if allowed(policies, NAMESPACES, client, server, port, protocol, version)
    }


def told(probes: set[Probe]) -> list[str]:
    return sorted(f"{one.key} to {other.key} {protocol} {port} v{ip}" for one, other, port, protocol, ip in probes)


def check(lab: PolicyLab, case: str) -> None:
    policies = CASES[case]
    wanted = expected(policies)
    lab.apply(*policies)
    found: set[Probe] = set()

    def fits() -> bool:
        nonlocal found
        found = lab.matrix()
        return found == wanted

    try:
        eventually(fits, case)
    except AssertionError:
        pytest.fail(f"{case}: passes, but should not: {told(found - wanted)}; should pass: {told(wanted - found)}")


@pytest.mark.parametrize("case", QUICK)
def test_some_policies(lab: PolicyLab, case: str) -> None:
    check(lab, case)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case not in QUICK])
def test_all_other_policies(lab: PolicyLab, case: str) -> None:
    check(lab, case)
