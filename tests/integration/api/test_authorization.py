"""`--authorization-mode=RBAC`: roles and bindings decide, from the moment that they are there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.eventually import eventually

Dict = dict[str, Any]

RBAC = "/apis/rbac.authorization.k8s.io/v1"
JANE = {"kind": "User", "name": "jane"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("rbac")
    with EtcdServer(folder) as etcd, ApiServer(folder / "apiserver", etcd.url, "--authorization-mode=RBAC") as server:
        yield server


@pytest.fixture(scope="module")
def jane(api: ApiServer) -> Iterator[httpx.Client]:
    with api.client("other-token") as http:
        yield http


def grant(api: ApiServer, namespace: str, *rules: Dict) -> str:
    """Gives rules to jane in a new namespace; returns the path of the namespace."""
    root = api.make_namespace(namespace)
    meta = {"name": "janes"}
    role = {"metadata": meta, "rules": list(rules)}
    binding = {"metadata": meta, "roleRef": {"kind": "Role", "name": "janes"}, "subjects": [JANE]}
    for plural, body in (("roles", role), ("rolebindings", binding)):
        answer = api.http.post(f"{RBAC}/namespaces/{namespace}/{plural}", json=body)
        assert answer.status_code == 201, answer.text
    return root


def rule(verbs: str, group: str, resources: str, *names: str) -> Dict:
    return {
        "verbs": verbs.split(),
        "apiGroups": [group],
        "resources": resources.split(),
        "resourceNames": list(names),
    }


def codes(http: httpx.Client, *paths: str) -> list[int]:
    return [http.get(path).status_code for path in paths]


def test_a_user_without_bindings_is_refused_with_upstreams_words(jane: httpx.Client) -> None:
    answer = jane.get("/api/v1/namespaces/default/pods/x/log")
    assert answer.status_code == 403
    assert answer.json()["message"] == (
        'pods "x" is forbidden: User "jane" cannot get resource "pods/log" in API group "" in the namespace "default"'
    )
    assert jane.get("/metrics").json()["message"] == 'forbidden: User "jane" cannot get path "/metrics"'


def test_what_is_not_served_is_no_secret_to_those_who_may_ask(api: ApiServer, jane: httpx.Client) -> None:
    assert codes(jane, "/apis/none.example/v1/namespaces/default/things") == [403]
    assert codes(api.http, "/apis/none.example/v1/namespaces/default/things") == [404]


def test_roles_and_bindings_count_as_soon_as_they_change(api: ApiServer, jane: httpx.Client) -> None:
    root = grant(api, "changes", rule("get list", "", "configmaps"))
    eventually(lambda: codes(jane, f"{root}/configmaps", f"{root}/secrets") == [200, 403])
    role = f"{RBAC}/namespaces/changes/roles/janes"
    rules = [rule("list", "", "secrets")]
    api.http.patch(role, json={"rules": rules}, headers={"content-type": "application/merge-patch+json"})
    eventually(lambda: codes(jane, f"{root}/configmaps", f"{root}/secrets") == [403, 200])
    api.http.delete(role)
    eventually(lambda: codes(jane, f"{root}/secrets") == [403])
    message = jane.get(f"{root}/secrets").json()["message"]
    assert message.endswith(': RBAC: role.rbac.authorization.k8s.io "janes" not found')
    api.http.delete(f"{RBAC}/namespaces/changes/rolebindings/janes")
    eventually(lambda: jane.get(f"{root}/secrets").json()["message"].endswith('in the namespace "changes"'))


def test_a_list_of_one_name_is_about_that_object(api: ApiServer, jane: httpx.Client) -> None:
    root = grant(api, "names", rule("get list watch", "", "configmaps", "mine"))
    only = "fieldSelector=metadata.name%3D"
    eventually(lambda: codes(jane, f"{root}/configmaps?{only}mine") == [200])
    assert codes(jane, f"{root}/configmaps?{only}mine&watch=1&timeoutSeconds=1") == [200]
    denied = (
        "",
        f"?{only}other",
        "?fieldSelector=metadata.name!%3Dmine",
        f"?{only}other&{only}mine",
        "?fieldSelector=(",
    )
    assert codes(jane, *(f"{root}/configmaps{query}" for query in denied)) == [403] * len(denied)


def test_who_may_only_change_creates_nothing(api: ApiServer, jane: httpx.Client) -> None:
    """A PUT creates a lease that is missing, and an apply any object: that takes the right to create."""
    root = grant(
        api, "writes", rule("update get", "coordination.k8s.io", "leases"), rule("patch get", "", "configmaps")
    )
    leases = "/apis/coordination.k8s.io/v1/namespaces/writes/leases"
    eventually(lambda: codes(jane, f"{leases}/l") == [404])
    answer = jane.put(f"{leases}/l", json={"metadata": {"name": "l"}})
    assert answer.status_code == 403
    assert 'leases.coordination.k8s.io "l" is forbidden: User "jane" cannot create' in answer.json()["message"]
    applied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    headers = {"content-type": "application/apply-patch+yaml"}
    path = f"{root}/configmaps/c?fieldManager=jane"
    assert jane.patch(path, json=applied, headers=headers).status_code == 403
    assert api.http.patch(path, json=applied, headers=headers).status_code == 201
    assert jane.patch(path, json=applied, headers=headers).status_code == 200


def test_reviews_answer_from_the_same_rules(api: ApiServer, jane: httpx.Client) -> None:
    root = grant(api, "reviews", rule("get list", "", "pods"))
    eventually(lambda: codes(jane, f"{root}/pods") == [200])
    asked = {"namespace": "reviews", "verb": "list", "resource": "pods"}
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"

    def status(**spec: Any) -> Dict:
        answer: Dict = api.http.post(path, json={"spec": spec}).json()["status"]
        return answer

    reason = 'RBAC: allowed by RoleBinding "janes/reviews" of Role "janes" to User "jane"'
    assert status(user="jane", resourceAttributes=asked) == {"allowed": True, "reason": reason}
    assert status(user="jane", resourceAttributes={**asked, "verb": "delete"}) == {"allowed": False}
    assert status(user="x", groups=["system:masters"], resourceAttributes=asked) == {"allowed": True}
    assert jane.post(path, json={"spec": {"user": "jane", "resourceAttributes": asked}}).status_code == 403
