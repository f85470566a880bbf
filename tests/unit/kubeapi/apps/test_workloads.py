from typing import Any

import pytest

from apimachinery.meta import ObjectMeta
from apimachinery.model import to_dict
from apimachinery.names import dns_label_errors, label_value_errors
from apimachinery.resource import Resource
from kubeapi.apps.deployment import RESOURCE as DEPLOYMENTS
from kubeapi.apps.replicaset import RESOURCE as REPLICASETS
from kubeapi.core.replicationcontroller import RESOURCE as REPLICATIONCONTROLLERS
from tests.kits.kinds import A_DAY_AGO, headers, load, merged, problems, row, status_problems, update_problems

LABELS = {"app": "web"}
BASE: dict[str, Any] = {
    "metadata": {"name": "web", "namespace": "default", "creationTimestamp": A_DAY_AGO},
    "spec": {
        "selector": {"matchLabels": LABELS},
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {"containers": [{"name": "app", "image": "app:1"}, {"name": "b", "image": "b:2"}]},
        },
    },
}
BOTH = [pytest.param(DEPLOYMENTS, id="Deployment"), pytest.param(REPLICASETS, id="ReplicaSet")]


def spec(change: dict[str, Any]) -> dict[str, Any]:
    return merged(BASE, {"spec": change})


def test_deployment_defaults() -> None:
    found = to_dict(load(DEPLOYMENTS, BASE).spec)
    assert found["replicas"] == 1
    assert found["revisionHistoryLimit"] == 10
    assert found["progressDeadlineSeconds"] == 600
    assert found["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    }
    assert found["template"]["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    assert found["template"]["spec"]["restartPolicy"] == "Always"


def test_given_values_stay() -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    found = to_dict(load(DEPLOYMENTS, spec({"replicas": 0, "revisionHistoryLimit": 0, "strategy": strategy})).spec)
    assert (found["replicas"], found["revisionHistoryLimit"], found["strategy"]) == (0, 0, strategy)


def test_recreate_gets_no_rolling_update() -> None:
    found = to_dict(load(DEPLOYMENTS, spec({"strategy": {"type": "Recreate"}})).spec)
    assert found["strategy"] == {"type": "Recreate"}


def test_replicaset_defaults() -> None:
    found = load(REPLICASETS, BASE)
    assert found.spec.replicas == 1
    assert found.spec.template.spec.containers[0].imagePullPolicy == "IfNotPresent"


TEMPLATE = "spec.template"
COMMON: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"replicas": -1}, ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"]),
    ({"minReadySeconds": -1}, ["spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0"]),
    (
        {"selector": None},
        [
            "spec.selector: Required value",
            'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
        ],
    ),
    (
        {"template": {"metadata": {"labels": None}}},
        ["spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`"],
    ),
    (
        {"selector": {"matchLabels": None}},
        ["spec.selector: Invalid value: {}: empty selector is invalid for deployment"],
    ),
    (
        {"selector": {"matchLabels": {"app": "other"}}},
        ['spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`'],
    ),
    (
        {"selector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["other"]}]}},
        ['spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`'],
    ),
    ({"selector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}, []),
    (
        {"selector": {"matchExpressions": [{"key": "app", "operator": "Is"}]}},
        [
            'spec.selector.matchExpressions[0].operator: Invalid value: "Is": not a valid selector operator',
            'spec.selector: Invalid value: {"matchLabels":{"app":"web"},"matchExpressions":'
            '[{"key":"app","operator":"Is"}]}: invalid label selector',
        ],
    ),
    (
        {"selector": {"matchExpressions": [{"key": "app", "operator": "In"}]}},
        [
            "spec.selector.matchExpressions[0].values: Required value: "
            "must be specified when `operator` is 'In' or 'NotIn'",
            'spec.selector: Invalid value: {"matchLabels":{"app":"web"},"matchExpressions":'
            '[{"key":"app","operator":"In"}]}: invalid label selector',
        ],
    ),
    (
        {"selector": {"matchLabels": {"app": "a b"}}, "template": {"spec": {"containers": []}}},
        [
            f'spec.selector.matchLabels: Invalid value: "a b": {label_value_errors("a b")[0]}',
            'spec.selector: Invalid value: {"matchLabels":{"app":"a b"}}: invalid label selector',
        ],
    ),
    (
        {"template": {"spec": {"containers": [{"name": "app"}]}}},
        [f"{TEMPLATE}.spec.containers[0].image: Required value"],
    ),
    ({"template": {"spec": {"containers": []}}}, [f"{TEMPLATE}.spec.containers: Required value"]),
    (
        {"template": {"spec": {"restartPolicy": "Never"}}},
        [f'{TEMPLATE}.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'],
    ),
    (
        {"template": {"spec": {"ephemeralContainers": [{"name": "d", "image": "d:1"}]}}},
        [f"{TEMPLATE}.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template"],
    ),
]


@pytest.mark.parametrize("resource", BOTH)
@pytest.mark.parametrize(("change", "expected"), COMMON)
def test_each_fault_of_a_workload_is_named(
    resource: Resource[Any], change: dict[str, Any], expected: list[str]
) -> None:
    assert problems(resource, spec(change)) == expected


@pytest.mark.parametrize("resource", BOTH)
def test_a_deadline_is_nothing_for_pods_that_run_for_ever(resource: Resource[Any]) -> None:
    document = spec({"template": {"spec": {"activeDeadlineSeconds": 1}}})
    text = "activeDeadlineSeconds in ReplicaSet is not Supported"
    assert problems(resource, document) == [f"{TEMPLATE}.spec.activeDeadlineSeconds: Forbidden: {text}"]


@pytest.mark.parametrize("resource", [DEPLOYMENTS, REPLICASETS, REPLICATIONCONTROLLERS])
def test_a_name_that_is_not_a_hostname_is_warned_about(resource: Resource[Any]) -> None:
    named = resource.model(metadata=ObjectMeta(name="web.example." + 60 * "x"))
    length, rule = dns_label_errors(named.name)
    why = "this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended"
    assert resource.strategy.create_warnings(named) == [f"metadata.name: {why}: [{length} {rule}]"]
    assert resource.strategy.create_warnings(resource.model(metadata=ObjectMeta(name="web"))) == []


def test_bad_labels_of_a_template() -> None:
    document = spec({"template": {"metadata": {"labels": {"a b": "x"}, "annotations": {"a/b/c": ""}}}})
    found = problems(DEPLOYMENTS, document)
    assert [text.split(":")[0] for text in found] == [f"{TEMPLATE}.labels", f"{TEMPLATE}.annotations"]


ROLL = "spec.strategy.rollingUpdate"
PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
    "regex used for validation is '[0-9]+%')"
)
ZERO = f"{ROLL}.maxUnavailable: Invalid value: %s: may not be 0 when `maxSurge` is 0"


@pytest.mark.parametrize(
    ("rolling", "expected"),
    [
        ({"maxSurge": 0, "maxUnavailable": 0}, [ZERO % 0]),
        ({"maxSurge": 0, "maxUnavailable": "0%"}, [ZERO % '"0%"']),
        ({"maxSurge": "0%", "maxUnavailable": "0%"}, [ZERO % '"0%"']),
        ({"maxSurge": "1%", "maxUnavailable": "0%"}, []),
        ({"maxSurge": "300%", "maxUnavailable": "100%"}, []),
        ({"maxUnavailable": "101%"}, [f'{ROLL}.maxUnavailable: Invalid value: "101%": must not be greater than 100%']),
        ({"maxUnavailable": "many"}, [f'{ROLL}.maxUnavailable: Invalid value: "many": {PERCENT}']),
        ({"maxSurge": "-1%"}, [f'{ROLL}.maxSurge: Invalid value: "-1%": {PERCENT}']),
        ({"maxSurge": -1}, [f"{ROLL}.maxSurge: Invalid value: -1: must be greater than or equal to 0"]),
    ],
)
def test_rolling_update(rolling: dict[str, Any], expected: list[str]) -> None:
    assert problems(DEPLOYMENTS, spec({"strategy": {"rollingUpdate": rolling}})) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}},
            [f"{ROLL}: Forbidden: may not be specified when strategy `type` is 'Recreate'"],
        ),
        (
            {"strategy": {"type": "Fast"}},
            ['spec.strategy: Unsupported value: {"type":"Fast"}: supported values: "Recreate", "RollingUpdate"'],
        ),
        (
            {"revisionHistoryLimit": -1},
            ["spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0"],
        ),
        (
            {"progressDeadlineSeconds": 5, "minReadySeconds": 5},
            ["spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds"],
        ),
        ({"progressDeadlineSeconds": 6, "minReadySeconds": 5}, []),
    ],
)
def test_each_fault_of_a_deployment_is_named(change: dict[str, Any], expected: list[str]) -> None:
    assert problems(DEPLOYMENTS, spec(change)) == expected


@pytest.mark.parametrize("resource", BOTH)
def test_the_selector_is_immutable(resource: Resource[Any]) -> None:
    labels = {"app": "web", "tier": "a"}
    new = spec({"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}})
    text = 'spec.selector: Invalid value: {"matchLabels":{"app":"web","tier":"a"}}: field is immutable'
    assert update_problems(resource, BASE, new) == [text]
    assert update_problems(resource, BASE, spec({"replicas": 3})) == []


@pytest.mark.parametrize("resource", BOTH)
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"replicas": 2, "readyReplicas": 2, "availableReplicas": 1}, []),
        (
            {"replicas": 1, "readyReplicas": 2},
            ["status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"],
        ),
        (
            {"replicas": 2, "readyReplicas": 1, "availableReplicas": 2},
            ["status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas"],
        ),
        ({"replicas": -1}, ["status.replicas: Invalid value: -1: must be greater than or equal to 0"]),
    ],
)
def test_each_fault_of_a_workload_status_is_named(
    resource: Resource[Any], status: dict[str, Any], expected: list[str]
) -> None:
    found = status_problems(resource, BASE, merged(BASE, {"status": status}))
    assert found[: len(expected)] == expected
    assert bool(found) is bool(expected)


def test_the_collision_count_only_grows() -> None:
    old, new = merged(BASE, {"status": {"collisionCount": 2}}), merged(BASE, {"status": {"collisionCount": 1}})
    assert status_problems(DEPLOYMENTS, old, new) == ["status.collisionCount: Invalid value: 1: cannot be decremented"]


def test_deployment_columns() -> None:
    assert headers(DEPLOYMENTS, wide=False) == ["Name", "Ready", "Up-to-date", "Available", "Age"]
    document = merged(
        spec({"replicas": 4}), {"status": {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1}}
    )
    assert row(DEPLOYMENTS, document) == {
        "Name": "web",
        "Ready": "2/4",
        "Up-to-date": 3,
        "Available": 1,
        "Age": "24h",
        "Containers": "app,b",
        "Images": "app:1,b:2",
        "Selector": "app=web",
    }


def test_replicaset_columns() -> None:
    assert headers(REPLICASETS, wide=False) == ["Name", "Desired", "Current", "Ready", "Age"]
    document = merged(spec({"replicas": 4}), {"status": {"replicas": 3, "readyReplicas": 2}})
    cells = row(REPLICASETS, document)
    assert [cells[name] for name in ("Desired", "Current", "Ready", "Selector")] == [4, 3, 2, "app=web"]


def test_selectors_show_sorted() -> None:
    selector = {
        "matchLabels": {"z": "1", "app": "web"},
        "matchExpressions": [
            {"key": "m", "operator": "NotIn", "values": ["b", "a"]},
            {"key": "e", "operator": "DoesNotExist"},
        ],
    }
    assert row(DEPLOYMENTS, spec({"selector": selector}))["Selector"] == "app=web,!e,m notin (a,b),z=1"
