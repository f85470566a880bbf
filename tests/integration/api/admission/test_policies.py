"""Admission policies on a real server: what the recorded answers do not tell."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.eventually import eventually

GROUP = "/apis/admissionregistration.k8s.io/v1"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("policies")
    with EtcdServer(folder) as etcd, ApiServer(folder / "apiserver", etcd.url, "--authorization-mode=RBAC") as server:
        yield server


def rules(
    *resources: str, group: str = "", version: str = "v1", operations: tuple[str, ...] = ("CREATE", "UPDATE")
) -> Any:
    rule = {
        "apiGroups": [group],
        "apiVersions": [version],
        "operations": list(operations),
        "resources": list(resources),
    }
    return {"resourceRules": [rule]}


class Policies:
    """Puts policies into force in one namespace, and takes them back."""

    def __init__(self, api: ApiServer, namespace: str) -> None:
        self._api, self._namespace = api, namespace
        self._paths: list[str] = []

    def add(self, kind: str, name: str, spec: dict[str, Any], **binding: Any) -> None:
        name = f"{self._namespace}-{name}"
        selector = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self._namespace}}}
        bound = {"policyName": name, "matchResources": selector, **binding}
        for plural, body in ((f"{kind}admissionpolicies", spec), (f"{kind}admissionpolicybindings", bound)):
            answer = self._api.http.post(f"{GROUP}/{plural}", json={"metadata": {"name": name}, "spec": body})
            assert answer.status_code == 201, answer.text
            self._paths.append(f"{GROUP}/{plural}/{name}")

    def validate(self, name: str, spec: dict[str, Any], actions: tuple[str, ...] = ("Deny",)) -> None:
        self.add("validating", name, spec, validationActions=list(actions))

    def mutate(self, name: str, spec: dict[str, Any]) -> None:
        self.add("mutating", name, {"reinvocationPolicy": "Never", **spec})

    def remove(self) -> None:
        for path in self._paths:
            self._api.http.delete(path)


@pytest.fixture
def policies(api: ApiServer, namespace: str) -> Iterator[Policies]:
    made = Policies(api, namespace)
    yield made
    made.remove()


def create(api: ApiServer, namespace: str, name: str, **members: Any) -> httpx.Response:
    body = {"metadata": {"name": name}, **members}
    return api.http.post(f"/api/v1/namespaces/{namespace}/configmaps?dryRun=All", json=body)


def test_a_policy_holds_within_a_second(api: ApiServer, namespace: str, policies: Policies) -> None:
    policies.validate("n", {"matchConstraints": rules("configmaps"), "validations": [{"expression": "false"}]})
    since = time.monotonic()
    eventually(lambda: create(api, namespace, "a").status_code == 422)
    assert time.monotonic() - since < 1


def test_the_authorizer_is_asked_about_the_sender(api: ApiServer, namespace: str, policies: Policies) -> None:
    check = "authorizer.group('').resource('configmaps').namespace(object.metadata.namespace).check('create').allowed()"
    account = f"authorizer.serviceAccount('{namespace}', 'x').path('/metrics').check('get').allowed()"
    validations = [
        {"expression": check, "message": "not allowed"},
        {"expression": "authorizer.requestResource.check('delete').allowed()"},
        {"expression": account, "message": "asked about an account"},
    ]
    policies.validate("a", {"matchConstraints": rules("configmaps"), "validations": validations})
    eventually(lambda: create(api, namespace, "a").status_code == 422)
    message = create(api, namespace, "a").json()["message"]
    assert message.endswith("denied request: asked about an account")  # the others hold for an administrator


def test_a_costly_expression_ends_and_others_go_on(api: ApiServer, namespace: str, policies: Policies) -> None:
    bomb = "object.data.all(a, object.data.all(b, object.data.all(c, object.data.all(d, a + b + c + d != 'x'))))"
    policies.validate("c", {"matchConstraints": rules("configmaps"), "validations": [{"expression": bomb}]})
    data = {f"k{number}": "v" for number in range(100)}
    eventually(lambda: create(api, namespace, "a", data={"k": "x" * 5}).status_code == 201)
    longest, stop = 0.0, threading.Event()

    def look() -> None:
        nonlocal longest
        with httpx.Client(base_url=api.url, verify=False, timeout=30) as client:
            while not stop.is_set():
                started = time.monotonic()
                client.get("/healthz")
                longest = max(longest, time.monotonic() - started)

    other = threading.Thread(target=look)
    other.start()
    answer = create(api, namespace, "b", data=data)
    stop.set()
    other.join()
    assert answer.status_code == 422
    assert "actual cost limit exceeded" in answer.json()["message"]
    assert longest < 1


def test_a_policy_may_be_about_another_version(api: ApiServer, namespace: str, policies: Policies) -> None:
    reference = {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}
    path = f"/apis/autoscaling/v1/namespaces/{namespace}/horizontalpodautoscalers?dryRun=All"
    body = {"metadata": {"name": "h"}, "spec": {"scaleTargetRef": reference, "maxReplicas": 9}}
    constraints = rules("horizontalpodautoscalers", group="autoscaling", version="v2")
    validation = {"expression": "object.spec.maxReplicas < 5 && object.apiVersion == 'autoscaling/v2'"}
    policies.validate("e", {"matchConstraints": constraints, "validations": [validation]})
    eventually(lambda: api.http.post(path, json=body).status_code == 422)
    body["spec"]["maxReplicas"] = 4  # type: ignore[index]
    assert api.http.post(path, json=body).status_code == 201
    exact = constraints | {"matchPolicy": "Exact"}
    policies.validate("x", {"matchConstraints": exact, "validations": [{"expression": "false"}]})
    assert api.http.post(path, json=body).status_code == 201


def test_changes_see_one_another(api: ApiServer, namespace: str, policies: Policies) -> None:
    def applies(expression: str) -> dict[str, Any]:
        return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}

    count = "Object{data: {'seen': string(object.data.size())}}"
    constraints = rules("configmaps", operations=("CREATE",))
    policies.mutate(
        "a", {"matchConstraints": constraints, "reinvocationPolicy": "IfNeeded", "mutations": [applies(count)]}
    )
    two = [applies("Object{data: {'x': '1'}}"), applies("Object{data: {'y': object.data.x + '2'}}")]
    policies.mutate("b", {"matchConstraints": constraints, "mutations": two})
    eventually(lambda: "y" in create(api, namespace, "a", data={"k": "v"}).json().get("data", {}))
    assert create(api, namespace, "a", data={"k": "v"}).json()["data"] == {"k": "v", "x": "1", "y": "12", "seen": "4"}


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("Object{metadata: Object.spec{}}", 'unexpected type name "Object.spec", expected "Object.metadata"'),
        ("Object{spec: Object.spec{}}", "field not declared in schema"),
        ("Object{metadata: Object.metadata{ownerReferences: [{'uid': 'x'}, {'uid': 'x'}]}}", "duplicate entries"),
        ("Object{kind: 'Pod'}", "kind may not be changed"),
        ("Object{data: {'a': object.data.absent}}", "no such key: absent"),
        ("Object{data: dyn({'a': 1})}", "data"),
    ],
)
def test_a_change_that_does_not_fit_is_refused(
    api: ApiServer, namespace: str, policies: Policies, expression: str, said: str
) -> None:
    mutation = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}
    policies.mutate("m", {"matchConstraints": rules("configmaps"), "mutations": [mutation]})
    eventually(lambda: create(api, namespace, "a", data={"k": "v"}).status_code >= 400)
    answer = create(api, namespace, "a", data={"k": "v"})
    assert answer.status_code < 500
    assert said in answer.json()["message"]


def test_metrics_tell_what_was_decided(api: ApiServer, namespace: str, policies: Policies) -> None:
    policies.validate("n", {"matchConstraints": rules("configmaps"), "validations": [{"expression": "false"}]})
    eventually(lambda: create(api, namespace, "a").status_code == 422)
    text = api.http.get("/metrics").text
    assert f'enforcement_action="deny",error_type="no_error",policy="{namespace}-n"' in text


def test_who_may_not_read_parameters_writes_no_policy_with_them(api: ApiServer, policies: Policies) -> None:
    role = {"rules": [{"apiGroups": ["admissionregistration.k8s.io"], "resources": ["*"], "verbs": ["*"]}]}
    subject = {"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}
    ref = {"kind": "ClusterRole", "name": "policies", "apiGroup": "rbac.authorization.k8s.io"}
    for plural, body in (("clusterroles", role), ("clusterrolebindings", {"roleRef": ref, "subjects": [subject]})):
        api.http.post(f"/apis/rbac.authorization.k8s.io/v1/{plural}", json={"metadata": {"name": "policies"}, **body})
    spec = {
        "paramKind": {"apiVersion": "v1", "kind": "Secret"},
        "matchConstraints": rules("configmaps"),
        "validations": [{"expression": "params.data.a == 'b'"}],
    }
    path = f"{GROUP}/validatingadmissionpolicies?dryRun=All"
    body = {"metadata": {"name": "spy"}, "spec": spec}
    with httpx.Client(base_url=api.url, verify=False, headers={"authorization": "Bearer other-token"}) as jane:
        answer = eventually(lambda: (got := jane.post(path, json=body)).status_code != 403 and got)
        assert answer.status_code == 422, answer.text
        assert 'user jane must have "get" permission on all objects' in answer.json()["message"]
        body["spec"] = {key: value for key, value in spec.items() if key != "paramKind"}
        body["spec"]["validations"] = [{"expression": "true"}]
        assert jane.post(path, json=body).status_code == 201
