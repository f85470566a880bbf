"""Nobody grants more than they hold, whichever request writes the role or binding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.eventually import eventually

Dict = dict[str, Any]

GROUP = "rbac.authorization.k8s.io"
RBAC = f"/apis/{GROUP}/v1"
JANE, JOE = ({"kind": "User", "name": name, "apiGroup": GROUP} for name in ("jane", "joe"))
WRITE_ROLES = {"verbs": ["create", "update", "patch", "get"], "apiGroups": [GROUP], "resources": ["*"]}
READ_PODS = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
READ_SECRETS = {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}
MISSING = '{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}'


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("granting")
    with EtcdServer(folder) as etcd, ApiServer(folder / "apiserver", etcd.url, "--authorization-mode=RBAC") as server:
        bind(server.http, "jane", role(server.http, "jane", WRITE_ROLES, READ_PODS))
        server.make_namespace("ns")
        with server.client("other-token") as http:
            eventually(lambda: http.get(f"{RBAC}/clusterroles/view").status_code == 200)
        yield server


@pytest.fixture(scope="module")
def jane(api: ApiServer) -> Iterator[httpx.Client]:
    """A user who writes roles and bindings, and reads pods."""
    with api.client("other-token") as http:
        yield http


def role(http: httpx.Client, name: str, *rules: Dict, namespace: str = "", **members: Any) -> str:
    """Creates a Role of the namespace, or a ClusterRole, and returns its path."""
    where = f"{RBAC}/namespaces/{namespace}/roles" if namespace else f"{RBAC}/clusterroles"
    answer = http.post(where, json={"metadata": {"name": name}, "rules": list(rules), **members})
    assert answer.status_code == 201, answer.text
    return f"{where}/{name}"


def bind(http: httpx.Client, name: str, role_path: str, namespace: str = "", to: Dict = JANE) -> httpx.Response:
    kind = "Role" if "/namespaces/" in role_path else "ClusterRole"
    where = f"{RBAC}/namespaces/{namespace}/rolebindings" if namespace else f"{RBAC}/clusterrolebindings"
    ref = {"apiGroup": GROUP, "kind": kind, "name": role_path.rpartition("/")[2]}
    return http.post(where, json={"metadata": {"name": name}, "roleRef": ref, "subjects": [to]})


def is_refused(answer: httpx.Response, missing: str = MISSING) -> bool:
    message = answer.json().get("message", "")
    return (
        answer.status_code == 403
        and 'user "jane" (groups=["system:authenticated"]) is attempting to grant RBAC' in message
        and message.endswith(missing)
    )


@pytest.mark.parametrize("namespace", ["", "ns"])
def test_every_way_to_widen_a_role_is_refused(api: ApiServer, jane: httpx.Client, namespace: str) -> None:
    path = role(jane, "pods", READ_PODS, namespace=namespace)
    wide = [READ_PODS, READ_SECRETS]
    body = {"metadata": {"name": "pods"}, "rules": wide}
    applied = {"apiVersion": f"{GROUP}/v1", "kind": "Role" if namespace else "ClusterRole", **body}
    ways = {
        "application/merge-patch+json": {"rules": wide},
        "application/strategic-merge-patch+json": {"rules": wide},
        "application/json-patch+json": [{"op": "add", "path": "/rules/-", "value": READ_SECRETS}],
        "application/apply-patch+yaml": applied,
    }
    assert is_refused(jane.put(path, json=body))
    for content_type, patch in ways.items():
        query = "?fieldManager=jane&force=true" if "apply" in content_type else ""
        assert is_refused(jane.patch(path + query, json=patch, headers={"content-type": content_type})), content_type
    other = path.removesuffix("pods") + "other"
    applied["metadata"] = {"name": "other"}
    headers = {"content-type": "application/apply-patch+yaml"}
    assert is_refused(jane.patch(f"{other}?fieldManager=jane", json=applied, headers=headers))
    assert is_refused(jane.post(f"{path.removesuffix('/pods')}?dryRun=All", json=body | {"metadata": {"name": "dry"}}))
    assert api.http.get(path).json()["rules"] == [READ_PODS]
    assert api.http.get(other).status_code == 404


def test_a_role_that_was_made_wider_by_others_cannot_be_touched(api: ApiServer, jane: httpx.Client) -> None:
    path = role(api.http, "secrets", READ_SECRETS)
    headers = {"content-type": "application/merge-patch+json"}
    assert is_refused(jane.patch(path, json={"metadata": {"labels": {"a": "b"}}}, headers=headers))
    owner = {"apiVersion": "v1", "kind": "Namespace", "name": "ns", "uid": "1"}
    for metadata in ({"finalizers": ["example.com/a"]}, {"ownerReferences": [owner]}, {"finalizers": None}):
        assert jane.patch(path, json={"metadata": metadata}, headers=headers).status_code == 200
    assert jane.patch(path, json={"rules": []}, headers=headers).status_code == 200


def test_only_roles_that_are_held_can_be_bound(api: ApiServer, jane: httpx.Client) -> None:
    secrets, pods = role(api.http, "wide", READ_SECRETS), role(api.http, "narrow", READ_PODS)
    local = role(api.http, "wide", READ_SECRETS, namespace="ns")
    assert is_refused(bind(jane, "a", secrets))
    assert is_refused(bind(jane, "a", secrets, "ns"))
    assert is_refused(bind(jane, "a", local, "ns"))
    assert bind(jane, "a", pods).status_code == bind(jane, "a", pods, "ns").status_code == 201
    absent = bind(jane, "b", f"{RBAC}/clusterroles/absent")
    assert (absent.status_code, absent.json()["message"]) == (404, f'clusterrolebindings.{GROUP} "absent" not found')
    assert bind(api.http, "theirs", secrets, to=JOE).status_code == 201
    answer = jane.patch(
        f"{RBAC}/clusterrolebindings/theirs",
        json={"subjects": [JOE, JANE]},
        headers={"content-type": "application/merge-patch+json"},
    )
    assert is_refused(answer)


def test_the_rights_to_bind_and_to_escalate_lift_the_checks(api: ApiServer, jane: httpx.Client) -> None:
    secrets = role(api.http, "lifted", READ_SECRETS)
    assert is_refused(bind(jane, "lifted", secrets))
    rules = [
        {"verbs": ["bind"], "apiGroups": [GROUP], "resources": ["clusterroles"], "resourceNames": ["lifted"]},
        {"verbs": ["escalate"], "apiGroups": [GROUP], "resources": ["roles"]},
    ]
    assert bind(api.http, "lifting", role(api.http, "lifting", *rules)).status_code == 201
    eventually(lambda: bind(jane, "lifted", secrets, "ns").status_code == 201)
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    assert role(jane, "own", everything, namespace="ns")
    answer = jane.post(f"{RBAC}/clusterroles", json={"metadata": {"name": "own"}, "rules": [everything]})
    assert is_refused(answer, '{APIGroups:["*"], Resources:["*"], Verbs:["*"]}')


def test_aggregation_takes_every_right(api: ApiServer, jane: httpx.Client) -> None:
    rule = {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}
    body = {"metadata": {"name": "gathering"}, "rules": [], "aggregationRule": rule}
    answer = jane.post(f"{RBAC}/clusterroles", json=body)
    assert answer.status_code == 403
    assert answer.json()["message"] == (
        f'clusterroles.{GROUP} "gathering" is forbidden: must have cluster-admin privileges to use an aggregationRule'
    )
    path = role(api.http, "gathering", aggregationRule=rule)
    body.pop("aggregationRule")
    assert "must have cluster-admin privileges" in jane.put(path, json=body).json()["message"]
