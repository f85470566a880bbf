"""Which rules are covered by others."""

from __future__ import annotations

import pytest

from apiserver.auth.authorization.rules import MAX_MISSING, MAX_SIMPLE_RULES, Rule, RuleIndex
from kubeapi.rbac._rules import PolicyRule


def on(verbs: str, groups: str, resources: str, *names: str) -> PolicyRule:
    return PolicyRule(
        verbs=verbs.split(),
        apiGroups=groups.replace("core", "").split(","),
        resources=resources.split(),
        resourceNames=list(names) or None,
    )


def paths(verbs: str, *urls: str) -> PolicyRule:
    return PolicyRule(verbs=verbs.split(), nonResourceURLs=list(urls))


def uncovered(owned: list[PolicyRule], *wanted: PolicyRule) -> list[PolicyRule]:
    return RuleIndex(map(Rule, owned)).uncovered(wanted)


@pytest.mark.parametrize(
    ("owned", "wanted", "covered"),
    [
        (on("get list", "core", "pods"), on("get", "core", "pods"), True),
        (on("get", "core", "pods"), on("*", "core", "pods"), False),
        (on("*", "core", "pods"), on("*", "core", "pods"), True),
        (on("get", "core", "pods"), on("get", "apps", "pods"), False),
        (on("get", "core", "pods"), on("get", "*", "pods"), False),
        (on("get", "*", "pods"), on("get", "core,apps", "pods"), True),
        (on("get", "core", "*"), on("get", "core", "pods/log"), True),
        (on("get", "core", "pods"), on("get", "core", "*"), False),
        (on("get", "core", "pods"), on("get", "core", "pods/log"), False),
        (on("get", "core", "*/scale"), on("get", "core", "pods/scale */scale"), True),
        (on("get", "core", "*/scale"), on("get", "core", "pods"), False),
        (on("get", "core", "*/scale"), on("get", "core", "*"), False),
        (on("get", "core", "pods"), on("get", "core", "pods", "a"), True),
        (on("get", "core", "pods", "a", "b"), on("get", "core", "pods", "b"), True),
        (on("get", "core", "pods", "a"), on("get", "core", "pods", "b"), False),
        (on("get", "core", "pods", "a"), on("get", "core", "pods"), False),
        (on("get", "core", "pods", ""), on("get", "core", "pods"), False),
        (paths("get", "/api/*"), paths("get", "/api/x", "/api/*", "/api/x*"), True),
        (paths("get", "/api/*"), paths("get", "/api"), False),
        (paths("get", "/api/*"), paths("get", "/*"), False),
        (paths("get", "/api"), paths("get", "/api*"), False),
        (paths("*", "*"), paths("post", "*"), True),
        (paths("*", "*"), on("get", "core", "pods"), False),
        (on("*", "*", "*"), paths("get", "/x"), False),
    ],
)
def test_a_rule_covers_what_it_allows_itself(owned: PolicyRule, wanted: PolicyRule, covered: bool) -> None:
    assert bool(uncovered([owned], wanted)) is not covered


def test_several_rules_cover_a_wide_one_together() -> None:
    owned = [on("get", "core", "pods"), on("list", "core", "pods nodes"), on("get", "core", "nodes")]
    assert uncovered(owned, on("get list", "core", "pods nodes")) == []
    missing = uncovered(owned, on("get list watch", "core", "pods nodes", "x"), paths("get", "/x"))
    assert missing == [
        on("watch", "core", "pods", "x"),
        on("watch", "core", "nodes", "x"),
        paths("get", "/x"),
    ]


def test_a_rule_of_too_many_combinations_is_returned_as_a_whole_and_ends_the_list() -> None:
    verbs = " ".join(f"v{number}" for number in range(MAX_SIMPLE_RULES + 1))
    wide, small = on(verbs, "core", "pods"), on("list", "core", "pods")
    assert uncovered([on("get", "core", "pods")], small, wide, small) == [small, wide]
    assert uncovered([on("*", "core", "pods")], wide) == []


def test_a_list_ends_once_it_is_long() -> None:
    wanted = [on("get", "core", f"r{number}") for number in range(MAX_MISSING * 2)]
    assert uncovered([], *wanted) == wanted[:MAX_MISSING]
    assert uncovered([on("get", "core", "*")], *wanted) == []


def test_words_in_another_case_are_others() -> None:
    assert uncovered([on("get", "core", "pods")], on("GET", "core", "pods"), on("get", "core", "Pods"))
