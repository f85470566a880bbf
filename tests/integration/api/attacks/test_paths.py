"""Tricks with paths, methods and queries: what is authorized must be what is served."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.kits.attacks import Attack, assert_repelled, perform
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.eventually import eventually

Dict = dict[str, Any]

JANE = "other-token"
SECRET = "c3RvbGVu"
OWN, VICTIM = "/api/v1/namespaces/own", "/api/v1/namespaces/victim"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
CANNOT = 'User "jane" cannot'
NOTHING = "could not find the requested resource"  # a path below /api, which all may ask for, and none that is served


def rule(verbs: str, resources: str, *names: str) -> Dict:
    return {"verbs": verbs.split(), "apiGroups": [""], "resources": resources.split(), "resourceNames": list(names)}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("paths")
    with EtcdServer(folder) as etcd, ApiServer(folder / "apiserver", etcd.url, "--authorization-mode=RBAC") as server:
        _fill(server)
        yield server


def _fill(server: ApiServer) -> None:
    """Jane may read one Secret, list ConfigMaps, read pods and delete one by one; and see /version."""
    rules = [rule("get", "secrets", "allowed"), rule("list", "configmaps"), rule("get delete", "pods")]
    role = {"metadata": {"name": "r"}, "rules": rules}
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
    binding = {"metadata": {"name": "r"}, "roleRef": ref, "subjects": [{"kind": "User", "name": "jane"}]}
    things = [
        (f"{RBAC}/namespaces/own/{plural}", body) for plural, body in (("roles", role), ("rolebindings", binding))
    ]
    for name in ("own", "victim"):
        root = server.make_namespace(name)
        things += [
            (f"{root}/secrets", {"metadata": {"name": secret}, "data": {"key": SECRET}})
            for secret in ("allowed", "other")
        ]
    for path, body in things:
        answer = server.http.post(path, json=body)
        assert answer.status_code == 201, answer.text
    eventually(lambda: perform(server.port, Attack("", JANE, f"GET {OWN}/secrets/allowed", 200))[0] == 200)


NAMES = [
    Attack("another name", JANE, f"GET {OWN}/secrets/other", 403, f'{CANNOT} get resource "secrets"'),
    Attack("a way up", JANE, f"GET {OWN}/secrets/allowed/../other", 403, 'resource "secrets/.."'),
    Attack("a way up, encoded", JANE, f"GET {OWN}/secrets/allowed/%2e%2e/other", 403, 'resource "secrets/.."'),
    Attack("a way up, in one piece", JANE, f"GET {OWN}/secrets/allowed%2f..%2fother", 403, 'resource "secrets/.."'),
    Attack("a way up, encoded twice", JANE, f"GET {OWN}/secrets/allowed%252f..%252fother", 403, '"secrets" in API'),
    Attack("a way up, in long form", JANE, f"GET {OWN}/secrets/allowed/%c0%ae%c0%ae/other", 403, 'resource "secrets/'),
    Attack("a NUL behind the name", JANE, f"GET {OWN}/secrets/allowed%00", 403, '"secrets" in API'),
    Attack("a NUL in the name", JANE, f"GET {OWN}/secrets/other%00allowed", 403, '"secrets" in API'),
    Attack("a line end behind the name", JANE, f"GET {OWN}/secrets/allowed%0a", 403, '"secrets" in API'),
    Attack("a blank behind the name", JANE, f"GET {OWN}/secrets/allowed%20", 403, '"secrets" in API'),
    Attack("parameters of the path", JANE, f"GET {OWN}/secrets/other;name=allowed", 403, '"secrets" in API'),
    Attack("a question mark in the name", JANE, f"GET {OWN}/secrets/other%3fname=allowed", 403, '"secrets" in API'),
    Attack("a name in capitals", JANE, f"GET {OWN}/secrets/ALLOWED", 403, '"secrets" in API'),
    Attack("bytes that are no text", JANE, f"GET {OWN}/secrets/%ff%fe", 403, '"secrets" in API'),
    Attack("a fragment", JANE, f"GET {OWN}/secrets/other#/secrets/allowed", 403, CANNOT),
]
PLACES = [
    Attack("another namespace", JANE, f"GET {VICTIM}/secrets/allowed", 403, 'in the namespace "victim"'),
    Attack("a way to another namespace", JANE, f"GET {OWN}/../victim/secrets/allowed", 403, CANNOT),
    Attack("the same, encoded", JANE, "GET /api/v1/namespaces/own%2f..%2fvictim/secrets/allowed", 403, CANNOT),
    Attack("a backslash", JANE, "GET /api/v1/namespaces/own%5c..%5cvictim/secrets/allowed", 403, CANNOT),
    Attack("no namespace", JANE, "GET /api/v1/namespaces//secrets/allowed", 404, NOTHING),
    Attack("all namespaces", JANE, "GET /api/v1/secrets", 403, "at the cluster scope"),
    Attack("a name without a namespace", JANE, "GET /api/v1/secrets/allowed", 403, "at the cluster scope"),
    Attack("a namespace in capitals", JANE, "GET /api/v1/namespaces/OWN/secrets/allowed", 403, 'namespace "OWN"'),
    Attack("a namespace by the query", JANE, f"GET {VICTIM}/secrets/allowed?namespace=own", 403, '"victim"'),
    Attack("a doubled slash at the front", JANE, f"GET /{VICTIM}/secrets/allowed", 403, CANNOT),
    Attack("a doubled slash", JANE, "GET /api//v1/namespaces/victim/secrets/allowed", 404, NOTHING),
    Attack("a doubled slash before the name", JANE, f"GET {OWN}/secrets//other", 404, NOTHING),
    Attack("a dot", JANE, "GET /api/./v1/namespaces/victim/secrets/allowed", 403, CANNOT),
    Attack("the API in capitals", JANE, "GET /API/v1/namespaces/victim/secrets/allowed", 403, CANNOT),
    Attack("a resource in capitals", JANE, f"GET {OWN}/Secrets/other", 403, 'resource "Secrets"'),
    Attack("a group with no name", JANE, "GET /apis//v1/namespaces/victim/secrets/allowed", 404, NOTHING),
    Attack(
        "a group of another name", JANE, "GET /apis/core/v1/namespaces/own/secrets/allowed", 403, 'API group "core"'
    ),
    Attack("an address in full", JANE, f"GET https://127.0.0.1{VICTIM}/secrets/allowed", 403, CANNOT),
    Attack("a list by a slash at the end", JANE, f"GET {OWN}/secrets/", 403, f'{CANNOT} list resource "secrets"'),
]
VERBS = [
    Attack("a list instead of a get", JANE, f"GET {OWN}/secrets", 403, f'{CANNOT} list resource "secrets"'),
    Attack("a watch instead of a list", JANE, f"GET {OWN}/configmaps?watch=1", 403, f"{CANNOT} watch"),
    Attack("a watch, encoded", JANE, f"GET {OWN}/configmaps?w%61tch=1", 403, f"{CANNOT} watch"),
    Attack("a watch after a denial of it", JANE, f"GET {OWN}/configmaps?watch=1&watch=0", 403, f"{CANNOT} watch"),
    Attack("a watch by its old path", JANE, "GET /api/v1/watch/namespaces/own/configmaps", 403, f"{CANNOT} watch"),
    Attack("a watch of one by its old path", JANE, "GET /api/v1/watch/namespaces/own/secrets/allowed", 403, "watch"),
    Attack("all instead of one", JANE, f"DELETE {OWN}/pods", 403, f"{CANNOT} deletecollection"),
    Attack("all by a slash at the end", JANE, f"DELETE {OWN}/pods/", 403, f"{CANNOT} deletecollection"),
    Attack("a subresource of its resource", JANE, f"GET {OWN}/pods/web/log", 403, 'resource "pods/log"'),
    Attack("a subresource, encoded", JANE, f"GET {OWN}/pods/web%2flog", 403, 'resource "pods/log"'),
    Attack("an exec by GET", JANE, f"GET {OWN}/pods/web/exec?command=sh", 403, 'resource "pods/exec"'),
    Attack("a HEAD", JANE, f"HEAD {OWN}/secrets/other", 403),
    Attack("an unknown method", JANE, f"BREW {OWN}/secrets/other", 400, "Invalid HTTP request"),
    Attack("a method in small letters", JANE, f"get {OWN}/secrets/other", 400, "Invalid HTTP request"),
    Attack(
        "a method by a header",
        JANE,
        f"GET {OWN}/pods/web",
        404,  # a GET, and there is no such pod
        'pods "web" not found',
        None,
        {"X-HTTP-Method-Override": "DELETE", "X-Original-URL": f"{VICTIM}/secrets/allowed"},
    ),
    Attack("a create by PUT", JANE, f"PUT {OWN}/secrets/allowed", 403, f"{CANNOT} update", {}),
]
PATHS = [
    Attack("metrics", JANE, "GET /metrics", 403, f'{CANNOT} get path "/metrics"'),
    Attack("metrics with a slash", JANE, "GET /metrics/", 403, CANNOT),
    Attack("metrics with two slashes", JANE, "GET //metrics", 403, CANNOT),
    Attack("metrics from an open path", "", "GET /healthz/../metrics", 404),
    Attack("metrics from an open path, encoded", "", "GET /healthz/%2e%2e/metrics", 404),
    Attack("metrics from an open path, in one piece", "", "GET /livez/..%2fmetrics", 404),
    Attack("metrics from the version", JANE, "GET /version/../metrics", 403, CANNOT),
    Attack("Secrets from an open path", "", f"GET /readyz/..{VICTIM}/secrets/allowed", 404),
    Attack("a file", JANE, "GET /..%2f..%2f..%2fetc/passwd", 403, CANNOT),
]


@pytest.mark.parametrize("attack", [*NAMES, *PLACES, *VERBS, *PATHS], ids=lambda attack: attack.name)
def test_a_trick_does_not_get(api: ApiServer, attack: Attack) -> None:
    assert_repelled(api.port, attack)


@pytest.mark.parametrize("path", [f"{OWN}/secrets/allowed/", f"{OWN}/secrets/%61llowed"])
def test_another_spelling_of_what_is_allowed_is_that(api: ApiServer, path: str) -> None:
    code, text = perform(api.port, Attack("", JANE, f"GET {path}", 200))
    assert code == 200, text
    assert '"name":"allowed"' in text
