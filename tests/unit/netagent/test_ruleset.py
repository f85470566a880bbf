"""The commands that turn one state of the rules into another."""

from __future__ import annotations

from apimachinery.model import from_dict
from kubeapi.networking.networkpolicy import RESOURCE, NetworkPolicy
from netagent.policy.plan import plan
from netagent.policy.pods import PodFacts, Population
from netagent.policy.rules import Policy, policy_of
from netagent.policy.ruleset import TABLE, ElementSet, Ruleset, removal, transaction

PEERS = 1000


def policy(name: str, label: str) -> Policy:
    """Pods with one label may connect to pod `server`."""
    rules = [{"from": [{"podSelector": {"matchLabels": {"app": label}}}]}]
    spec = {"podSelector": {"matchLabels": {"app": "server"}}, "ingress": rules}
    obj = from_dict(NetworkPolicy, {"metadata": {"namespace": "x", "name": name}, "spec": spec})
    RESOURCE.strategy.default(obj)
    return policy_of(obj)


def pod(name: str, app: str, address: str, node: str = "n2") -> PodFacts:
    return PodFacts(f"x/{name}", "x", (("app", app),), node, (address,))


def population() -> Population:
    made = Population()
    made.put_pod("x/server", pod("server", "server", "10.0.0.1", "n1"))
    for number in range(PEERS):
        made.put_pod(f"x/p{number}", pod(f"p{number}", "client", f"10.1.{number // 250}.{number % 250}"))
    return made


def commands(text: str) -> list[str]:
    return [line.replace(f" {TABLE}", "") for line in text.splitlines()]


def test_a_pod_that_comes_or_goes_is_one_element() -> None:
    policies, everyone = [policy("allow", "client")], population()
    before = plan(policies, everyone, "n1")
    (name,) = [name for name in before.sets if name.startswith("peer")]
    assert len(before.sets[name].elements) == PEERS
    everyone.put_pod("x/new", pod("new", "client", "10.2.0.1"))
    after = plan(policies, everyone, "n1")
    assert commands(transaction(before, after)) == [f"add element {name} {{ 10.2.0.1 }}"]
    everyone.put_pod("x/new", None)
    assert commands(transaction(after, plan(policies, everyone, "n1"))) == [f"delete element {name} {{ 10.2.0.1 }}"]


def test_a_pod_that_no_policy_selects_changes_nothing() -> None:
    policies, everyone = [policy("allow", "client")], population()
    before = plan(policies, everyone, "n1")
    everyone.put_pod("x/other", pod("other", "other", "10.2.0.1", "n1"))
    assert transaction(before, plan(policies, everyone, "n1")) == ""


def test_what_is_used_comes_first_and_goes_last() -> None:
    everyone = population()
    none, one = plan([], everyone, "n1"), plan([policy("allow", "client")], everyone, "n1")
    added = [line.split(" ", 3)[:2] for line in commands(transaction(none, one))]
    steps = [step for step, before in zip(added, [None, *added], strict=False) if step != before]
    assert steps == [["add", "element"], ["add", "set"], ["add", "element"], ["add", "chain"], ["add", "rule"],
                     ["add", "element"]]  # fmt: skip
    removed = [line.split(" ", 3)[:2] for line in commands(transaction(one, none))]
    assert removed == [*2 * [["delete", "element"]], ["flush", "chain"], ["delete", "chain"], ["delete", "set"]]


def test_another_policy_leads_the_pod_to_another_chain() -> None:
    everyone = population()
    before = plan([policy("allow", "client")], everyone, "n1")
    after = plan([policy("allow", "nobody")], everyone, "n1")
    (old,), (new,) = ([name for name in rules.chains if name != "held"] for rules in (before, after))
    lines = commands(transaction(before, after))
    assert lines.index("delete element ingress4 { 10.0.0.1 }") < lines.index(
        f"add element ingress4 {{ 10.0.0.1 : jump {new} }}"
    )
    assert lines.index(f"flush chain {old}") > lines.index(f"add element ingress4 {{ 10.0.0.1 : jump {new} }}")


def test_a_first_transaction_replaces_the_table() -> None:
    lines = transaction(None, Ruleset()).splitlines()
    assert lines[:3] == [f"add table {TABLE}", f"delete table {TABLE}", f"add table {TABLE}"]
    assert removal().splitlines() == lines[:2]


def test_comments_are_cut_to_what_the_kernel_takes() -> None:
    made = Ruleset()
    made.sets["peer4-x"] = ElementSet("ipv4_addr", comment='a="' + "b" * 200)
    (line,) = [line for line in transaction(Ruleset(), made).splitlines() if "peer4-x" in line]
    assert line == f'add set {TABLE} peer4-x {{ type ipv4_addr; comment "a=\'{"b" * 124}"; }}'
