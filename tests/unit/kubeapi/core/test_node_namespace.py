from typing import Any

import pytest

from apimachinery.model import to_dict
from kubeapi.core.namespace import RESOURCE as NAMESPACES
from kubeapi.core.node import RESOURCE as NODES
from tests.kits.kinds import A_DAY_AGO, created, headers, load, merged, problems, row, status_problems, update_problems

NODE: dict[str, Any] = {"metadata": {"name": "worker-1", "creationTimestamp": A_DAY_AGO}}
NAMESPACE: dict[str, Any] = {"metadata": {"name": "team"}}


def node(spec: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    return merged(NODE, {"spec": spec or {}, "status": status or {}, "metadata": metadata})


def test_a_node_registers_with_its_status() -> None:
    size = {"cpu": "4", "memory": "8Gi"}
    found = created(NODES, node(status={"capacity": size}))
    assert found.status.allocatable == size
    assert not NODES.strategy.resets_status


def test_given_allocatable_stays() -> None:
    status = {"capacity": {"cpu": "4"}, "allocatable": {"cpu": "3"}}
    assert load(NODES, node(status=status)).status.allocatable == {"cpu": "3"}


def test_an_update_leaves_the_status_alone() -> None:
    old = load(NODES, node(status={"capacity": {"cpu": "4"}}))
    new = load(NODES, node({"unschedulable": True}, {"capacity": {"cpu": "8"}}))
    NODES.strategy.prepare_update(new, old)
    assert new.status.capacity == {"cpu": "4"}
    assert new.spec.unschedulable


@pytest.mark.parametrize("given", [{"podCIDR": "10.244.1.0/24"}, {"podCIDRs": ["10.244.1.0/24"]}])
def test_the_pod_range_has_two_fields(given: dict[str, Any]) -> None:
    assert to_dict(load(NODES, node(given)).spec) == {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24"]}


TAINT = {"key": "a", "effect": "NoSchedule"}
EFFECTS = '"NoSchedule", "PreferNoSchedule", "NoExecute"'
NODE_CASES: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    ({"taints": [TAINT, {"key": "a", "effect": "NoExecute"}]}, {}, []),
    ({"taints": [{"key": "a"}]}, {}, ["metadata.taints[0].effect: Required value"]),
    (
        {"taints": [{"key": "a", "effect": "No"}]},
        {},
        [f'metadata.taints[0].effect: Unsupported value: "No": supported values: {EFFECTS}'],
    ),
    (
        {"taints": [TAINT, TAINT]},
        {},
        [
            'metadata.taints[1]: Duplicate value: {"key":"a","effect":"NoSchedule"}: '
            "taints must be unique by key and effect pair"
        ],
    ),
    (
        {"podCIDRs": ["x"]},
        {},
        ['spec.podCIDRs[0]: Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'],
    ),
    (
        {"podCIDRs": ["10.0.0.0/24", "10.0.1.0/24"]},
        {},
        [
            'spec.podCIDRs: Invalid value: ["10.0.0.0/24","10.0.1.0/24"]: '
            "may specify no more than one CIDR for each IP family"
        ],
    ),
    (
        {},
        {"capacity": {"cpu": "-1"}, "allocatable": {"cpu": "1"}},
        ['status.capacity.cpu: Invalid value: "-1": must be greater than or equal to 0'],
    ),
    ({}, {"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}] * 2}, []),
]


@pytest.mark.parametrize(("spec", "status", "expected"), NODE_CASES)
def test_each_fault_of_a_node_is_named(spec: dict[str, Any], status: dict[str, Any], expected: list[str]) -> None:
    assert problems(NODES, node(spec, status)) == expected


def test_bad_taint_names() -> None:
    found = problems(NODES, node({"taints": [{"key": "a b", "value": "c d", "effect": "NoSchedule"}]}))
    assert [text.split(":")[0] for text in found] == ["metadata.taints[0].key", "metadata.taints[0].value"]


def test_status_of_a_node() -> None:
    new = node(status={"capacity": {"pods": "1500m"}, "allocatable": {"cpu": "1"}})
    text = 'status.capacity.pods: Invalid value: "1500m": must be an integer'
    assert status_problems(NODES, NODE, new) == [text]
    new = node(status={"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}] * 2})
    text = 'status.addresses[1]: Duplicate value: {"type":"InternalIP","address":"10.0.0.1"}'
    assert status_problems(NODES, NODE, new) == [text]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({}, {"podCIDR": "10.0.0.0/24", "providerID": "a"}, []),
        (
            {"podCIDR": "10.0.0.0/24"},
            {"podCIDR": "10.0.1.0/24"},
            ['spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid'],
        ),
        (
            {"providerID": "a"},
            {"providerID": "b"},
            ['spec.providerID: Forbidden: node updates may not change providerID except from "" to valid'],
        ),
        ({"taints": [TAINT]}, {"unschedulable": True}, []),
    ],
)
def test_what_may_change_in_a_node(old: dict[str, Any], new: dict[str, Any], expected: list[str]) -> None:
    assert update_problems(NODES, node(old), node(new)) == expected


def ready(status: str) -> dict[str, Any]:
    return {"conditions": [{"type": "Ready", "status": status}]}


@pytest.mark.parametrize(
    ("spec", "status", "shown"),
    [
        ({}, ready("True"), "Ready"),
        ({}, ready("False"), "NotReady"),
        ({}, ready("Unknown"), "NotReady"),
        ({}, {}, "Unknown"),
        ({"unschedulable": True}, ready("True"), "Ready,SchedulingDisabled"),
    ],
)
def test_the_status_column_of_nodes(spec: dict[str, Any], status: dict[str, Any], shown: str) -> None:
    assert row(NODES, node(spec, status))["Status"] == shown


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        ({}, "<none>"),
        ({"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": ""}, "control-plane,worker"),
        ({"kubernetes.io/role": "old"}, "old"),
    ],
)
def test_roles_come_from_labels(labels: dict[str, str], shown: str) -> None:
    assert row(NODES, node(labels=labels))["Roles"] == shown


def test_what_the_columns_of_a_node_show() -> None:
    assert headers(NODES, wide=False) == ["Name", "Status", "Roles", "Age", "Version"]
    info = {
        "kubeletVersion": "v1.35.0",
        "osImage": "Debian 12",
        "kernelVersion": "6.18",
        "containerRuntimeVersion": "docker://20",
    }
    addresses = [{"type": "Hostname", "address": "worker-1"}, {"type": "InternalIP", "address": "10.0.0.1"}]
    cells = row(NODES, node(status={"nodeInfo": info, "addresses": addresses, **ready("True")}))
    assert cells == {
        "Name": "worker-1",
        "Status": "Ready",
        "Roles": "<none>",
        "Age": "24h",
        "Version": "v1.35.0",
        "Internal-IP": "10.0.0.1",
        "External-IP": "<none>",
        "OS-Image": "Debian 12",
        "Kernel-Version": "6.18",
        "Container-Runtime": "docker://20",
    }
    assert row(NODES, NODE)["OS-Image"] == "<unknown>"


def test_nodes_are_selected_by_schedulability() -> None:
    field = NODES.fields["spec.unschedulable"]
    assert (field(load(NODES, NODE)), field(load(NODES, node({"unschedulable": True})))) == ("false", "true")


def test_a_new_namespace_is_active_and_waits_for_its_controller_to_go() -> None:
    found = created(NAMESPACES, merged(NAMESPACE, {"status": {"phase": "Terminating"}}))
    assert found.metadata.labels == {"kubernetes.io/metadata.name": "team"}
    assert found.spec.finalizers == ["kubernetes"]
    assert to_dict(found.status) == {"phase": "Active"}


def test_a_namespace_keeps_its_own_finalizers() -> None:
    found = created(NAMESPACES, merged(NAMESPACE, {"spec": {"finalizers": ["a/b"]}}))
    assert found.spec.finalizers == ["a/b", "kubernetes"]


def test_the_name_label_cannot_be_changed() -> None:
    label = {"metadata": {"labels": {"kubernetes.io/metadata.name": "other", "a": "b"}}}
    assert load(NAMESPACES, merged(NAMESPACE, label)).labels == {"kubernetes.io/metadata.name": "team", "a": "b"}


def test_a_generated_name_is_labelled_too() -> None:
    found = load(NAMESPACES, {"metadata": {"generateName": "team-"}})
    assert found.labels == {}
    found.metadata.name = "team-x"
    NAMESPACES.strategy.prepare_create(found)
    assert found.labels == {"kubernetes.io/metadata.name": "team-x"}


def test_finalizers_change_only_through_finalize() -> None:
    old = created(NAMESPACES, NAMESPACE)
    new = load(NAMESPACES, merged(NAMESPACE, {"spec": {"finalizers": []}}))
    NAMESPACES.strategy.prepare_update(new, old)
    assert new.spec.finalizers == ["kubernetes"]


def test_finalizers_of_a_namespace_are_qualified() -> None:
    found = problems(NAMESPACES, merged(NAMESPACE, {"spec": {"finalizers": ["mine"]}}))
    text = "name is neither a standard finalizer name nor is it fully qualified"
    assert found == [f'spec.finalizers: Invalid value: "mine": {text}']


@pytest.mark.parametrize(
    ("deleted", "phase", "expected"),
    [
        (False, "Active", ""),
        (False, "Terminating", "may only be 'Active' if `deletionTimestamp` is empty"),
        (True, "Terminating", ""),
        (True, "Active", "may only be 'Terminating' if `deletionTimestamp` is not empty"),
    ],
)
def test_the_phase_follows_deletion(deleted: bool, phase: str, expected: str) -> None:
    metadata = {"deletionTimestamp": A_DAY_AGO} if deleted else {}
    document = merged(NAMESPACE, {"metadata": metadata, "status": {"phase": phase}})
    found = status_problems(NAMESPACES, document, document)
    assert found == ([f'status.phase: Invalid value: "{phase}": {expected}'] if expected else [])


def test_namespace_names_are_labels() -> None:
    assert NAMESPACES.strategy.validate_name("a-1") == []
    assert NAMESPACES.strategy.validate_name("a.b") != []


def test_namespace_columns() -> None:
    assert headers(NAMESPACES, wide=False) == ["Name", "Status", "Age"]
    assert row(NAMESPACES, merged(NAMESPACE, {"status": {"phase": "Active"}}))["Status"] == "Active"


def test_namespaces_are_deleted_one_by_one() -> None:
    assert "deletecollection" not in NAMESPACES.verbs
