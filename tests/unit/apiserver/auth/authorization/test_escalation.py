"""Why a user may not grant rules."""

from __future__ import annotations

from apiserver.auth.authorization.escalation import compact, escalation_error
from apiserver.auth.authorization.rules import Rule
from apiserver.request.user import User
from kubeapi.rbac._rules import PolicyRule

CAROL = User("carol", groups=("team-a", "system:authenticated"))


def on(verbs: str, groups: list[str], resources: str, *names: str) -> PolicyRule:
    return PolicyRule(
        verbs=verbs.split(), apiGroups=groups, resources=resources.split(), resourceNames=list(names) or None
    )


def test_rules_that_are_held_may_be_granted() -> None:
    held = [Rule(on("get list", [""], "pods"))]
    assert escalation_error(CAROL, held, [], [on("get", [""], "pods", "x")]) == ""
    assert escalation_error(CAROL, [], [], []) == ""


def test_missing_rules_are_told_by_resource_in_order() -> None:
    held = [Rule(on("list", [""], "pods"))]
    wanted = [
        on("get list watch", [""], "pods secrets"),
        on("update", ["apps"], "*/scale", "x"),
        PolicyRule(verbs=["get"], nonResourceURLs=["/b", "/a*"]),
    ]
    assert escalation_error(CAROL, held, [], wanted).splitlines() == [
        'user "carol" (groups=["team-a" "system:authenticated"]) is attempting to grant RBAC permissions not currently '
        "held:",
        '{APIGroups:[""], Resources:["pods"], Verbs:["get" "watch"]}',
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list" "watch"]}',
        '{APIGroups:["apps"], Resources:["*/scale"], ResourceNames:["x"], Verbs:["update"]}',
        '{NonResourceURLs:["/a*"], Verbs:["get"]}',
        '{NonResourceURLs:["/b"], Verbs:["get"]}',
    ]


def test_rules_that_are_not_known_are_told_as_well() -> None:
    text = escalation_error(User("x"), [], ["one", "two"], [on("get", [""], "pods")])
    assert text.startswith('user "x" (groups=[]) is attempting')
    assert text.endswith("; resolution errors: [[one, two]]")


def test_only_rules_of_one_resource_and_name_are_joined() -> None:
    several = [on("get", ["a", "b"], "x"), on("get", ["a"], "x y"), on("get", ["a"], "x", "n", "m")]
    assert compact(several) == several
    rules = [on("get", ["a"], "x"), on("get", ["a"], "x", ""), on("list get", ["a"], "x"), on("list", ["a"], "x", "")]
    assert compact(rules) == [on("get list", ["a"], "x"), on("get list", ["a"], "x", "")]
