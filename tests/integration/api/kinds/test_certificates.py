"""CertificateSigningRequest: who may decide and sign, and what nobody may ask for, with --authorization-mode=RBAC."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import httpx
import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.eventually import eventually
from tests.kits.net.requests import encoded_request

Dict = dict[str, Any]

RBAC = "/apis/rbac.authorization.k8s.io/v1"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
MERGE = {"content-type": "application/merge-patch+json"}
APPROVED = {"status": {"conditions": [{"type": "Approved", "status": "True", "reason": "r"}]}}
FAILED = {"status": {"conditions": [{"type": "Failed", "status": "True", "reason": "r"}]}}

_numbers = count(1)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("certificates")
    with EtcdServer(folder) as etcd, ApiServer(folder / "apiserver", etcd.url, "--authorization-mode=RBAC") as server:
        yield server


@pytest.fixture(scope="module")
def jane(api: ApiServer) -> Iterator[httpx.Client]:
    """She may write requests and both of their subresources, and is for `granted.example/*` a signer and approver."""
    rules: list[Dict] = [
        {
            "apiGroups": ["certificates.k8s.io"],
            "resources": [f"certificatesigningrequests{suffix}" for suffix in ("", "/approval", "/status")],
            "verbs": ["*"],
        },
        {
            "apiGroups": ["certificates.k8s.io"],
            "resources": ["signers"],
            "resourceNames": ["granted.example/*", "single.example/one"],
            "verbs": ["approve", "sign"],
        },
    ]
    meta = {"name": "janes-requests"}
    role = {"kind": "ClusterRole", "name": "janes-requests"}
    for plural, body in (
        ("clusterroles", {"metadata": meta, "rules": rules}),
        ("clusterrolebindings", {"metadata": meta, "roleRef": role, "subjects": [{"kind": "User", "name": "jane"}]}),
    ):
        answer = api.http.post(f"{RBAC}/{plural}", json=body)
        assert answer.status_code == 201, answer.text
    with api.client("other-token") as http:
        eventually(lambda: http.get(REQUESTS).status_code == 200, "the role is known")
        yield http


def ask(http: httpx.Client, signer: str, *organizations: str, path: str = REQUESTS) -> httpx.Response:
    spec = {"request": encoded_request("jane", organizations), "signerName": signer, "usages": ["client auth"]}
    return http.post(path, json={"metadata": {"name": f"r{next(_numbers)}"}, "spec": spec})


@pytest.mark.parametrize(
    ("subresource", "verb", "change"), [("approval", "approve", APPROVED), ("status", "sign", FAILED)]
)
def test_a_decision_needs_the_right_for_its_signer(
    jane: httpx.Client, subresource: str, verb: str, change: Dict
) -> None:
    for signer, code in (
        ("granted.example/any", 200),
        ("single.example/one", 200),
        ("single.example/two", 403),
        ("kubernetes.io/kube-apiserver-client", 403),
    ):
        name = ask(jane, signer).json()["metadata"]["name"]
        answer = jane.patch(f"{REQUESTS}/{name}/{subresource}", json=change, headers=MERGE)
        assert answer.status_code == code, answer.text
        if code == 403:
            assert answer.json()["message"] == (
                f'certificatesigningrequests.certificates.k8s.io "{name}" is forbidden: user not permitted to {verb} '
                f'requests with signerName "{signer}"'
            )


def test_a_status_without_a_change_needs_no_right(jane: httpx.Client) -> None:
    name = ask(jane, "single.example/two").json()["metadata"]["name"]
    answer = jane.patch(f"{REQUESTS}/{name}/status", json={"metadata": {"labels": {"a": "b"}}}, headers=MERGE)
    assert answer.status_code == 200, answer.text


def test_nobody_gets_a_certificate_of_the_masters(api: ApiServer) -> None:
    answer = ask(api.http, "kubernetes.io/kube-apiserver-client", "dev", "system:masters")
    assert answer.status_code == 403
    assert answer.json()["message"].endswith(
        "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"
    )
    assert ask(api.http, "example.com/own", "system:masters").status_code == 201


def test_the_requester_is_the_user_and_not_what_is_sent(jane: httpx.Client) -> None:
    spec = ask(jane, "granted.example/any").json()["spec"]
    assert (spec["username"], spec["uid"]) == ("jane", "jane-uid")
    assert spec["groups"] == ["system:authenticated"]


def test_a_dry_run_stores_no_request(jane: httpx.Client) -> None:
    answer = ask(jane, "granted.example/any", path=f"{REQUESTS}?dryRun=All")
    assert answer.status_code == 201
    assert jane.get(f"{REQUESTS}/{answer.json()['metadata']['name']}").status_code == 404
