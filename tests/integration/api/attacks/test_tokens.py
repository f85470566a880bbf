"""Forged, stolen and misused credentials: what is tried, and what it must get.

Each asks the server who it is. 201 would be an identity, 401 is none, and 403 is what system:anonymous gets.
"""

from __future__ import annotations

import json
import socket
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jwt
import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.kits.attacks import UNTRUSTED, Attack, assert_repelled, perform
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.eventually import eventually
from tests.kits.identity.certificates import write_certificates
from tests.kits.identity.issuer import Issuer, running_issuer
from tests.kits.identity.tokens import Forger, encode
from tests.kits.process import TOKEN

Dict = dict[str, Any]

NS = "/api/v1/namespaces/ns"
WHOAMI = "POST /apis/authentication.k8s.io/v1/selfsubjectreviews"
QUESTION = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
ANONYMOUS = 'User "system:anonymous" cannot create resource "selfsubjectreviews"'
JANE = "other-token"  # a user without any rights
EC_KEY, RSA_KEY = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
SECRET = "0123456789abcdef"
NOW = int(time.time())
DER = serialization.Encoding.DER


class Target(NamedTuple):
    api: ApiServer
    account: Forger
    """A token of the service account `robot`."""
    issuer: Issuer

    def issued(self) -> Forger:
        return Forger(self.issuer.token(), self.issuer.keys["first"])


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("tokens")
    with running_issuer(tmp_path_factory.mktemp("issuer")) as issuer, EtcdServer(folder) as etcd:
        configuration = folder / "authentication.yaml"
        configuration.write_text(yaml.safe_dump(issuer.configuration()))
        proxies = write_certificates(tmp_path_factory.mktemp("proxies"), authority="proxies")
        flags = [
            "--authorization-mode=RBAC", "--enable-bootstrap-token-auth", f"--authentication-config={configuration}",
            f"--requestheader-client-ca-file={proxies['ca']}",
        ]  # fmt: skip
        with ApiServer(folder / "apiserver", etcd.url, *flags) as api:
            api.make_namespace("ns")
            key = serialization.load_pem_private_key(
                (Path(api.folder) / "service-account.key").read_bytes(), password=None
            )
            yield Target(api, Forger(account_token(api, "robot"), key), issuer)


def account_token(api: ApiServer, name: str, **spec: Any) -> str:
    """A new token of a service account, which is made where it is missing."""
    api.http.post(f"{NS}/serviceaccounts", json={"metadata": {"name": name}})
    answer = api.http.post(f"{NS}/serviceaccounts/{name}/token", json={"spec": spec})
    assert answer.status_code == 201, answer.text
    token: str = answer.json()["status"]["token"]
    return token


def ask(token: str, code: int = 401, says: str = "Unauthorized", **headers: str) -> Attack:
    return Attack("", token, WHOAMI, code, says, QUESTION, headers)


def test_the_credentials_that_are_forged_here_are_good_themselves(target: Target) -> None:
    for token in (target.account.token, target.account.signed(), target.issuer.token(), JANE):
        assert perform(target.api.port, ask(token))[0] == 201


class Forgery(NamedTuple):
    name: str
    make: Callable[[Forger], str]
    accounts_alone: bool = False
    """Not a mistake in a token of another issuer."""


FORGERIES = [
    Forgery("no algorithm", lambda f: f.assembled({"alg": "none"})),
    Forgery("no algorithm, in capitals", lambda f: f.assembled({"alg": "NONE"})),
    Forgery("no algorithm, in both", lambda f: f.assembled({"alg": "nOnE"})),
    Forgery("no algorithm, with the good signature", lambda f: f.assembled({"alg": "none"}) + f.parts()[2]),
    Forgery("an algorithm that is null", lambda f: f.assembled({"alg": None})),
    Forgery("an algorithm that is a list", lambda f: f.assembled({"alg": ["RS256", "ES256"]})),
    Forgery("the public key as a secret", lambda f: f.by_public_key()),
    Forgery("the public key as a secret, as DER", lambda f: f.by_public_key(DER)),
    Forgery("an empty secret", lambda f: f.assembled({"alg": "HS256"}, lambda text: b"")),
    Forgery("zeros for a signature", lambda f: f.assembled({"alg": "ES256"}, lambda text: bytes(64))),
    Forgery("zeros for a longer signature", lambda f: f.assembled({}, lambda text: bytes(256))),
    Forgery("another key", lambda f: jwt.encode(f.claims, EC_KEY, "ES256", headers=f.header | {"alg": "ES256"})),
    Forgery("another RSA key", lambda f: jwt.encode(f.claims, RSA_KEY, "RS256", headers=f.header | {"alg": "RS256"})),
    Forgery("another key, unnamed", lambda f: jwt.encode(f.claims, EC_KEY, "ES256")),
    Forgery("another key, named by a path", lambda f: f.assembled({"kid": "../../../../dev/null"})),
    Forgery("a key's name with SQL", lambda f: f.assembled({"kid": "x' UNION SELECT 'key"})),
    Forgery("a key's name with a NUL", lambda f: f.assembled({"kid": f.header["kid"] + "\0"})),
    Forgery("a key's name that is null", lambda f: f.assembled({"kid": None})),
    Forgery("a key's name that is an object", lambda f: f.assembled({"kid": {"a": 1}})),
    Forgery(
        "another key, in the header itself",
        lambda f: jwt.encode(
            f.claims,
            RSA_KEY,
            "RS256",
            headers={"jwk": json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA_KEY.public_key()))},
        ),
    ),
    Forgery(
        "another key, at an address in the header",
        lambda f: jwt.encode(f.claims, RSA_KEY, "RS256", headers={"jku": "https://127.0.0.1:1/", "x5u": "file:///x"}),
    ),
    Forgery("an extension that must be understood", lambda f: f.signed(header={"crit": ["x"], "x": 1})),
    Forgery("other claims under the signature", lambda f: f.with_claims({**f.claims, "sub": "admin"})),
    Forgery("expired", lambda f: f.signed(exp=NOW - 1)),
    Forgery("expired long ago", lambda f: f.signed(exp=-1)),
    Forgery("without an end", lambda f: f.signed(exp=None)),
    Forgery("an end that is text", lambda f: f.signed(exp="later")),
    Forgery("an end that is no number", lambda f: f.signed(exp=float("nan"))),
    Forgery("an end in a list", lambda f: f.signed(exp=[NOW + 600])),
    Forgery("not valid yet", lambda f: f.signed(nbf=NOW + 3000)),
    Forgery("for others", lambda f: f.signed(aud="https://bank.example")),
    Forgery("for nobody", lambda f: f.signed(aud=[])),
    Forgery("without an audience", lambda f: f.signed(aud=None)),
    Forgery("an audience that is an object", lambda f: f.signed(aud={"a": 1})),
    Forgery("of another issuer", lambda f: f.signed(iss="https://evil.example")),
    Forgery("without an issuer", lambda f: f.signed(iss=None)),
    Forgery("an issuer with a slash", lambda f: f.signed(iss=f.claims["iss"] + "/")),
    Forgery("without a user", lambda f: f.signed(sub=None)),
    Forgery("in the name of another account", lambda f: f.signed(sub="system:serviceaccount:kube-system:boss"), True),
    Forgery("in the name of an administrator", lambda f: f.signed(sub="admin"), True),
    Forgery("without the object", lambda f: f.signed(**{"kubernetes.io": None}), True),
    Forgery("with an empty object", lambda f: f.signed(**{"kubernetes.io": {}}), True),
    Forgery("with a list for the object", lambda f: f.signed(**{"kubernetes.io": []}), True),
    Forgery("truncated", lambda f: f.token[:-1]),
    Forgery("half", lambda f: f.token[: len(f.token) // 2]),
    Forgery("without a signature", lambda f: ".".join(f.parts()[:2])),
    Forgery("with an empty signature", lambda f: ".".join(f.parts()[:2]) + "."),
    Forgery("without claims", lambda f: f"{f.parts()[0]}..{f.parts()[2]}"),
    Forgery("without a header", lambda f: f".{f.parts()[1]}.{f.parts()[2]}"),
    Forgery("with a fourth part", lambda f: f.token + "." + f.parts()[2]),
    Forgery("five parts", lambda f: f.token + ".a.b"),
    Forgery("dots", lambda f: ".."),
    Forgery("with a byte behind", lambda f: f.token + "!"),
    Forgery("claims that are a list", lambda f: f.with_claims([1])),
    Forgery("claims that are not JSON", lambda f: f.with_claims(b"{")),
    Forgery("claims nested deeply", lambda f: f.with_claims(b"[" * 20000)),
    Forgery("a header nested deeply", lambda f: f"{encode(b'[' * 20000)}.{f.parts()[1]}.{f.parts()[2]}"),
    Forgery("a header that is a number", lambda f: f"{encode(1)}.{f.parts()[1]}.{f.parts()[2]}"),
    Forgery("bytes that are no text", lambda f: "\xff\xfe\xfd"),
    Forgery("two words", lambda f: f.token + " " + f.token),
]  # fmt: skip


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.name)
def test_a_forged_token_of_a_service_account(target: Target, forgery: Forgery) -> None:
    assert_repelled(target.api.port, ask(forgery.make(target.account)))


@pytest.mark.parametrize(
    "forgery", [forgery for forgery in FORGERIES if not forgery.accounts_alone], ids=lambda forgery: forgery.name
)
def test_a_forged_token_of_another_issuer(target: Target, forgery: Forgery) -> None:
    assert_repelled(target.api.port, ask(forgery.make(target.issued())))


def test_an_issuer_speaks_for_no_service_account(target: Target) -> None:
    claims = {**target.account.claims, "iss": target.issuer.url, "aud": "the-cluster"}
    code, text = perform(target.api.port, ask(target.issuer.token(**claims)))
    assert (code, json.loads(text)["status"]["userInfo"]["username"]) == (201, f"oidc:{claims['sub']}")


def test_an_account_signs_nothing_for_an_issuer(target: Target) -> None:
    token = target.account.signed(iss=target.issuer.url, aud="the-cluster", sub="joe")
    assert_repelled(target.api.port, ask(token))


def test_a_token_ends_with_its_account(target: Target) -> None:
    api, token = target.api, account_token(target.api, "gone")
    assert perform(api.port, ask(token))[0] == 201
    api.http.delete(f"{NS}/serviceaccounts/gone")
    eventually(lambda: perform(api.port, ask(token))[0] == 401)
    account_token(api, "gone")  # one of the same name is another
    assert_repelled(api.port, ask(token))


def test_a_token_ends_with_its_secret(target: Target) -> None:
    api = target.api
    api.http.post(f"{NS}/secrets", json={"metadata": {"name": "bound"}})
    token = account_token(api, "robot", boundObjectRef={"kind": "Secret", "apiVersion": "v1", "name": "bound"})
    assert perform(api.port, ask(token))[0] == 201
    api.http.delete(f"{NS}/secrets/bound")
    eventually(lambda: perform(api.port, ask(token))[0] == 401)


BOOTSTRAP = [
    ("good11", {}, SECRET, 201, ""),
    ("good12", {}, SECRET[:-1] + "0", 401, ""),
    ("good13", {}, SECRET.upper(), 401, ""),
    ("ended1", {"expiration": "2020-01-01T00:00:00Z"}, SECRET, 401, ""),
    ("ended2", {"expiration": "soon"}, SECRET, 401, ""),
    ("signs1", {"usage-bootstrap-authentication": "false"}, SECRET, 401, ""),
    ("master", {"auth-extra-groups": "system:masters"}, SECRET, 401, ""),
    ("ofnode", {"auth-extra-groups": "system:bootstrappers:a,system:nodes"}, SECRET, 401, ""),
    ("opaque", {}, SECRET, 401, "Opaque"),
    ("absent", {"token-id": "another"}, SECRET, 401, ""),
]


@pytest.mark.parametrize(("name", "values", "secret", "code", "kind"), BOOTSTRAP, ids=lambda value: str(value))
def test_a_bootstrap_token(target: Target, name: str, values: Dict, secret: str, code: int, kind: str) -> None:
    data = {"token-id": name, "token-secret": SECRET, "usage-bootstrap-authentication": "true", **values}
    body = {
        "metadata": {"name": f"bootstrap-token-{name}"},
        "type": kind or "bootstrap.kubernetes.io/token",
        "data": {key: b64encode(value.encode()).decode() for key, value in data.items()},
    }
    answer = target.api.http.post("/api/v1/namespaces/kube-system/secrets", json=body)
    assert answer.status_code == 201, answer.text
    got, text = perform(target.api.port, ask(f"{name}.{secret}"))
    assert got == code, text
    if code == 201:
        user = json.loads(text)["status"]["userInfo"]
        assert user["username"] == f"system:bootstrap:{name}"
        assert user["groups"] == ["system:bootstrappers", "system:authenticated"]


def test_a_bootstrap_token_of_another_namespace(target: Target) -> None:
    data = {"token-id": "elsewh", "token-secret": SECRET, "usage-bootstrap-authentication": "true"}
    body = {"metadata": {"name": "bootstrap-token-elsewh"}, "type": "bootstrap.kubernetes.io/token", "stringData": data}
    assert target.api.http.post(f"{NS}/secrets", json=body).status_code == 201
    assert_repelled(target.api.port, ask(f"elsewh.{SECRET}"))


HEADERS = [
    ("no credential", "", {}, 403, ANONYMOUS),
    ("a password", "", {"Authorization": "Basic YWRtaW46YWRtaW4="}, 403, ANONYMOUS),
    ("the token of a user as a password", "", {"Authorization": f"Basic {TOKEN}"}, 403, ANONYMOUS),
    ("a scheme alone", "", {"Authorization": "Bearer"}, 403, ANONYMOUS),
    ("a token in a cookie", "", {"Cookie": f"token={TOKEN}"}, 403, ANONYMOUS),
    ("a bad token before a good one", "wrong", {"authorization": f"Bearer {TOKEN}"}, 401, "Unauthorized"),
    ("two tokens in one header", "", {"Authorization": f"Bearer wrong, Bearer {TOKEN}"}, 401, "Unauthorized"),
    ("a token with a tab", "", {"Authorization": f"Bearer\t{TOKEN}"}, 403, ANONYMOUS),
    ("a huge token", "", {"Authorization": "Bearer " + "a" * 30_000}, 401, "Unauthorized"),
    (
        "the headers of a front proxy",
        "",
        {"X-Remote-User": "admin", "X-Remote-Group": "system:masters"},
        403,
        ANONYMOUS,
    ),
    ("the same with underscores", "", {"X_Remote_User": "admin", "X_Remote_Group": "system:masters"}, 403, ANONYMOUS),
    ("in the name of a user", JANE, {"Impersonate-User": "admin"}, 403, 'users "admin" is forbidden: User "jane"'),
    ("in lower case", JANE, {"impersonate-user": "admin"}, 403, 'users "admin" is forbidden: User "jane"'),
    ("in one's own name", JANE, {"Impersonate-User": "jane"}, 403, 'users "jane" is forbidden: User "jane"'),
    (
        "of a group that has no user",
        JANE,
        {"Impersonate-Group": "system:masters"},
        400,
        "without impersonating a user name",
    ),
    (
        "of an account",
        JANE,
        {"Impersonate-User": "system:serviceaccount:ns:robot"},
        403,
        'serviceaccounts "robot" is forbidden: User "jane" cannot impersonate resource "serviceaccounts" in API group',
    ),
    ("of nobody in particular", "", {"Impersonate-User": "admin"}, 403, 'User "system:anonymous" cannot impersonate'),
    ("with a bad token", "wrong", {"Impersonate-User": "admin"}, 401, "Unauthorized"),
]


@pytest.mark.parametrize(("name", "token", "headers", "code", "says"), HEADERS, ids=lambda value: str(value)[:40])
def test_headers(target: Target, name: str, token: str, headers: dict[str, str], code: int, says: str) -> None:
    assert_repelled(target.api.port, ask(token, code, says, **headers))


def test_a_proxys_headers_change_nothing_for_a_user(target: Target) -> None:
    headers = {"X-Remote-User": "admin", "X-Remote-Group": "system:masters", "X-Remote-Uid": "0"}
    code, text = perform(target.api.port, ask(JANE, **headers))
    user = json.loads(text)["status"]["userInfo"]
    assert (code, user["username"], user["groups"]) == (201, "jane", ["system:authenticated"])


def test_a_token_in_the_query_is_none(target: Target) -> None:
    path = f"GET /api/v1/namespaces?access_token={TOKEN}&token={TOKEN}"
    assert_repelled(target.api.port, Attack("", "", path, 403, 'User "system:anonymous" cannot list'))


def test_a_right_to_one_part_of_an_identity_is_none_to_another(target: Target) -> None:
    api, rbac = target.api, "/apis/rbac.authorization.k8s.io/v1"
    rules = [{"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users"], "resourceNames": ["joe"]}]
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "as-joe"}
    subject = {"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}
    api.http.post(f"{rbac}/clusterroles", json={"metadata": {"name": "as-joe"}, "rules": rules})
    binding = {"metadata": {"name": "as-joe"}, "roleRef": ref, "subjects": [subject]}
    assert api.http.post(f"{rbac}/clusterrolebindings", json=binding).status_code == 201
    joe = {"Impersonate-User": "joe"}
    eventually(lambda: perform(api.port, ask(JANE, **joe))[0] == 201)
    for part, refused in (
        ({"Impersonate-Group": "system:masters"}, 'groups "system:masters" is forbidden'),
        ({"Impersonate-Uid": "0"}, 'uids.authentication.k8s.io "0" is forbidden'),
        ({"Impersonate-Extra-Scopes": "all"}, 'userextras.authentication.k8s.io "all" is forbidden'),
        ({"Impersonate-Extra-Scopes%2fx": "all"}, 'cannot impersonate resource "userextras/scopes/x"'),
    ):
        assert_repelled(api.port, ask(JANE, 403, refused, **joe, **part))
    watch = Attack("", JANE, f"GET {NS}/secrets?watch=1", 403, 'User "joe" cannot watch', None, joe)
    assert_repelled(api.port, watch)
    upgrade = {**joe, "Upgrade": "SPDY/3.1", "Connection": "Upgrade"}
    exec_path = f"POST {NS}/pods/x/exec?command=id&stdout=1"
    assert_repelled(api.port, Attack("", JANE, exec_path, 403, 'User "joe" cannot create', None, upgrade))


SMUGGLED = [
    f"GET /api/v1/namespaces HTTP/1.1\r\nHost: h\r\nAuthorization : Bearer {TOKEN}\r\n\r\n",
    f"GET /api/v1/namespaces HTTP/1.1\r\nHost: h\r\nX: y\r\n Authorization: Bearer {TOKEN}\r\n\r\n",
    f"GET /api/v1/namespaces HTTP/1.1\r\nHost: h\r\nX: y\rAuthorization: Bearer {TOKEN}\r\n\r\n",
    f"GET /api/v1/namespaces HTTP/1.1\r\nHost: h\r\nX: y\nAuthorization: Bearer {TOKEN}\n\r\n",
    f"GET /api/v1/namespaces HTTP/1.1\r\nHost: h\r\nAuthorization\0: Bearer {TOKEN}\r\n\r\n",
    "POST /api/v1/namespaces HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    f"0\r\n\r\nGET /api/v1/namespaces HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {TOKEN}\r\n\r\n",
    "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
]


@pytest.mark.parametrize("text", SMUGGLED, ids=range(len(SMUGGLED)))
def test_no_header_is_smuggled(target: Target, text: str) -> None:
    """Refused as HTTP, or read as the request of nobody in particular."""
    with (
        socket.create_connection(("127.0.0.1", target.api.port), timeout=30) as plain,
        UNTRUSTED.wrap_socket(plain) as stream,
    ):
        stream.sendall(text.encode("latin-1"))
        answer = stream.recv(65536)
    assert answer.split(b" ", 2)[1] in (b"400", b"403"), answer
    assert b"NamespaceList" not in answer


def test_a_review_of_a_forged_token_names_nobody(target: Target) -> None:
    for token in (FORGERIES[0].make(target.account), target.account.by_public_key(), "wrong", "\0"):
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        answer = target.api.http.post("/apis/authentication.k8s.io/v1/tokenreviews", json=review)
        status = answer.json()["status"]
        assert (answer.status_code, status.get("authenticated"), status["user"]) == (201, None, {})
