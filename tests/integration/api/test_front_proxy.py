"""A front proxy names users in headers: its own certificate lets it, and nothing else does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from componentbase.tls import client_context
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.identity.certificates import write_certificates

WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
QUESTION = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
JOE = {"x-remote-user": "joe", "x-remote-group": "system:masters", "x-remote-extra-project": "x"}

Pki = dict[str, dict[str, Path]]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Authorities of clients, proxies and of nobody, each with a certificate "client"."""
    return {
        name: write_certificates(tmp_path_factory.mktemp(name), authority=name)
        for name in ("clients", "proxies", "foreign")
    }


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("front-proxy")
    flags = [
        "--authorization-mode=RBAC",
        f"--client-ca-file={pki['clients']['ca']}",
        f"--requestheader-client-ca-file={pki['proxies']['ca']}",
        "--requestheader-allowed-names=client",
    ]
    with EtcdServer(folder) as etcd, ApiServer(folder / "apiserver", etcd.url, *flags) as server:
        yield server


def client(api: ApiServer, files: dict[str, Path], name: str = "client") -> httpx.Client:
    tls = client_context(cert_file=str(files[name]), key_file=str(files[f"{name}-key"]), insecure=True)
    return httpx.Client(base_url=api.url, verify=tls)


def ask(http: httpx.Client, headers: dict[str, str]) -> tuple[int, Any]:
    answer = http.post(WHOAMI, json=QUESTION, headers=headers)
    return answer.status_code, answer.json().get("status")


def test_the_proxys_headers_name_the_user(api: ApiServer, pki: Pki) -> None:
    with client(api, pki["proxies"]) as http:
        code, status = ask(http, JOE)
        assert (code, status["userInfo"]) == (201, {
            "username": "joe", "groups": ["system:masters", "system:authenticated"], "extra": {"project": ["x"]},
        })  # fmt: skip
        code, status = ask(http, {"x-remote-user": "ann"})  # each request anew, on one connection
        assert status["userInfo"]["username"] == "ann"
        assert ask(http, {})[0] == 401  # a proxy is no user itself


def test_the_headers_of_others_mean_nothing(api: ApiServer, pki: Pki) -> None:
    with client(api, pki["clients"]) as http:
        code, status = ask(http, JOE)
    user = status["userInfo"]
    assert (code, user["username"], user["groups"]) == (201, "client", ["system:authenticated"])
    with client(api, pki["proxies"], "server") as http:  # signed, but under another name
        assert ask(http, JOE)[0] == 401
    with api.client() as http:
        assert ask(http, JOE)[0] == 403  # anonymous, who may not ask
    with client(api, pki["foreign"]) as http, pytest.raises(httpx.TransportError):
        ask(http, JOE)


def test_the_authorities_are_published(api: ApiServer, pki: Pki) -> None:
    path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
    data = api.http.get(path).json()["data"]
    assert data["client-ca-file"] == pki["clients"]["ca"].read_text()
    assert data["requestheader-client-ca-file"] == pki["proxies"]["ca"].read_text()
    lists = {key: json.loads(value) for key, value in data.items() if not key.endswith("-file")}
    assert lists == {
        "requestheader-allowed-names": ["client"],
        "requestheader-username-headers": ["X-Remote-User"],
        "requestheader-uid-headers": ["X-Remote-Uid"],
        "requestheader-group-headers": ["X-Remote-Group"],
        "requestheader-extra-headers-prefix": ["X-Remote-Extra-"],
    }
