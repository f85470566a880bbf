"""The rules of FlowSchemas and PriorityLevelConfigurations that no recorded case holds."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.model import from_dict
from kubeapi.flowcontrol import flowschema, prioritylevelconfiguration
from kubeapi.flowcontrol.prioritylevelconfiguration import hash_bits

USER = {"kind": "User", "user": {"name": "u"}}
PODS = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["*"]}


def schema_errors(spec: dict[str, Any], name: str = "s") -> list[str]:
    spec = {"priorityLevelConfiguration": {"name": "level"}, **spec}
    return errors_of(flowschema.RESOURCE, {"metadata": {"name": name}, "spec": spec})


def level_errors(spec: dict[str, Any], name: str = "l") -> list[str]:
    return errors_of(prioritylevelconfiguration.RESOURCE, {"metadata": {"name": name}, "spec": spec})


def errors_of(resource: Any, document: dict[str, Any]) -> list[str]:
    obj = from_dict(resource.model, document)
    resource.strategy.default(obj)
    return [f"{error.field}: {error.message}" for error in resource.strategy.validate(obj)]


def one_rule(**members: object) -> dict[str, Any]:
    return {"rules": [{"subjects": [USER], "resourceRules": [PODS], **members}]}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, []),
        (one_rule(), []),
        ({"matchingPrecedence": -1}, ["spec.matchingPrecedence: Invalid value: -1: must be a positive value"]),
        (
            one_rule(subjects=[{"kind": "ServiceAccount", "serviceAccount": {"name": "a"}}]),
            [
                "spec.rules[0].subjects[0].serviceAccount.namespace: "
                "Required value: must specify namespace for service account"
            ],
        ),
        (
            one_rule(subjects=[{"kind": "User", "user": {"name": ""}}]),
            ["spec.rules[0].subjects[0].user.name: Required value"],
        ),
        (
            one_rule(resourceRules=[{**PODS, "apiGroups": ["*", "apps"]}]),
            [
                'spec.rules[0].resourceRules[0].apiGroups: Invalid value: ["*","apps"]: '
                "if '*' is present, must not specify other api groups"
            ],
        ),
        (one_rule(resourceRules=[{**PODS, "namespaces": None, "clusterScope": True}]), []),
        (one_rule(nonResourceRules=[{"verbs": ["get"], "nonResourceURLs": ["/a/*", "/"]}]), []),
        (
            one_rule(nonResourceRules=[{"verbs": ["get"], "nonResourceURLs": ["/a*b"]}]),
            [
                'spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: "/a*b": '
                "wildcard can only do suffix matching"
            ],
        ),
    ],
)
def test_flow_schemas(spec: dict[str, Any], expected: list[str]) -> None:
    assert schema_errors(spec) == expected


def test_only_the_exempt_schema_comes_first() -> None:
    assert schema_errors({"matchingPrecedence": 1}, "exempt") == []
    assert schema_errors({"matchingPrecedence": 1}) != []


@pytest.mark.parametrize(
    ("name", "spec", "expected"),
    [
        ("exempt", {"type": "Exempt", "exempt": {}}, []),
        ("exempt", {"type": "Exempt", "limited": {}}, ["spec.limited: Forbidden: must be nil if the type is Exempt"]),
        ("l", {"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": {}}}}, []),
        (
            "l",
            {"type": "Limited", "exempt": {}, "limited": {"limitResponse": {"type": "Reject"}}},
            ["spec.exempt: Forbidden: must be nil if the type is Limited"],
        ),
        (
            "l",
            {"type": "Limited", "limited": {"limitResponse": {"type": "Queue"}}},
            [
                "spec.limited.limitResponse.queuing: Required value: "
                "must not be empty if limited.limitResponse.type is Limited"
            ],
        ),
    ],
)
def test_priority_levels(name: str, spec: dict[str, Any], expected: list[str]) -> None:
    assert level_errors(spec, name) == expected


def test_bits_needed_to_deal_a_hand() -> None:
    assert hash_bits(128, 6) == 42
    assert hash_bits(1, 1) == 0
    assert hash_bits(2, 2) == 1
