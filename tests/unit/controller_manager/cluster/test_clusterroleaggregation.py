"""Roles that consist of the rules of others."""

from __future__ import annotations

from apimachinery.meta import LabelSelector, ObjectMeta
from controller_manager.controllers.cluster.clusterroleaggregation import CONTROLLER, gather
from kubeapi.rbac._rules import PolicyRule
from kubeapi.rbac.clusterrole import AggregationRule, ClusterRole
from tests.fakes.api import FakeApi, Running, settle


def rule(resource: str, verb: str = "get") -> PolicyRule:
    return PolicyRule(verbs=[verb], apiGroups=[""], resources=[resource])


def role(name: str, *rules: PolicyRule, to: str = "", gathers: str = "") -> ClusterRole:
    """`to` are the labels of the role, `gathers` the labels that it selects, a selector each."""
    labels = dict.fromkeys(to.split(), "true")
    selectors = [LabelSelector(matchLabels={label: "true"}) for label in gathers.split()]
    aggregation = AggregationRule(clusterRoleSelectors=selectors) if gathers else None
    return ClusterRole(metadata=ObjectMeta(name=name, labels=labels), rules=list(rules), aggregationRule=aggregation)


def test_rules_come_by_selector_and_name_and_each_once() -> None:
    target = role("all", rule("old"), to="a", gathers="b a")
    others = [
        role("z", rule("z"), rule("shared"), to="b"),
        role("y", rule("y"), rule("shared"), to="a b"),
        role("x", rule("x"), rule("shared", "list"), to="a"),
        role("other", rule("other"), to="c"),
    ]
    rules = gather(target, [target, *others])
    assert rules == [rule("y"), rule("shared"), rule("z"), rule("x"), rule("shared", "list")]


async def test_a_chain_of_roles_follows_its_first_link() -> None:
    api = FakeApi()
    for each in (
        role("admin", gathers="to-admin"),
        role("edit", gathers="to-edit", to="to-admin"),
        role("pods", rule("pods"), to="to-edit"),
        role("plain", rule("own")),
    ):
        api.put(each)
    running = Running(api, CONTROLLER)
    await settle(api, running)

    def rules(name: str) -> list[PolicyRule]:
        return next(each.rules for each in api.all(ClusterRole) if each.name == name)

    assert rules("admin") == rules("edit") == [rule("pods")]
    assert rules("plain") == [rule("own")]
    api.put(role("pods", rule("nodes"), to="to-edit"))
    await settle(api, running)
    assert rules("admin") == [rule("nodes")]
    api.put(role("pods", rule("nodes"), to="no-more"))
    await settle(api, running)
    assert rules("admin") == rules("edit") == []


async def test_roles_that_select_each_other_come_to_rest() -> None:
    api = FakeApi()
    for each in (role("a", gathers="x", to="y"), role("b", gathers="y", to="x"), role("c", rule("pods"), to="x")):
        api.put(each)
    await settle(api, Running(api, CONTROLLER))
    assert {each.name: each.rules for each in api.all(ClusterRole)} == {key: [rule("pods")] for key in "abc"}
