"""ResourceQuota: what is refused, and the table."""

from typing import Any

import pytest

from kubeapi.core.resourcequota.resource import RESOURCE as QUOTAS
from tests.kits.kinds import A_DAY_AGO, problems, row, status_problems, update_problems

Dict = dict[str, Any]
APPLIED = "unsupported scope applied to resource"


def quota(hard: Dict | None = None, **spec: Any) -> Dict:
    meta = {"name": "q", "namespace": "ns", "creationTimestamp": A_DAY_AGO}
    return {"metadata": meta, "spec": {"hard": hard or {"pods": "1"}, **spec}}


def selector(*conditions: Dict) -> Dict:
    return {"scopeSelector": {"matchExpressions": list(conditions)}}


@pytest.mark.parametrize(
    ("document", "errors"),
    [
        (quota({"requests.hugepages-2Mi": "2Mi", "hugepages-1Gi": "1Gi", "count/widgets.example.com": "3"}), []),
        (quota({"requests.cpu": "1", "pods": "1", "limits.memory": "1Gi"}, scopes=["NotBestEffort"]), []),
        (quota({"count/pods": "1", "configmaps": "1"}, scopes=[]), []),
        (
            quota({"services": "1.5"}),
            ['spec.hard[services]: Invalid value: "1500m": must be an integer'],
        ),
        (
            quota({"storage": "1"}),
            ['spec.hard[storage]: Invalid value: "storage": must be a standard resource for quota'],
        ),
        (
            quota({"pods": "1", "requests.cpu": "1"}, scopes=["BestEffort"]),
            [f'spec.scopes: Invalid value: ["BestEffort"]: {APPLIED}'],
        ),
        (
            quota({"requests.storage": "1"}, **selector({"scopeName": "PriorityClass", "operator": "Exists"})),
            [
                "spec.scopeSelector.matchExpressions: Invalid value: "
                '{"matchExpressions":[{"scopeName":"PriorityClass","operator":"Exists"}]}: ' + APPLIED
            ],
        ),
        (
            quota(**selector({"scopeName": "PriorityClass", "operator": "Exists", "values": ["a"]})),
            [
                'spec.scopeSelector.matchExpressions.values: Invalid value: ["a"]: must be no value when `operator` is '
                "'Exists' or 'DoesNotExist' for scope selector"
            ],
        ),
        (
            quota(
                **selector(
                    {"scopeName": "Terminating", "operator": "Exists"},
                    {"scopeName": "NotTerminating", "operator": "Exists"},
                )
            ),
            ["spec.scopeSelector.matchExpressions: Invalid value: null: conflicting scopes"],
        ),
    ],
)
def test_a_bad_quota_is_refused(document: Dict, errors: list[str]) -> None:
    assert problems(QUOTAS, document) == errors


def test_scopes_stay_but_their_order_may_change() -> None:
    old = quota(scopes=["Terminating", "NotBestEffort"])
    assert update_problems(QUOTAS, old, quota({"pods": "9"}, scopes=["NotBestEffort", "Terminating"])) == []
    assert update_problems(QUOTAS, old, quota()) == ["spec.scopes: Invalid value: null: field is immutable"]


def test_the_status_is_checked() -> None:
    bad = {**quota(), "status": {"hard": {"pods": "1.5"}, "used": {"nope": "1"}}}
    assert status_problems(QUOTAS, quota(), bad) == [
        'status.hard[pods]: Invalid value: "1500m": must be an integer',
        'status.used[nope]: Invalid value: "nope": must be a standard resource type or fully qualified',
        'status.used[nope]: Invalid value: "nope": must be a standard resource for quota',
    ]


def test_the_table_has_limits_in_a_column_of_their_own() -> None:
    hard = {"requests.cpu": "2", "limits.cpu": "4", "pods": "1000", "limits.memory": "1Gi"}
    status = {"hard": hard, "used": {"pods": "3", "limits.cpu": "500m"}}
    assert row(QUOTAS, {**quota(hard), "status": status}) == {
        "Name": "q",
        "Request": "pods: 3/1k, requests.cpu: 0/2",
        "Limit": "limits.cpu: 500m/4, limits.memory: 0/1Gi",
        "Age": "24h",
    }
