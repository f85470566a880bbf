"""Which requests rules and selectors are about."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.model import from_dict
from apiserver.admission._matching import Matcher, RequestKind, rule_matches
from kubeapi.admissionregistration._matching import MatchResources
from kubeapi.admissionregistration._rules import RuleWithOperations

PODS = RequestKind("", "v1", "pods", "", "CREATE", True)
LOGS = RequestKind("", "v1", "pods", "log", "CREATE", True)
NODES = RequestKind("", "v1", "nodes", "", "UPDATE", False)
RULE: dict[str, Any] = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}


@pytest.mark.parametrize(
    ("change", "kind", "expected"),
    [
        ({}, PODS, True),
        ({}, LOGS, False),
        ({}, NODES, False),
        ({"resources": ["*"]}, PODS, True),
        ({"resources": ["*"]}, LOGS, False),
        ({"resources": ["pods/*"]}, LOGS, True),
        ({"resources": ["pods/*"]}, PODS, True),
        ({"resources": ["*/log"]}, LOGS, True),
        ({"resources": ["*/*"]}, LOGS, True),
        ({"resources": ["*/*"]}, PODS, True),
        ({"operations": ["*"], "resources": ["nodes"]}, NODES, True),
        ({"operations": ["*"], "resources": ["*"], "scope": "Namespaced"}, NODES, False),
        ({"operations": ["*"], "resources": ["*"], "scope": "Cluster"}, NODES, True),
        ({"resources": ["*"], "scope": "Cluster"}, PODS, False),
        ({"apiGroups": ["apps"]}, PODS, False),
        ({"apiGroups": ["*"]}, PODS, True),
        ({"apiVersions": ["v2"]}, PODS, False),
    ],
)
def test_a_rule(change: dict[str, Any], kind: RequestKind, expected: bool) -> None:
    assert rule_matches(from_dict(RuleWithOperations, RULE | change), kind) is expected


def matcher(**match: Any) -> Matcher:
    return Matcher(from_dict(MatchResources, match), needs_rules=True)


def test_an_excluding_rule_takes_a_kind_out() -> None:
    assert matcher(resourceRules=[RULE]).of_kind(PODS, []) is not None
    assert matcher(resourceRules=[RULE], excludeResourceRules=[RULE]).of_kind(PODS, []) is None
    assert matcher(resourceRules=[]).of_kind(PODS, []) is None


def test_equivalents_count_unless_the_policy_wants_the_version_exactly() -> None:
    old = RequestKind("autoscaling", "v1", "horizontalpodautoscalers", "", "CREATE", True)
    new = RequestKind("autoscaling", "v2", "horizontalpodautoscalers", "", "CREATE", True)
    rule = RULE | {"apiGroups": ["autoscaling"], "apiVersions": ["v2"], "resources": ["horizontalpodautoscalers"]}
    found = matcher(resourceRules=[rule], matchPolicy="Equivalent").of_kind(old, [new])
    assert found is not None
    assert found.kind == new
    assert matcher(resourceRules=[rule], matchPolicy="Exact").of_kind(old, [new]) is None
