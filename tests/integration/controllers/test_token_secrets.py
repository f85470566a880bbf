"""Secrets of the type kubernetes.io/service-account-token: filled, good for requests, and gone with their account."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.eventually import eventually
from tests.kits.process import controller_manager

Dict = dict[str, Any]

CONTROLLER = "--controllers=serviceaccount-token-controller"
ACCOUNT_NAME = "kubernetes.io/service-account.name"
ACCOUNT_UID = "kubernetes.io/service-account.uid"
INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since"
PERIOD = "--legacy-service-account-token-clean-up-period=1ms"  # each Secret is old at once
MERGE = {"Content-Type": "application/merge-patch+json"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API server and the controller, with one key."""
    folder = tmp_path_factory.mktemp("api")
    key = folder / "sa.key"
    private = ec.generate_private_key(ec.SECP256R1())
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    flag = f"--service-account-signing-key-file={key}"
    with EtcdServer(folder) as etcd, ApiServer(folder / "apiserver", etcd.url, flag) as server:
        flag = f"--service-account-private-key-file={key}"
        with controller_manager(server.url, folder / "manager", CONTROLLER, flag):
            yield server


class Space:
    """An account "robot" and its token Secret "robot-token", in one namespace."""

    def __init__(self, api: ApiServer, namespace: str) -> None:
        self.api, self.namespace = api, namespace
        self.root = f"/api/v1/namespaces/{namespace}"
        self.account = f"{self.root}/serviceaccounts/robot"
        self.secret = f"{self.root}/secrets/robot-token"
        self.make("serviceaccounts", {"metadata": {"name": "robot"}, "secrets": [{"name": "robot-token"}]})
        self.make_secret()

    def make(self, plural: str, body: Dict) -> None:
        answer = self.api.http.post(f"{self.root}/{plural}", json=body)
        assert answer.status_code == 201, answer.text

    def make_secret(self) -> None:
        meta = {"name": "robot-token", "annotations": {ACCOUNT_NAME: "robot"}}
        self.make("secrets", {"metadata": meta, "type": "kubernetes.io/service-account-token"})

    def filled(self) -> Dict:
        def data() -> Dict:
            found: Dict = self.api.http.get(self.secret).json().get("data", {})
            return found if "token" in found else {}

        return eventually(data, "the token")

    def token(self) -> str:
        return b64decode(self.filled()["token"]).decode()

    def user(self, token: str) -> str:
        """The name of the user that the token speaks for; "" where it is refused."""
        review = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        with self.api.client(token) as client:
            answer = client.post(review, json={})
        return str(answer.json()["status"]["userInfo"]["username"]) if answer.status_code == 201 else ""


@pytest.fixture
def space(api: ApiServer, namespace: str) -> Space:
    return Space(api, namespace)


def test_it_is_filled_and_speaks_for_its_account(space: Space) -> None:
    data = space.filled()
    assert set(data) == {"token", "ca.crt", "namespace"}
    assert b64decode(data["namespace"]).decode() == space.namespace
    secret, account = (space.api.http.get(path).json() for path in (space.secret, space.account))
    assert secret["metadata"]["annotations"][ACCOUNT_UID] == account["metadata"]["uid"]
    assert space.user(space.token()) == f"system:serviceaccount:{space.namespace}:robot"


def test_its_token_ends_with_it_and_so_does_the_accounts_reference(space: Space) -> None:
    token = space.token()
    assert space.user(token)
    assert space.api.http.delete(space.secret).status_code == 200
    assert space.user(token) == ""
    eventually(lambda: "secrets" not in space.api.http.get(space.account).json(), "the end of the reference")


def test_a_new_secret_of_the_same_name_does_not_revive_the_old_token(space: Space) -> None:
    token = space.token()
    space.api.http.delete(space.secret)
    space.make_secret()
    assert space.token() != token
    assert space.user(token) == ""


def test_it_goes_with_its_account(space: Space) -> None:
    token = space.token()
    assert space.api.http.delete(space.account).status_code == 200
    assert space.user(token) == ""
    eventually(lambda: space.api.http.get(space.secret).status_code == 404, "the end of the secret")


def test_a_token_that_is_marked_invalid_is_refused(space: Space) -> None:
    token = space.token()
    label = {INVALID_SINCE: "2026-01-01"}
    patch = {"metadata": {"labels": label}}
    assert space.api.http.patch(space.secret, json=patch, headers=MERGE).status_code == 200
    assert space.user(token) == ""


def test_the_day_of_its_last_use_is_noted(space: Space) -> None:
    path = "/api/v1/namespaces/kube-system/configmaps/kube-apiserver-legacy-service-account-token-tracking"
    since = space.api.http.get(path).json()["data"]["since"]
    assert space.user(space.token())
    label = "kubernetes.io/legacy-token-last-used"
    used = eventually(lambda: space.api.http.get(space.secret).json()["metadata"].get("labels", {}).get(label))
    assert since <= used  # days, written so that their order is that of their texts


def test_one_that_nobody_uses_is_marked_and_then_deleted_by_its_cleaner(space: Space, tmp_path: Path) -> None:
    token, http = space.token(), space.api.http
    path = "/api/v1/namespaces/kube-system/configmaps/kube-apiserver-legacy-service-account-token-tracking"
    assert http.patch(path, json={"data": {"since": "2020-01-01"}}, headers=MERGE).status_code == 200
    flags = "--controllers=legacy-serviceaccount-token-cleaner-controller", PERIOD
    with controller_manager(space.api.url, tmp_path, *flags):
        eventually(lambda: INVALID_SINCE in http.get(space.secret).json()["metadata"].get("labels", {}), "the mark")
    assert space.user(token) == ""
    patch = {"metadata": {"labels": {INVALID_SINCE: "2020-01-01"}}}
    assert http.patch(space.secret, json=patch, headers=MERGE).status_code == 200
    with controller_manager(space.api.url, tmp_path, *flags):
        eventually(lambda: http.get(space.secret).status_code == 404, "the end of the secret")
