"""Tokens of other issuers: an issuer on loopback, and what the server makes of its tokens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.eventually import eventually
from tests.kits.identity.issuer import WELL_KNOWN, Issuer, running_issuer

WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
QUESTION = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
RULES: dict[str, Any] = {
    "claimMappings": {
        "username": {"expression": "'oidc:' + claims.sub"},
        "groups": {"expression": "has(claims.roles) ? claims.roles.split(',') : []"},
        "uid": {"claim": "uid"},
        "extra": [{"key": "example.com/tenant", "valueExpression": "has(claims.tenant) ? claims.tenant : ''"}],
    },
    "claimValidationRules": [
        {"expression": "claims.exp - claims.iat <= 3600", "message": "lives too long"},
        {"claim": "hd", "requiredValue": "example.com"},
    ],
    "userValidationRules": [
        {"expression": "!user.username.startsWith('oidc:system:')", "message": "reserved"},
        {"expression": "user.groups.all(group, !group.startsWith('system:'))", "message": "reserved groups"},
    ],
}


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServer]:
    with EtcdServer(tmp_path_factory.mktemp("etcd")) as server:
        yield server


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    with running_issuer(tmp_path_factory.mktemp("issuer")) as running:
        yield running


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, etcd: EtcdServer, issuer: Issuer) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("api")
    file = folder / "authentication.yaml"
    file.write_text(yaml.safe_dump(issuer.configuration(**RULES)))
    with ApiServer(folder / "apiserver", etcd.url, f"--authentication-config={file}") as server:
        yield server


def ask(api: ApiServer, token: str) -> httpx.Response:
    with api.client(token) as http:
        return http.post(WHOAMI, json=QUESTION)


def user(api: ApiServer, token: str) -> Any:
    answer = ask(api, token)
    assert answer.status_code == 201, answer.text
    return answer.json()["status"]["userInfo"]


def test_claims_become_a_user(api: ApiServer, issuer: Issuer) -> None:
    assert user(api, issuer.token(hd="example.com", roles="a,b", uid="7", tenant="t")) == {
        "username": "oidc:joe",
        "uid": "7",
        "groups": ["a", "b", "system:authenticated"],
        "extra": {"example.com/tenant": ["t"]},
    }
    assert user(api, issuer.token(hd="example.com")) == {"username": "oidc:joe", "groups": ["system:authenticated"]}


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"hd": "example.org"}, "required claim hd"),
        ({"exp": int(time.time()) + 7200}, "lives too long"),
        ({"sub": "system:admin"}, "reserved"),
        ({"roles": "system:masters"}, "reserved groups"),
        ({"sub": None}, "sub"),
        ({"sub": 7}, ""),
        ({"uid": 7}, "the uid is not a string"),
        ({"aud": "another"}, "other audiences"),
        ({"exp": int(time.time()) - 1}, "expired"),
        ({"exp": None}, "when it ends"),
        ({"nbf": int(time.time()) + 3000}, "not valid yet"),
    ],
)
def test_a_token_that_breaks_a_rule_is_refused(api: ApiServer, issuer: Issuer, claims: Any, reason: str) -> None:
    token = issuer.token(**{"hd": "example.com", **claims})
    assert ask(api, token).status_code == 401
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    status = api.http.post("/apis/authentication.k8s.io/v1/tokenreviews", json=review).json()["status"]
    assert not status.get("authenticated")
    assert reason in status["error"]


def test_a_review_tells_the_user_of_a_token(api: ApiServer, issuer: Issuer) -> None:
    spec = {"token": issuer.token(hd="example.com")}
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
    status = api.http.post("/apis/authentication.k8s.io/v1/tokenreviews", json=review).json()["status"]
    assert (status["authenticated"], status["user"]["username"]) == (True, "oidc:joe")


def test_a_new_key_is_fetched_when_a_token_names_it(api: ApiServer, issuer: Issuer) -> None:
    user(api, issuer.token(hd="example.com"))
    issuer.keys["second"] = ec.generate_private_key(ec.SECP256R1())
    token = issuer.token("second", hd="example.com")
    eventually(lambda: ask(api, token).status_code == 201)  # it is asked again after a few seconds at the earliest
    fetched = len(issuer.requests)
    foreign = rsa.generate_private_key(65537, 2048)
    for number in range(20):
        assert ask(api, issuer.token(f"unknown-{number}", key=foreign, hd="example.com")).status_code == 401
    assert len(issuer.requests) - fetched <= 4
    assert WELL_KNOWN in issuer.requests


def test_flags_name_one_issuer(tmp_path_factory: pytest.TempPathFactory, etcd: EtcdServer, issuer: Issuer) -> None:
    folder = tmp_path_factory.mktemp("flags")
    ca = folder / "ca.crt"
    ca.write_text(issuer.ca_pem)
    flags = [
        f"--oidc-issuer-url={issuer.url}", "--oidc-client-id=the-cluster", f"--oidc-ca-file={ca}",
        "--oidc-groups-claim=groups", "--oidc-groups-prefix=g:", "--oidc-required-claim=hd=example.com",
    ]  # fmt: skip
    with ApiServer(folder / "apiserver", etcd.url, *flags) as api:
        answer = user(api, issuer.token(hd="example.com", groups=["a"]))
        assert answer == {"username": f"{issuer.url}#joe", "groups": ["g:a", "system:authenticated"]}
        assert ask(api, issuer.token(groups=["a"])).status_code == 401
