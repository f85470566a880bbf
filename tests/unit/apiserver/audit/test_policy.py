"""Which rule of a policy counts for a request."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.model import from_dict
from apiserver.audit.policy import Level, Policy, Rules, policy_errors
from apiserver.request.info import parse_request
from apiserver.request.user import AUTHENTICATED, User

JANE = User("jane", "", ("dev", AUTHENTICATED))
POD = "/api/v1/namespaces/shop/pods/web"
CORE = {"group": ""}


def level(rule: dict[str, Any], method: str = "GET", path: str = POD) -> Level:
    policy = from_dict(Policy, {"rules": [{"level": "Request", **rule}]})
    return Rules(policy).decide(JANE, parse_request(method, path)).level


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        ({}, True),
        ({"users": ["jane"]}, True),
        ({"users": ["joe"]}, False),
        ({"userGroups": ["ops", "dev"]}, True),
        ({"userGroups": ["ops"]}, False),
        ({"verbs": ["list", "get"]}, True),
        ({"verbs": ["list"]}, False),
        ({"verbs": ["*"]}, False),
        ({"namespaces": ["shop"]}, True),
        ({"namespaces": [""]}, False),
        ({"resources": [CORE]}, True),
        ({"resources": [{"group": "apps"}]}, False),
        ({"resources": [{**CORE, "resources": ["pods"]}]}, True),
        ({"resources": [{**CORE, "resources": ["*"]}]}, True),
        ({"resources": [{**CORE, "resources": ["pods/*"]}]}, True),
        ({"resources": [{**CORE, "resources": ["pods/log", "*/log"]}]}, False),
        ({"resources": [{**CORE, "resources": ["pods"], "resourceNames": ["web"]}]}, True),
        ({"resources": [{**CORE, "resources": ["pods"], "resourceNames": ["db"]}]}, False),
        ({"resources": [{**CORE, "resources": ["secrets"]}, {**CORE, "resources": ["pods"]}]}, True),
        ({"nonResourceURLs": ["*"]}, False),
    ],
)
def test_a_request_for_a_pod(rule: dict[str, Any], matches: bool) -> None:
    assert (level(rule) is Level.REQUEST) == matches


@pytest.mark.parametrize(
    ("resources", "matches"), [(["pods"], False), (["pods/log"], True), (["*/log"], True), (["pods/*"], True)]
)
def test_subresources(resources: list[str], matches: bool) -> None:
    rule = {"resources": [{**CORE, "resources": resources}]}
    assert (level(rule, path=f"{POD}/log") is Level.REQUEST) == matches


@pytest.mark.parametrize(
    ("urls", "matches"), [(["/healthz*"], True), (["/healthz"], False), (["/healthz/etcd"], True), (["*"], True)]
)
def test_paths(urls: list[str], matches: bool) -> None:
    assert (level({"nonResourceURLs": urls}, path="/healthz/etcd") is Level.REQUEST) == matches


def test_a_namespace_does_not_match_what_has_none() -> None:
    assert level({"namespaces": [""]}, path="/api/v1/nodes") is Level.REQUEST
    assert level({"namespaces": ["shop"]}, path="/api/v1/nodes") is Level.NONE


def test_the_first_rule_that_matches_counts() -> None:
    rules = [{"level": "None", "users": ["jane"]}, {"level": "Metadata"}]
    policy = from_dict(Policy, {"rules": rules, "omitStages": ["RequestReceived"], "omitManagedFields": True})
    decide = Rules(policy).decide
    assert decide(JANE, parse_request("GET", POD)).level is Level.NONE
    decision = decide(User("joe"), parse_request("GET", POD))
    assert (decision.level, decision.omit_managed_fields) == (Level.METADATA, True)
    assert decision.stages == {"ResponseStarted", "ResponseComplete", "Panic"}


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        ({}, "rules[0].level: Required value"),
        (
            {"level": "All"},
            'rules[0].level: Unsupported value: "All": supported values: '
            '"None", "Metadata", "Request", "RequestResponse"',
        ),
        ({"level": "None", "omitStages": ["X"]}, 'rules[0].omitStages: Unsupported value: "X"'),
        ({"level": "None", "nonResourceURLs": ["a"]}, 'rules[0].nonResourceURLs[0]: Invalid value: "a"'),
        ({"level": "None", "nonResourceURLs": ["/a*b"]}, 'rules[0].nonResourceURLs[0]: Invalid value: "/a*b"'),
        ({"level": "None", "nonResourceURLs": ["/"], "namespaces": ["a"]}, "rules[0].nonResourceURLs: Invalid value"),
        ({"level": "None", "resources": [{"resourceNames": ["a"]}]}, "rules[0].resources[0].resourceNames: Invalid"),
    ],
)
def test_errors(rule: dict[str, Any], error: str) -> None:
    (found,) = policy_errors(from_dict(Policy, {"rules": [rule]}))
    assert f"{found.field}: {found.message}".startswith(error)


def test_a_policy_needs_rules() -> None:
    assert [found.field for found in policy_errors(Policy())] == ["rules"]
