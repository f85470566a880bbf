"""Every start of an API server completes the default roles and bindings, whoever else does so at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apiserver.main.defaultroles import default_roles
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer

Dict = dict[str, Any]

RBAC = "/apis/rbac.authorization.k8s.io/v1"
MERGE = {"content-type": "application/merge-patch+json"}
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ApiServer]:
    with EtcdServer(tmp_path) as etcd, ApiServer(tmp_path / "apiserver", etcd.url) as server:
        yield server


def get(api: ApiServer, path: str) -> Dict:
    answer = api.http.get(f"{RBAC}/{path}")
    assert answer.status_code == 200, answer.text
    document: Dict = answer.json()
    return document


def change(api: ApiServer, path: str, patch: Dict) -> None:
    answer = api.http.patch(f"{RBAC}/{path}", json=patch, headers=MERGE)
    assert answer.status_code == 200, answer.text


def test_a_restart_repairs_what_is_missing_and_keeps_the_rest(api: ApiServer) -> None:
    own_rule = {"verbs": ["get"], "apiGroups": ["example.com"], "resources": ["widgets"]}
    own_subject = {"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}
    proxier, dns = "clusterroles/system:node-proxier", "clusterrolebindings/system:kube-dns"
    rules, subjects = get(api, proxier)["rules"], get(api, dns)["subjects"]
    untouched = get(api, "clusterroles/system:node")["metadata"]["resourceVersion"]
    change(api, proxier, {"rules": [own_rule, *rules[1:]], "metadata": {"labels": None}})
    change(api, dns, {"subjects": [own_subject]})
    change(
        api, "clusterroles/system:heapster", {"rules": [own_rule], "metadata": {"annotations": {AUTOUPDATE: "false"}}}
    )
    for path in (
        "clusterroles/system:discovery",
        "namespaces/kube-public/rolebindings/system:controller:bootstrap-signer",
    ):
        assert api.http.delete(f"{RBAC}/{path}").status_code == 200
    other = {"kind": "ClusterRole", "name": "view", "apiGroup": "rbac.authorization.k8s.io"}
    assert api.http.delete(f"{RBAC}/clusterrolebindings/system:basic-user").status_code == 200
    body = {"metadata": {"name": "system:basic-user"}, "roleRef": other}
    assert api.http.post(f"{RBAC}/clusterrolebindings", json=body).status_code == 201

    api.stop()
    api.start()
    repaired = get(api, proxier)
    assert repaired["rules"][0] == own_rule
    assert {verb for rule in repaired["rules"] for verb in rule["verbs"] if "endpoints" in rule["resources"]} == {
        "list",
        "watch",
    }
    assert repaired["metadata"]["labels"] == {"kubernetes.io/bootstrapping": "rbac-defaults"}
    assert get(api, dns)["subjects"] == [own_subject, *subjects]
    assert get(api, "clusterroles/system:heapster")["rules"] == [own_rule]
    assert get(api, "clusterroles/system:discovery")["rules"]
    assert get(api, "namespaces/kube-public/rolebindings/system:controller:bootstrap-signer")["subjects"]
    assert get(api, "clusterrolebindings/system:basic-user")["roleRef"]["name"] == "system:basic-user"
    assert get(api, "clusterroles/system:node")["metadata"]["resourceVersion"] == untouched


def test_servers_that_start_together_make_one_set(tmp_path: Path) -> None:
    with EtcdServer(tmp_path) as etcd:
        servers = [ApiServer(tmp_path / f"apiserver{number}", etcd.url) for number in range(3)]
        starts = [threading.Thread(target=server.start) for server in servers]
        try:
            for start in starts:
                start.start()
            for start in starts:
                start.join()
            roles = default_roles()
            for server in servers:
                assert len(get(server, "clusterroles")["items"]) == sum(not role.role.namespace for role in roles)
                assert len(get(server, "rolebindings")["items"]) == sum(bool(role.role.namespace) for role in roles)
        finally:
            for server in servers:
                server.stop()
