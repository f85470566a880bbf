"""A user who may do anything with pods in one namespace, but for what it enforces: ways around PodSecurity."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.kits.attacks import Attack, assert_repelled, perform
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.eventually import eventually
from tests.kits.process import TOKEN

Dict = dict[str, Any]

USERS = f'{TOKEN},admin,admin,"system:masters"\nmallory,mallory,mallory\n'
NS = "/api/v1/namespaces/ns"
PODS = f"{NS}/pods"
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/ns"
ENFORCE = "pod-security.kubernetes.io/enforce"
VIOLATES = 'violates PodSecurity "baseline:latest"'
APPLY = {"Content-Type": "application/apply-patch+yaml"}
BY_ALL = {"kind": "Pod", "apiVersion": "v1"}
PRIVILEGED = {"privileged": True}


def pod(name: str, context: Dict | None = None, annotations: Dict | None = None, **spec: Any) -> Dict:
    container = {"name": "c", "image": "i", "securityContext": context or {}}
    meta = {"name": name, "annotations": annotations or {}}
    return {**BY_ALL, "metadata": meta, "spec": {"containers": [container], **spec}}


def debugger(**context: Any) -> Dict:
    return {"spec": {"ephemeralContainers": [{"name": "d", "image": "i", "securityContext": context}]}}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("pods")
    tokens = folder / "users.csv"
    tokens.write_text(USERS)
    flags = ("--authorization-mode=RBAC", f"--token-auth-file={tokens}")
    with EtcdServer(folder) as etcd, ApiServer(folder / "apiserver", etcd.url, *flags) as server:
        _fill(server)
        yield server


def _fill(server: ApiServer) -> None:
    """A pod from before the namespace had a level, and a good one."""
    server.make_namespace("ns")
    rule = {"verbs": ["*"], "apiGroups": [""], "resources": ["pods", "pods/ephemeralcontainers"]}
    subject = {"kind": "User", "name": "mallory"}
    things = [
        (f"{RBAC}/roles", {"metadata": {"name": "r"}, "rules": [rule]}),
        (
            f"{RBAC}/rolebindings",
            {"metadata": {"name": "r"}, "roleRef": {"kind": "Role", "name": "r"}, "subjects": [subject]},
        ),
        (PODS, pod("old", PRIVILEGED)),
        (PODS, pod("good")),
    ]
    for path, body in things:
        answer = server.http.post(path, json=body)
        assert answer.status_code == 201, answer.text
    merge = {"content-type": "application/merge-patch+json"}
    answer = server.http.patch(NS, json={"metadata": {"labels": {ENFORCE: "baseline"}}}, headers=merge)
    assert answer.status_code == 200, answer.text
    eventually(lambda: perform(server.port, Attack("", "mallory", f"GET {PODS}/good", 200))[0] == 200)


ATTACKS = [
    Attack("a privileged pod", "mallory", f"POST {PODS}", 403, VIOLATES, pod("p", PRIVILEGED)),
    Attack("as a dry run", "mallory", f"POST {PODS}?dryRun=All", 403, VIOLATES, pod("p", PRIVILEGED)),
    Attack("made by an apply", "mallory", f"PATCH {PODS}/p?fieldManager=m", 403, VIOLATES, pod("p", PRIVILEGED), APPLY),
    Attack(
        "with a generated name",
        "mallory",
        f"POST {PODS}",
        403,
        VIOLATES,
        {**pod("", PRIVILEGED), "metadata": {"generateName": "p-"}},
    ),
    Attack(
        "with the label of a namespace",
        "mallory",
        f"POST {PODS}",
        403,
        VIOLATES,
        {**pod("p", PRIVILEGED), "metadata": {"name": "p", "labels": {ENFORCE: "privileged"}}},
    ),
    Attack(
        "in an init container",
        "mallory",
        f"POST {PODS}",
        403,
        'container "i" must not set',
        pod("p", initContainers=[{"name": "i", "image": "i", "securityContext": PRIVILEGED}]),
    ),
    Attack(
        "in another namespace of the body",
        "mallory",
        f"POST {PODS}",
        400,
        "does not match the namespace",
        {**pod("p", PRIVILEGED), "metadata": {"name": "p", "namespace": "default"}},
    ),
    Attack(
        "in another namespace of the path",
        "mallory",
        "POST /api/v1/namespaces/default/pods",
        403,
        "cannot create",
        pod("p", PRIVILEGED),
    ),
    Attack("the host's network", "mallory", f"POST {PODS}", 403, "hostNetwork=true", pod("p", hostNetwork=True)),
    Attack(
        "a path of the host",
        "mallory",
        f"POST {PODS}",
        403,
        'hostPath volumes (volume "v")',
        pod("p", volumes=[{"name": "v", "hostPath": {"path": "/"}}]),
    ),
    Attack(
        "a capability",
        "mallory",
        f"POST {PODS}",
        403,
        '"SYS_ADMIN"',
        pod("p", {"capabilities": {"add": ["SYS_ADMIN"]}}),
    ),
    Attack(
        "a capability with its prefix",
        "mallory",
        f"POST {PODS}",
        403,
        '"CAP_SYS_ADMIN"',
        pod("p", {"capabilities": {"add": ["CAP_SYS_ADMIN"]}}),
    ),
    Attack(
        "no confinement",
        "mallory",
        f"POST {PODS}",
        403,
        "seccompProfile",
        pod("p", {"seccompProfile": {"type": "Unconfined"}}),
    ),
    Attack(
        "no confinement, by an annotation of old releases",
        "mallory",
        f"POST {PODS}",
        403,
        "AppArmor",
        pod("p", annotations={"container.apparmor.security.beta.kubernetes.io/c": "unconfined"}),
    ),
    Attack(
        "a runtime class that is not there",
        "mallory",
        f"POST {PODS}",
        403,
        "RuntimeClass",
        pod("p", PRIVILEGED, runtimeClassName="exempt"),
    ),
    Attack(
        "a request of the kubelet to another host",
        "mallory",
        f"POST {PODS}",
        403,
        "169.254.169.254",
        {
            **BY_ALL,
            "metadata": {"name": "p"},
            "spec": {
                "containers": [
                    {"name": "c", "image": "i", "livenessProbe": {"httpGet": {"host": "169.254.169.254", "port": 80}}}
                ]
            },
        },
    ),
    Attack(
        "a debug container",
        "mallory",
        f"PATCH {PODS}/good/ephemeralcontainers",
        403,
        VIOLATES,
        debugger(privileged=True),
    ),
    Attack(
        "a harmless debug container in a pod that breaks the level",
        "mallory",
        f"PATCH {PODS}/old/ephemeralcontainers",
        403,
        VIOLATES,
        debugger(),
    ),
    Attack(
        "another program in a pod that breaks the level",
        "mallory",
        f"PATCH {PODS}/old",
        403,
        VIOLATES,
        {"spec": {"containers": [{"name": "c", "image": "evil", "securityContext": PRIVILEGED}]}},
    ),
    Attack(
        "more rights for a pod that is there",
        "mallory",
        f"PATCH {PODS}/good",
        422,
        "pod updates may not change",
        {"spec": {"containers": [{"name": "c", "image": "i", "securityContext": PRIVILEGED}]}},
    ),
    Attack(
        "a lower level",
        "mallory",
        f"PATCH {NS}",
        403,
        "cannot patch",
        {"metadata": {"labels": {ENFORCE: "privileged"}}},
    ),
    Attack(
        "a lower level by the status",
        "mallory",
        f"PATCH {NS}/status",
        403,
        "cannot patch",
        {"metadata": {"labels": {ENFORCE: "privileged"}}},
    ),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.name for attack in ATTACKS])
def test_no_pod_gets_more_than_its_namespace_allows(api: ApiServer, attack: Attack) -> None:
    assert_repelled(api.port, attack)
    names = [item["metadata"]["name"] for item in api.http.get(PODS).json()["items"]]
    assert names == ["good", "old"]
