"""The plan of a node's rules, compared with what policies say word for word."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apimachinery.model import from_dict
from kubeapi.networking.networkpolicy import RESOURCE as POLICIES
from kubeapi.networking.networkpolicy import NetworkPolicy
from netagent.policy.plan import plan
from netagent.policy.pods import PodFacts, Population, facts_of
from netagent.policy.rules import merged, policy_of
from netagent.policy.ruleset import Ruleset
from netagent.policy.views import Pod as PodView
from tests.kits.node.packetrules import Connection, passes
from tests.kits.node.policyoracle import Pod, allowed

Dict = dict[str, Any]

NAMESPACES = {name: {"ns": name, "team": team} for name, team in (("x", "a"), ("y", "a"), ("z", "b"))}
PORTS = (80, 81, 8000)
OUTSIDE = Pod("", "", {}, ("192.0.2.7", "2001:db8:f::7"))


def pods() -> list[Pod]:
    """Three in each namespace, on two nodes, of two families; each has port `web` by another number."""
    return [
        Pod(
            namespace,
            name,
            {"pod": name, "tier": "front" if name == "a" else "back"},
            (f"10.0.{row}.{column}", f"2001:db8::{row}:{column}"),
            (("web", "TCP", PORTS[column - 1]), ("dns", "UDP", 81)),
            "n1" if column < 3 else "n2",
        )
        for row, namespace in enumerate(NAMESPACES, 1)
        for column, name in enumerate("abc", 1)
    ]


def population(of: list[Pod]) -> Population:
    made = Population()
    for name, labels in NAMESPACES.items():
        made.put_namespace(name, labels)
    for pod in of:
        made.put_pod(pod.key, facts(pod))
    return made


def facts(pod: Pod) -> PodFacts:
    return PodFacts(pod.key, pod.namespace, tuple(sorted(pod.labels.items())), pod.node, pod.addresses, pod.ports)


def policy(namespace: str, name: str, **spec: Any) -> Dict:
    """With the defaults of the API."""
    document = {"metadata": {"namespace": namespace, "name": name}, "spec": {"podSelector": {}, **spec}}
    document["spec"].setdefault("policyTypes", ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
    return document


def load(document: Dict) -> NetworkPolicy:
    obj = from_dict(NetworkPolicy, document)
    assert POLICIES.strategy.validate(obj) == []
    return obj


def check(documents: list[Dict], everyone: list[Pod], rules: dict[str, Ruleset]) -> None:
    """Each connection passes the nodes of both its ends if, and only if, the oracle allows it."""
    for client, server in product([*everyone, OUTSIDE], repeat=2):
        for port, protocol, version in product(PORTS, ("TCP", "UDP"), (4, 6)):
            connection = Connection(client.address(version), server.address(version), port, protocol)
            nodes = {end.node for end in (client, server) if end.name}
            expected = allowed(documents, NAMESPACES, client, server, port, protocol, version)
            assert all(passes(rules[node], connection) for node in nodes) == expected, (connection, documents)


WORDS = st.sampled_from(["a", "b", "c"])
LABELS = st.sampled_from(
    [
        {},
        {"matchLabels": {"pod": "a"}},
        {"matchLabels": {"tier": "back"}},
        {"matchExpressions": [{"key": "pod", "operator": "In", "values": ["a", "b"]}]},
        {"matchExpressions": [{"key": "pod", "operator": "NotIn", "values": ["b"]}]},
        {"matchExpressions": [{"key": "none", "operator": "Exists"}]},
        {"matchExpressions": [{"key": "none", "operator": "DoesNotExist"}]},
    ]
)
NAMESPACE_LABELS = st.sampled_from([{}, {"matchLabels": {"team": "a"}}, {"matchLabels": {"ns": "z"}}])
BLOCKS = st.sampled_from(
    [
        {"cidr": "10.0.0.0/16", "except": ["10.0.1.0/24"]},
        {"cidr": "10.0.0.0/16", "except": ["10.0.1.0/24", "10.0.1.2/32"]},
        {"cidr": "0.0.0.0/0"},
        {"cidr": "2001:db8::/64", "except": ["2001:db8::2:0/112"]},
        {"cidr": "192.0.2.7/32"},
    ]
)
PEERS = st.one_of(
    st.builds(lambda pods: {"podSelector": pods}, LABELS),
    st.builds(lambda namespaces: {"namespaceSelector": namespaces}, NAMESPACE_LABELS),
    st.builds(lambda n, p: {"namespaceSelector": n, "podSelector": p}, NAMESPACE_LABELS, LABELS),
    st.builds(lambda block: {"ipBlock": block}, BLOCKS),
)
RULE_PORTS = st.sampled_from(
    [
        {},
        {"protocol": "UDP"},
        {"port": 80},
        {"port": 81, "protocol": "UDP"},
        {"port": 80, "endPort": 81},
        {"port": "web"},
        {"port": "dns", "protocol": "UDP"},
        {"port": "nope"},
    ]
)


def rules(member: str) -> st.SearchStrategy[list[Dict]]:
    rule = st.fixed_dictionaries(
        {}, optional={member: st.lists(PEERS, max_size=2), "ports": st.lists(RULE_PORTS, max_size=3)}
    )
    return st.lists(rule, max_size=2)


SPECS = st.fixed_dictionaries(
    {"podSelector": LABELS, "policyTypes": st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]])},
    optional={"ingress": rules("from"), "egress": rules("to")},
)
DOCUMENTS = st.lists(st.tuples(st.sampled_from(sorted(NAMESPACES)), SPECS), max_size=4)


@settings(max_examples=25, deadline=None)
@given(DOCUMENTS)
def test_what_passes_is_what_policies_allow(drawn: list[tuple[str, Dict]]) -> None:
    documents = [policy(namespace, f"p{number}", **spec) for number, (namespace, spec) in enumerate(drawn)]
    everyone = pods()
    compiled = [policy_of(load(document)) for document in documents]
    made = population(everyone)
    check(documents, everyone, {node: plan(compiled, made, node) for node in ("n1", "n2")})


CHANGES = st.lists(st.tuples(st.integers(0, 8), WORDS, st.booleans()), min_size=1, max_size=6)


@settings(max_examples=25, deadline=None)
@given(DOCUMENTS, CHANGES)
def test_a_plan_after_changes_is_that_of_a_new_start(
    drawn: list[tuple[str, Dict]], changes: list[tuple[int, str, bool]]
) -> None:
    compiled = [policy_of(load(policy(name, f"p{number}", **spec))) for number, (name, spec) in enumerate(drawn)]
    everyone, made = pods(), population(pods())
    plan(compiled, made, "n1")
    for number, label, there in changes:
        old = everyone[number]
        everyone[number] = Pod(
            old.namespace, old.name, {"pod": label}, old.addresses if there else (), old.ports, old.node
        )
        made.put_pod(old.key, facts(everyone[number]))
        assert plan(compiled, made, "n1") == plan(compiled, population(everyone), "n1")


def test_pods_with_the_same_rules_share_a_chain() -> None:
    deny = policy_of(load(policy("x", "deny")))
    made = plan([deny], population(pods()), "n1")
    assert list(made.maps["ingress4"]) == ["10.0.1.1", "10.0.1.2"]
    assert len(set(made.maps["ingress4"].values())) == 1
    assert made.maps["egress4"] == {}


def test_a_pod_that_is_allowed_everything_has_no_rules() -> None:
    documents = [policy("x", "deny"), policy("x", "open", ingress=[{}])]
    made = plan([policy_of(load(document)) for document in documents], population(pods()), "n1")
    assert made == Ruleset()


def test_a_pod_that_is_to_be_restricted_holds_unknown_addresses_until_its_own_is_known() -> None:
    deny, everyone = policy_of(load(policy("x", "deny"))), population(pods())
    early = PodFacts("x/new", "x", (), "n1")
    everyone.put_pod("x/new", early)
    cidrs = ["10.0.0.0/16", "2001:db8::/64"]
    held = plan([deny], everyone, "n1", cidrs)
    new, known = "10.0.9.9", "10.0.2.1"
    assert not passes(held, Connection(known, new, 80))
    assert passes(held, Connection(new, known, 80)), "only what the policy restricts"
    assert passes(held, Connection(OUTSIDE.addresses[0], known, 80))
    everyone.put_pod("x/new", PodFacts("x/new", "x", (), "n1", (new,)))
    assert plan([deny], everyone, "n1", cidrs).chains["held"] == ()
    assert not passes(plan([deny], everyone, "n1", cidrs), Connection(known, new, 80))


@pytest.mark.parametrize(
    ("spec", "phase", "addresses"),
    [
        ({"nodeName": "n1"}, "Running", ("10.0.0.1",)),
        ({"nodeName": "n1", "hostNetwork": True}, "Running", None),
        ({}, "Pending", None),
        ({"nodeName": "n1"}, "Succeeded", None),
        ({"nodeName": "n1"}, "Failed", None),
    ],
)
def test_pods_without_a_network_of_their_own_are_left_out(
    spec: Dict, phase: str, addresses: tuple[str, ...] | None
) -> None:
    document = {
        "metadata": {"namespace": "x", "name": "a"},
        "spec": {
            "containers": [{"ports": [{"containerPort": 80, "name": "web"}, {"containerPort": 81}]}],
            "initContainers": [{"ports": [{"containerPort": 53, "name": "dns", "protocol": "UDP"}]}],
            **spec,
        },
        "status": {"phase": phase, "podIPs": [{"ip": "10.0.0.1"}]},
    }
    found = facts_of(from_dict(PodView, document))
    if addresses is None:
        assert found is None
    else:
        ports = (("web", "TCP", 80), ("dns", "UDP", 53))
        assert found == PodFacts("x/a", "x", (), "n1", addresses, ports)


def test_ranges_of_ports_are_merged() -> None:
    assert merged([(80, 80), (8000, 8010), (81, 90), (85, 86), (8010, 8020)]) == ((80, 90), (8000, 8020))
