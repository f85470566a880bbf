"""RuntimeClass, PriorityClass, PodTemplate, ReplicationController, ControllerRevision, LimitRange, roles and bindings
as served."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kits.client.commandline import CommandLine
from tests.kits.client.kubectlpair import Pair, write_kubeconfig
from tests.kits.control_plane.apiserver import HAS_KUBECTL, ApiServer
from tests.kits.eventually import eventually

Dict = dict[str, Any]
Shared = Callable[[str, Dict], Dict]

PRIORITIES = "/apis/scheduling.k8s.io/v1/priorityclasses"
RUNTIMES = "/apis/node.k8s.io/v1/runtimeclasses"
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
RBAC = "rbac.authorization.k8s.io/v1"
RULES = [
    {"verbs": ["list", "get"], "apiGroups": [""], "resources": ["pods", "pods/log"]},
    {"verbs": ["watch"], "apiGroups": [""], "resources": ["pods"]},
    {"verbs": ["*"], "apiGroups": ["apps"], "resources": ["deployments/scale", "*"], "resourceNames": ["b", "a"]},
    {"verbs": ["get", "post"], "nonResourceURLs": ["/x", "/logs/*"]},
]
SUBJECTS = [
    {"kind": "User", "name": "alice"},
    {"kind": "Group", "name": "dev"},
    {"kind": "ServiceAccount", "name": "robot", "namespace": "kinds"},
]
MERGE = {"Content-Type": "application/merge-patch+json"}


def pod(name: str, **spec: Any) -> Dict:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


def make(api: ApiServer, path: str, body: Dict) -> Dict:
    answer = api.http.post(path, json=body)
    assert answer.status_code == 201, answer.text
    made: Dict = answer.json()
    return made


def refusal(api: ApiServer, path: str, body: Dict) -> tuple[int, str]:
    answer = api.http.post(path, json=body)
    return answer.status_code, answer.json()["message"]


def test_the_system_has_its_priority_classes(api: ApiServer) -> None:
    found = {item["metadata"]["name"]: item["value"] for item in api.http.get(PRIORITIES).json()["items"]}
    assert found == {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
    answer = api.http.delete(f"{PRIORITIES}/system-node-critical")
    assert (answer.status_code, answer.json()["message"]) == (
        403,
        'priorityclasses.scheduling.k8s.io "system-node-critical" is forbidden: this is a system priority class and '
        "cannot be deleted",
    )


def test_a_pod_gets_what_its_priority_class_says(api: ApiServer, namespace: str, shared: Shared) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    shared(PRIORITIES, {"metadata": {"name": "gentle"}, "value": 7, "preemptionPolicy": "Never"})
    spec = make(api, pods, pod("a", priorityClassName="gentle"))["spec"]
    assert (spec["priority"], spec["preemptionPolicy"]) == (7, "Never")
    assert make(api, pods, pod("b", priorityClassName="system-node-critical"))["spec"]["priority"] == 2_000_001_000
    assert refusal(api, pods, pod("c", priorityClassName="gentle", priority=8)) == (
        403,
        'pods "c" is forbidden: the integer value of priority (8) must not be provided in pod spec; priority '
        "admission controller computed 7 from the given PriorityClass name",
    )
    assert refusal(api, pods, pod("c", priorityClassName="gentle", preemptionPolicy="PreemptLowerPriority")) == (
        403,
        'pods "c" is forbidden: the string value of PreemptionPolicy (PreemptLowerPriority) must not be provided in '
        "pod spec; priority admission controller computed Never from the given PriorityClass name",
    )


def test_one_class_is_for_pods_that_name_none(api: ApiServer, namespace: str, shared: Shared) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    shared(PRIORITIES, {"metadata": {"name": "usual"}, "value": 5, "globalDefault": True})

    def given() -> Dict | None:
        spec: Dict = make(api, pods, {**pod(""), "metadata": {"generateName": "a-"}})["spec"]
        return spec if spec.get("priorityClassName") else None

    spec = eventually(given, "the default class")
    assert (spec["priorityClassName"], spec["priority"]) == ("usual", 5)
    other = {"metadata": {"name": "other"}, "value": 6, "globalDefault": True}
    assert refusal(api, PRIORITIES, other) == (
        403,
        'priorityclasses.scheduling.k8s.io "other" is forbidden: PriorityClass usual is already marked as '
        "default. Only one default can exist",
    )
    answer = api.http.patch(f"{PRIORITIES}/usual", json={"description": "ours"}, headers=MERGE)
    assert answer.status_code == 200, answer.text


def test_a_pod_gets_what_its_runtime_class_says(api: ApiServer, namespace: str, shared: Shared) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    scheduling = {"nodeSelector": {"vm": "yes"}, "tolerations": [{"key": "vm", "operator": "Exists"}]}
    body = {"handler": "vm", "overhead": {"podFixed": {"cpu": "250m"}}, "scheduling": scheduling}
    shared(RUNTIMES, {"metadata": {"name": "vm"}, **body})
    spec = make(api, pods, pod("a", runtimeClassName="vm", nodeSelector={"disk": "ssd"}))["spec"]
    assert spec["overhead"] == {"cpu": "250m"}
    assert spec["nodeSelector"] == {"disk": "ssd", "vm": "yes"}
    assert {"key": "vm", "operator": "Exists"} in spec["tolerations"]
    forbidden = 'pods "b" is forbidden: '
    assert refusal(api, pods, pod("b", runtimeClassName="vm", nodeSelector={"vm": "no"})) == (
        403,
        f"{forbidden}conflict: runtimeClass.scheduling.nodeSelector[vm] = yes; pod.spec.nodeSelector[vm] = no",
    )
    assert refusal(api, pods, pod("b", runtimeClassName="none")) == (
        403,
        f'{forbidden}pod rejected: RuntimeClass "none" not found',
    )
    assert refusal(api, pods, pod("b", runtimeClassName="vm", overhead={"cpu": "1"})) == (
        403,
        f"{forbidden}pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
    )
    assert refusal(api, pods, pod("b", overhead={"cpu": "1"})) == (
        403,
        f"{forbidden}pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
    )


def test_a_replicationcontroller_has_status_and_scale(api: ApiServer, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/replicationcontrollers"
    made = make(api, path, {"metadata": {"name": "web"}, "spec": {"template": TEMPLATE}})
    assert made["spec"]["selector"] == made["metadata"]["labels"] == {"app": "web"}
    assert (made["spec"]["replicas"], made["metadata"]["generation"]) == (1, 1)
    scale = api.http.get(f"{path}/web/scale").json()
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert (scale["spec"], scale["status"]) == ({"replicas": 1}, {"replicas": 0, "selector": "app=web"})
    scale["spec"]["replicas"] = 3
    assert api.http.put(f"{path}/web/scale", json=scale).status_code == 200
    answer = api.http.patch(f"{path}/web/status", json={"status": {"replicas": 3}}, headers=MERGE)
    assert answer.json()["status"]["replicas"] == 3
    assert (answer.json()["spec"]["replicas"], answer.json()["metadata"]["generation"]) == (3, 2)


def test_a_podtemplate_counts_its_changes(api: ApiServer, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/podtemplates"
    assert make(api, path, {"metadata": {"name": "t"}, "template": TEMPLATE})["metadata"]["generation"] == 1
    patch = {"template": {"metadata": {"labels": {"a": "b"}}}}
    assert api.http.patch(f"{path}/t", json=patch, headers=MERGE).json()["metadata"]["generation"] == 2
    patch = {"metadata": {"labels": {"a": "b"}}}
    assert api.http.patch(f"{path}/t", json=patch, headers=MERGE).json()["metadata"]["generation"] == 2


def objects() -> list[Dict]:
    limits = [{"type": "Container", "max": {"cpu": "2"}}, {"type": "Pod", "min": {"memory": "1Mi"}}]
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "u", "controller": True}
    owned = {"name": "d-1", "ownerReferences": [owner]}
    return [
        {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "bounds"}, "spec": {"limits": limits}},
        {
            "apiVersion": "v1",
            "kind": "ReplicationController",
            "metadata": {"name": "web"},
            "spec": {"replicas": 2, "template": TEMPLATE},
        },
        {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "web"}, "template": TEMPLATE},
        {"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": owned, "revision": 4, "data": {"a": 1}},
        {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "box"}, "handler": "box"},
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": "much", "annotations": {"b": "c", "a": "b"}},
            "description": "matters",
            "value": 9,
        },
        {"apiVersion": RBAC, "kind": "Role", "metadata": {"name": "reader"}, "rules": RULES[:3]},
        {"apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": "kinds:all"}, "rules": RULES},
        {
            "apiVersion": RBAC,
            "kind": "RoleBinding",
            "metadata": {"name": "readers"},
            "roleRef": {"kind": "Role", "name": "reader"},
            "subjects": SUBJECTS,
        },
        {
            "apiVersion": RBAC,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "kinds:all"},
            "roleRef": {"kind": "ClusterRole", "name": "kinds:all"},
            "subjects": SUBJECTS[:1],
        },
    ]


@pytest.fixture(scope="module")
def pair(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    api.make_namespace("kinds")
    kubeconfig: Path = write_kubeconfig(api, tmp_path_factory.mktemp("kubectl") / "kubeconfig", "kinds")
    mini = CommandLine(kubeconfig, "kinds")
    mini.run("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, objects())))
    return Pair(mini, CommandLine(kubeconfig, "kinds", program="kubectl"))


LINES = [
    "get limits,rc,podtemplates,controllerrevisions,runtimeclasses,pc -o wide",
    "get limits bounds -o yaml",
    "get pc much -o yaml",
    "get rc web -o yaml",
    "describe limits bounds",
    "describe rc web",
    "describe pc much",
    "describe pc system-node-critical",
    "describe runtimeclass box",
    "describe podtemplate web",
    "describe controllerrevision d-1",
    "get roles,rolebindings,clusterroles,clusterrolebindings",
    "get rolebindings,clusterrolebindings -o wide",
    "get rolebinding readers -o yaml",
    "describe role reader",
    "describe clusterrole kinds:all",
    "describe rolebinding readers",
    "describe clusterrolebinding kinds:all",
    "describe ns kinds",
    "describe ns default",
    "scale rc web --replicas=2",
]


@pytest.mark.skipif(not HAS_KUBECTL, reason="kubectl is not on PATH")
@pytest.mark.parametrize("line", LINES)
def test_kubectl_and_mini_kubectl_show_the_same(pair: Pair, line: str) -> None:
    done = pair.same(line)
    assert done.returncode == 0, done.stderr


def test_devices_are_for_administration_where_the_namespace_says_so(api: ApiServer, namespace: str) -> None:
    claims = f"/apis/resource.k8s.io/v1/namespaces/{namespace}/resourceclaims"
    templates = f"/apis/resource.k8s.io/v1/namespaces/{namespace}/resourceclaimtemplates"
    spec = {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c", "adminAccess": True}}]}}
    result = {"request": "r", "driver": "d.example.com", "pool": "p", "device": "x", "adminAccess": True}
    status = {"status": {"allocation": {"devices": {"results": [result]}}}}
    text = "admin access to devices requires the `resource.kubernetes.io/admin-access: true` label on the containing"

    def written() -> list[tuple[int, str]]:
        answers = [
            api.http.post(claims, json={"metadata": {"name": "admin"}, "spec": spec}),
            api.http.post(templates, json={"metadata": {"name": "admin"}, "spec": {"spec": spec}}),
            api.http.patch(f"{claims}/plain/status", json=status, headers=MERGE),
        ]
        fields = [answer.json().get("details", {}).get("causes", [{}])[0].get("field", "") for answer in answers]
        assert all(text in answer.text for answer in answers if answer.status_code == 422)
        return [(answer.status_code, field) for answer, field in zip(answers, fields, strict=True)]

    plain = {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}}
    assert api.http.post(claims, json={"metadata": {"name": "plain"}, "spec": plain}).status_code == 201
    asking = "spec.devices.requests[0].adminAccess"
    assert written() == [(422, asking), (422, asking), (422, "status.allocation.devices.results[0].adminAccess")]
    label = {"metadata": {"labels": {"resource.kubernetes.io/admin-access": "true"}}}
    assert api.http.patch(f"/api/v1/namespaces/{namespace}", json=label, headers=MERGE).status_code == 200
    assert written() == [(201, ""), (201, ""), (200, "")]
