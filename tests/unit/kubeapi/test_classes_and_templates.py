"""RuntimeClass, PriorityClass, PodTemplate, ReplicationController, ControllerRevision and LimitRange."""

from typing import Any

import pytest

from apimachinery.model import to_dict
from apimachinery.resource import Resource
from kubeapi.apps.controllerrevision import RESOURCE as REVISIONS
from kubeapi.core.limitrange import RESOURCE as LIMITS
from kubeapi.core.pod.scheduling.affinity import Toleration
from kubeapi.core.pod.scheduling.tolerations import merged as merged_tolerations
from kubeapi.core.podtemplate import RESOURCE as TEMPLATES
from kubeapi.core.replicationcontroller import RESOURCE as CONTROLLERS
from kubeapi.node.runtimeclass import RESOURCE as RUNTIMES
from kubeapi.scheduling.priorityclass import RESOURCE as PRIORITIES
from tests.kits.kinds import A_DAY_AGO, load, merged, problems, row, status_problems, update_problems

Dict = dict[str, Any]

META = {"name": "x", "creationTimestamp": A_DAY_AGO}
LABELS = {"app": "web"}
POD: Dict = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "app", "image": "app:1"}]}}
RUNTIME: Dict = {"metadata": META, "handler": "runc"}
PRIORITY: Dict = {"metadata": META, "value": 10}
TEMPLATE: Dict = {"metadata": {**META, "namespace": "ns"}, "template": POD}
CONTROLLER: Dict = {"metadata": {**META, "namespace": "ns"}, "spec": {"template": POD}}
REVISION: Dict = {"metadata": {**META, "namespace": "ns"}, "data": {"a": [1]}, "revision": 3}
LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
RESERVED = "priority class names with 'system-' prefix are reserved for system use only. error:"


def limits(**item: Any) -> Dict:
    return {"metadata": {"name": "x", "namespace": "ns"}, "spec": {"limits": [{"type": "Container", **item}]}}


BAD: list[tuple[Resource[Any], Dict, list[str]]] = [
    (RUNTIMES, RUNTIME, []),
    (RUNTIMES, {**RUNTIME, "handler": "Run"}, [f'handler: Invalid value: "Run": {LABEL_RULE}']),
    (RUNTIMES, {**RUNTIME, "handler": ""}, ["handler: Required value"]),
    (
        RUNTIMES,
        {**RUNTIME, "overhead": {"podFixed": {"cpu": "-1"}}},
        ['overhead.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0'],
    ),
    (
        RUNTIMES,
        {**RUNTIME, "scheduling": {"tolerations": [{"key": "a", "operator": "Exists"}] * 2}},
        ['scheduling.tolerations[1]: Duplicate value: {"key":"a","operator":"Exists"}'],
    ),
    (PRIORITIES, PRIORITY, []),
    (
        PRIORITIES,
        {**PRIORITY, "value": 1_000_000_001},
        ["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"],
    ),
    (
        PRIORITIES,
        {**PRIORITY, "metadata": {"name": "system-x"}},
        [f"metadata.name: Forbidden: {RESERVED} system-x is not a known system priority class"],
    ),
    (
        PRIORITIES,
        {**PRIORITY, "metadata": {"name": "system-node-critical"}},
        [f"metadata.name: Forbidden: {RESERVED} value of system-node-critical PriorityClass must be 2000001000"],
    ),
    (
        PRIORITIES,
        {**PRIORITY, "preemptionPolicy": "Sometimes"},
        ['preemptionPolicy: Unsupported value: "Sometimes": supported values: "PreemptLowerPriority", "Never"'],
    ),
    (TEMPLATES, TEMPLATE, []),
    (
        TEMPLATES,
        merged(TEMPLATE, {"template": {"spec": {"containers": []}}}),
        ["template.spec.containers: Required value"],
    ),
    (CONTROLLERS, CONTROLLER, []),
    (
        CONTROLLERS,
        {**CONTROLLER, "spec": {}},
        ["spec.selector: Required value", "spec.template: Required value"],
    ),
    (
        CONTROLLERS,
        merged(CONTROLLER, {"spec": {"replicas": -1, "selector": {"app": "other"}}}),
        [
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
        ],
    ),
    (
        CONTROLLERS,
        merged(CONTROLLER, {"spec": {"template": {"spec": {"restartPolicy": "Never"}}}}),
        ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'],
    ),
    (REVISIONS, REVISION, []),
    (
        REVISIONS,
        {**REVISION, "data": None, "revision": -1},
        ["data: Required value: data is mandatory", "revision: Invalid value: -1: must be greater than or equal to 0"],
    ),
    (LIMITS, limits(max={"cpu": "2"}, min={"cpu": "1"}), []),
    (
        LIMITS,
        limits(max={"cpu": "1"}, min={"cpu": "2"}),
        [
            'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1',
            'spec.limits[0].defaultRequest[cpu]: Invalid value: "1": '
            "min value 2 is greater than default request value 1",
            'spec.limits[0].default[cpu]: Invalid value: "2": min value 2 is greater than default value 1',
        ],
    ),
    (
        LIMITS,
        limits(default={"cpu": "3"}, max={"cpu": "2"}, defaultRequest={"cpu": "1"}),
        ['spec.limits[0].default[cpu]: Invalid value: "2": default value 3 is greater than max value 2'],
    ),
    (
        LIMITS,
        limits(maxLimitRequestRatio={"cpu": "500m"}),
        ['spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "500m": ratio 500m is less than 1'],
    ),
    (
        LIMITS,
        limits(type="Pod", min={"cpu": "1"}, max={"cpu": "2"}, maxLimitRequestRatio={"cpu": "3"}),
        ['spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than max/min = 2.000000'],
    ),
    (
        LIMITS,
        limits(type="Pod", default={"cpu": "1"}),
        ["spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"],
    ),
    (
        LIMITS,
        limits(type="PersistentVolumeClaim"),
        [
            "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, "
            "but neither was provided"
        ],
    ),
    (
        LIMITS,
        limits(type="Thing"),
        ['spec.limits[0].type: Invalid value: "Thing": must be a standard limit type or fully qualified'],
    ),
    (
        LIMITS,
        limits(max={"gold": "1"}),
        [
            f'spec.limits[0].{field}[gold]: Invalid value: "gold": must be a standard resource {rest}'
            for field in ("max", "default", "defaultRequest")
            for rest in ("type or fully qualified", "for containers")
        ],
    ),
]


@pytest.mark.parametrize(("resource", "obj", "expected"), BAD)
def test_each_fault_is_named(resource: Resource[Any], obj: Dict, expected: list[str]) -> None:
    assert problems(resource, obj) == expected


UPDATES: list[tuple[Resource[Any], Dict, Dict, list[str]]] = [
    (RUNTIMES, RUNTIME, {"handler": "kata"}, ['handler: Invalid value: "kata": field is immutable']),
    (PRIORITIES, PRIORITY, {"value": 11}, ["value: Forbidden: may not be changed in an update."]),
    (
        PRIORITIES,
        PRIORITY,
        {"preemptionPolicy": "Never"},
        ['preemptionPolicy: Invalid value: "Never": field is immutable'],
    ),
    (PRIORITIES, PRIORITY, {"description": "new"}, []),
    (REVISIONS, REVISION, {"data": {"a": [2]}}, ['data: Invalid value: {"a":[2]}: field is immutable']),
    (REVISIONS, REVISION, {"revision": 4}, []),
]


@pytest.mark.parametrize(("resource", "obj", "change", "expected"), UPDATES)
def test_what_may_not_change(resource: Resource[Any], obj: Dict, change: Dict, expected: list[str]) -> None:
    assert update_problems(resource, obj, merged(obj, change)) == expected


def test_a_replicationcontroller_takes_labels_and_selector_from_its_template() -> None:
    found = load(CONTROLLERS, CONTROLLER)
    assert (found.spec.replicas, found.spec.selector, found.metadata.labels) == (1, LABELS, LABELS)
    own = load(CONTROLLERS, merged(CONTROLLER, {"spec": {"replicas": 0, "selector": {"a": "b"}}}))
    assert (own.spec.replicas, own.spec.selector) == (0, {"a": "b"})


def test_counts_of_a_replicationcontroller() -> None:
    found = status_problems(
        CONTROLLERS, CONTROLLER, merged(CONTROLLER, {"status": {"replicas": 1, "readyReplicas": 2}})
    )
    assert found == ["status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"]


def test_a_limitrange_fills_in_what_containers_get() -> None:
    item = load(
        LIMITS, limits(max={"cpu": "2"}, min={"cpu": "1", "memory": "1Gi"}, default={"cpu": "1500m"})
    ).spec.limits[0]
    assert to_dict(item)["default"] == {"cpu": "1500m"}
    assert to_dict(item)["defaultRequest"] == {"cpu": "1500m", "memory": "1Gi"}
    assert load(LIMITS, limits(type="Pod", max={"cpu": "2"})).spec.limits[0].default is None


ROWS: list[tuple[Resource[Any], Dict, Dict]] = [
    (RUNTIMES, RUNTIME, {"Name": "x", "Handler": "runc", "Age": "24h"}),
    (
        PRIORITIES,
        PRIORITY,
        {"Name": "x", "Value": 10, "Global-Default": False, "Age": "24h", "PreemptionPolicy": "PreemptLowerPriority"},
    ),
    (TEMPLATES, TEMPLATE, {"Name": "x", "Containers": "app", "Images": "app:1", "Pod Labels": "app=web"}),
    (
        CONTROLLERS,
        CONTROLLER,
        {"Name": "x", "Desired": 1, "Current": 0, "Ready": 0, "Age": "24h"}
        | {"Containers": "app", "Images": "app:1", "Selector": "app=web"},
    ),
    (REVISIONS, REVISION, {"Name": "x", "Controller": "<none>", "Revision": 3, "Age": "24h"}),
    (LIMITS, {"metadata": META, "spec": {"limits": []}}, {"Name": "x", "Created At": A_DAY_AGO}),
]


@pytest.mark.parametrize(("resource", "obj", "cells"), ROWS)
def test_what_the_columns_show(resource: Resource[Any], obj: Dict, cells: Dict) -> None:
    assert list(row(resource, obj).items()) == list(cells.items())


def test_the_controller_of_a_revision() -> None:
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "u", "controller": True}
    found = row(REVISIONS, merged(REVISION, {"metadata": {"ownerReferences": [owner]}}))
    assert found["Controller"] == "statefulset.apps/db"


def test_tolerations_that_another_includes_are_left_out() -> None:
    wide, narrow = Toleration(key="a", operator="Exists"), Toleration(key="a", value="b", effect="NoSchedule")
    short = Toleration(key="a", operator="Exists", effect="NoExecute", tolerationSeconds=5)
    other = Toleration(key="c", value="d")
    assert merged_tolerations([narrow, short, other, wide]) == [other, wide]
    assert merged_tolerations([other, other]) == [other]
    assert merged_tolerations([Toleration(operator="Exists"), narrow]) == [Toleration(operator="Exists")]
