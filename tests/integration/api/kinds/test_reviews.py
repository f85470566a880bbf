"""Who one is, who a token is, who may what; tokens of service accounts; Bindings and the control plane's state."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from componentbase.signing_keys import read_public_key, sign, verify
from tests.kits.client.kubectlversions import KUBECTLS
from tests.kits.control_plane.apiserver import HAS_KUBECTL, ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.eventually import eventually
from tests.kits.process import TOKEN

Dict = dict[str, Any]

AUTHENTICATION = "/apis/authentication.k8s.io/v1"
AUTHORIZATION = "/apis/authorization.k8s.io/v1"
ISSUER = "https://kubernetes.default.svc.cluster.local"
ADMIN = {"username": "admin", "uid": "admin-uid", "groups": ["system:masters", "system:authenticated"]}
GET_PODS = {"verb": "get", "resource": "pods", "namespace": "default"}


def ask(api: ApiServer, path: str, spec: Dict | None = None, code: int = 201, **more: Any) -> Dict:
    answer = api.http.post(path, json={"spec": spec or {}, **more})
    assert answer.status_code == code, answer.text
    body: Dict = answer.json()
    return body


def causes(body: Dict) -> list[str]:
    return [f"{cause['field']}: {cause['message']}" for cause in body["details"]["causes"]]


# Reviews


def test_who_one_is(api: ApiServer) -> None:
    answer = ask(api, f"{AUTHENTICATION}/selfsubjectreviews")
    assert (answer["kind"], answer["apiVersion"]) == ("SelfSubjectReview", "authentication.k8s.io/v1")
    assert answer["status"] == {"userInfo": ADMIN}


def test_who_a_token_is(api: ApiServer) -> None:
    path = f"{AUTHENTICATION}/tokenreviews"
    assert ask(api, path, {"token": TOKEN})["status"] == {
        "authenticated": True, "user": ADMIN, "audiences": [ISSUER],
    }  # fmt: skip
    unknown = ask(api, path, {"token": "nobody"})["status"]
    assert unknown == {"user": {}, "error": "invalid bearer token"}
    other = ask(api, path, {"token": TOKEN, "audiences": ["elsewhere"]})["status"]
    assert other == {"user": {}, "error": "invalid bearer token"}
    missing = ask(api, path, {}, 400)
    assert missing["message"] == "token is required for TokenReview in authentication"


def test_who_may_what(api: ApiServer, namespace: str) -> None:
    allowed = {"allowed": True}
    subject = {"user": "jane", "groups": ["a"], "extra": {"k": ["v"]}}
    path = {"verb": "get", "path": "/healthz"}
    own = f"{AUTHORIZATION}/selfsubjectaccessreviews"
    for attributes in ({"resourceAttributes": GET_PODS}, {"nonResourceAttributes": path}):
        assert ask(api, own, attributes)["status"] == allowed
        assert ask(api, f"{AUTHORIZATION}/subjectaccessreviews", attributes | subject)["status"] == allowed
    local = f"{AUTHORIZATION}/namespaces/{namespace}/localsubjectaccessreviews"
    spec = {"resourceAttributes": GET_PODS | {"namespace": namespace}, **subject}
    answer = ask(api, local, spec)
    assert answer["status"] == allowed
    assert answer["metadata"]["namespace"] == namespace
    answer = ask(api, f"{AUTHORIZATION}/selfsubjectrulesreviews", {"namespace": namespace})
    assert (answer["metadata"], answer["spec"]) == ({}, {}), "the question is left out, as upstream has it"
    rules = answer["status"]
    assert rules == {
        "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        "incomplete": False,
    }
    missing = ask(api, f"{AUTHORIZATION}/selfsubjectrulesreviews", {}, 400)
    assert missing["message"] == "no namespace on request"


EXACTLY_ONE = (
    "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be "
    "specified"
)
PATH = {"path": "/healthz", "verb": "get"}
BAD: list[tuple[str, Dict, Dict, list[str]]] = [
    (
        "subjectaccessreviews",
        {},
        {},
        [EXACTLY_ONE, 'spec.user: Invalid value: "": at least one of user or group must be specified'],
    ),
    ("selfsubjectaccessreviews", {}, {}, [EXACTLY_ONE]),
    (
        "selfsubjectaccessreviews",
        {"resourceAttributes": GET_PODS, "nonResourceAttributes": PATH},
        {},
        [
            'spec.nonResourceAttributes: Invalid value: {"path":"/healthz","verb":"get"}: cannot be specified in '
            "combination with resourceAttributes"
        ],
    ),
    (
        "selfsubjectaccessreviews",
        {"resourceAttributes": GET_PODS},
        {"name": "x"},
        ['metadata: Invalid value: {"name":"x"}: must be empty'],
    ),
    (
        "selfsubjectaccessreviews",
        {"resourceAttributes": {**GET_PODS, "labelSelector": {}}},
        {},
        [
            "spec.resourceAttributes.labelSelector.requirements: Required value: when "
            "spec.resourceAttributes.labelSelector is specified, requirements or rawSelector is required"
        ],
    ),
    (
        "namespaces/default/localsubjectaccessreviews",
        {"user": "a", "resourceAttributes": {**GET_PODS, "namespace": "other"}},
        {},
        ['spec.resourceAttributes.namespace: Invalid value: "other": must match metadata.namespace'],
    ),
    (
        "namespaces/default/localsubjectaccessreviews",
        {"user": "a", "nonResourceAttributes": PATH},
        {},
        [
            'spec.nonResourceAttributes: Invalid value: {"path":"/healthz","verb":"get"}: disallowed on this kind of '
            "request"
        ],
    ),
]


@pytest.mark.parametrize(("plural", "spec", "metadata", "expected"), BAD)
def test_reviews_are_checked(api: ApiServer, plural: str, spec: Dict, metadata: Dict, expected: list[str]) -> None:
    assert causes(ask(api, f"{AUTHORIZATION}/{plural}", spec, 422, metadata=metadata)) == expected


TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"


@pytest.mark.parametrize("form", [TABLE, "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"])
def test_what_is_no_row_and_has_no_metadata_is_not_acceptable(
    api: ApiServer, namespace: str, account: str, form: str
) -> None:
    review = f"{AUTHENTICATION}/selfsubjectreviews"
    for path in (review, f"{account}/token", f"/api/v1/namespaces/{namespace}/pods/p/eviction"):
        answer = api.http.post(path, json={}, headers={"accept": form})
        assert (answer.status_code, answer.json()["reason"]) == (406, "NotAcceptable")
    answer = api.http.post(review, json={}, headers={"accept": f"{form},application/json"})
    assert (answer.status_code, answer.json()["kind"]) == (201, "SelfSubjectReview")


def test_reviews_are_made_and_nothing_else(api: ApiServer) -> None:
    path = f"{AUTHENTICATION}/tokenreviews"
    assert api.http.get(path).status_code == 405
    assert api.http.get(f"{path}/x").status_code == 405
    names = {item["name"]: item for item in api.http.get(AUTHORIZATION).json()["resources"]}
    assert names["localsubjectaccessreviews"]["namespaced"] is True
    assert [item["verbs"] for item in names.values()] == [["create"]] * 4


@pytest.mark.parametrize("version", KUBECTLS)
def test_kubectl_auth(api: ApiServer, version: str) -> None:
    def auth(*words: str) -> str:
        flags = [f"--server={api.url}", "--insecure-skip-tls-verify", f"--token={TOKEN}"]
        command = [KUBECTLS[version], *flags, f"--cache-dir={api.folder}/kubectl-cache", "auth", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert auth("can-i", "delete", "pods") == "yes\n"
    assert auth("can-i", "--list").split("\n")[1].split() == ["*.*", "[]", "[]", "[*]"]
    if version != "1.27":  # which asks for versions of the API that have gone since
        assert json.loads(auth("whoami", "-o", "json"))["status"]["userInfo"] == ADMIN


# Tokens of service accounts


@pytest.fixture
def account(api: ApiServer, namespace: str) -> str:
    """The path of a new account."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    answer = api.http.post(path, json={"metadata": {"name": "robot"}})
    assert answer.status_code == 201, answer.text
    return f"{path}/robot"


def request_token(api: ApiServer, account: str, code: int = 201, **spec: Any) -> Dict:
    return ask(api, f"{account}/token", spec, code)


def token_of(api: ApiServer, account: str, **spec: Any) -> str:
    token: str = request_token(api, account, **spec)["status"]["token"]
    return token


def whoami(api: ApiServer, token: str) -> httpx.Response:
    with api.client(token) as client:
        return client.post(f"{AUTHENTICATION}/selfsubjectreviews", json={})


def claims_of(token: str) -> Dict:
    part = token.split(".")[1]
    claims: Dict = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def test_a_token_speaks_for_its_account(api: ApiServer, account: str, namespace: str) -> None:
    answer = request_token(api, account)
    assert (answer["kind"], answer["metadata"]["name"]) == ("TokenRequest", "robot")
    assert answer["spec"] == {"audiences": [ISSUER], "expirationSeconds": 3600, "boundObjectRef": None}
    token = answer["status"]["token"]
    claims = claims_of(token)
    uid = api.http.get(account).json()["metadata"]["uid"]
    assert (claims["iss"], claims["aud"], claims["exp"] - claims["iat"]) == (ISSUER, [ISSUER], 3600)
    assert claims["sub"] == f"system:serviceaccount:{namespace}:robot"
    assert claims["kubernetes.io"] == {"namespace": namespace, "serviceaccount": {"name": "robot", "uid": uid}}
    for _ in range(2):  # verified, then known
        assert whoami(api, token).json()["status"]["userInfo"] == {
            "username": f"system:serviceaccount:{namespace}:robot",
            "uid": uid,
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
            "extra": {"authentication.kubernetes.io/credential-id": [f"JTI={claims['jti']}"]},
        }


def test_a_token_ends_with_its_account(api: ApiServer, account: str) -> None:
    token = token_of(api, account)
    assert whoami(api, token).status_code == 201
    api.http.delete(account)
    eventually(lambda: whoami(api, token).status_code == 401 or None, "the end of the token")
    review = ask(api, f"{AUTHENTICATION}/tokenreviews", {"token": token})["status"]
    assert review == {"user": {}, "error": "service account token has been invalidated"}
    path, _, name = account.rpartition("/")
    api.http.post(path, json={"metadata": {"name": name}})
    assert whoami(api, token).status_code == 401  # another account of the same name


def test_a_token_ends_with_the_object_it_is_bound_to(
    api: ApiServer, account: str, namespace: str, shared: Callable[[str, Any], Any]
) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    shared("/api/v1/nodes", {"metadata": {"name": "token-node"}})
    spec = {"containers": [{"name": "c", "image": "i"}], "serviceAccountName": "robot", "nodeName": "token-node"}
    pod = api.http.post(pods, json={"metadata": {"name": "p"}, "spec": spec}).json()
    token = token_of(api, account, boundObjectRef={"kind": "Pod", "apiVersion": "v1", "name": "p"})
    extra = whoami(api, token).json()["status"]["userInfo"]["extra"]
    assert extra["authentication.kubernetes.io/pod-name"] == ["p"]
    assert extra["authentication.kubernetes.io/pod-uid"] == [pod["metadata"]["uid"]]
    assert extra["authentication.kubernetes.io/node-name"] == ["token-node"]
    api.http.request("DELETE", f"{pods}/p", json={"gracePeriodSeconds": 0})
    eventually(lambda: whoami(api, token).status_code == 401 or None, "the end of the token")


def test_requests_for_tokens_are_checked(api: ApiServer, account: str, namespace: str) -> None:
    path = "spec.expirationSeconds: Invalid value: "
    assert causes(request_token(api, account, 422, expirationSeconds=599)) == [
        f"{path}599: may not specify a duration less than 10 minutes"
    ]
    assert causes(request_token(api, account, 422, expirationSeconds=2**32 + 1)) == [
        f"{path}4294967297: may not specify a duration larger than 2^32 seconds"
    ]
    assert request_token(api, account + "-x", 404)["message"] == 'serviceaccounts "robot-x" not found'
    bound = {"kind": "ConfigMap", "apiVersion": "v1", "name": "a"}
    assert request_token(api, account, 400, boundObjectRef=bound)["message"] == (
        "cannot bind token to object of type /v1, Kind=ConfigMap"
    )
    bound = {"kind": "Pod", "apiVersion": "v1", "name": "a"}
    assert request_token(api, account, 404, boundObjectRef=bound)["message"] == 'pods "a" not found'
    pod = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    api.http.post(f"/api/v1/namespaces/{namespace}/pods", json=pod)
    assert request_token(api, account, 400, boundObjectRef=bound)["message"] == (
        'cannot bind token for serviceaccount "robot" to pod running with different serviceaccount name.'
    )
    api.http.post(f"/api/v1/namespaces/{namespace}/secrets", json={"metadata": {"name": "a"}})
    bound = {"kind": "Secret", "apiVersion": "v1", "name": "a", "uid": "other"}
    assert request_token(api, account, 409, boundObjectRef=bound)["message"] == (
        'Operation cannot be fulfilled on Secret "a": the UID in the bound object reference (other) does not match '
        "the UID in record. The object might have been deleted and then recreated"
    )


def test_tokens_for_others_are_not_taken(api: ApiServer, account: str) -> None:
    token = token_of(api, account, audiences=["vault"])
    assert whoami(api, token).status_code == 401
    review = {"token": token, "audiences": ["vault", "other"]}
    assert ask(api, f"{AUTHENTICATION}/tokenreviews", review)["status"]["audiences"] == ["vault"]


def test_what_is_no_token_of_ours_is_not_taken(api: ApiServer, account: str) -> None:
    good = token_of(api, account)
    head, claims, signature = good.split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    own = sign(claims_of(good), ec.generate_private_key(ec.SECP256R1()))
    late = sign(claims_of(good) | {"exp": 1}, _server_key(api))
    early = sign(claims_of(good) | {"nbf": 2**40}, _server_key(api))
    bare = sign({"iss": ISSUER, "aud": [ISSUER], "exp": 2**40}, _server_key(api))
    changed = f"{head}.{claims[:-4]}AAAA.{signature}"
    bad = [f"{unsigned}.{claims}.", f"{head}.{claims}.", changed, own, late, early, bare]
    for token in (*bad, "a.b.c", "..", f"{good}x", "é.ü."):
        assert whoami_bytes(api, token) == 401, token
    assert whoami(api, good).status_code == 201


def whoami_bytes(api: ApiServer, token: str) -> int:
    headers = [(b"Authorization", b"Bearer " + token.encode())]
    return api.client().post(f"{AUTHENTICATION}/selfsubjectreviews", json={}, headers=headers).status_code


def _server_key(api: ApiServer) -> ec.EllipticCurvePrivateKey:
    pem = (api.folder / "service-account.key").read_bytes()
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def test_others_can_verify_tokens(api: ApiServer, account: str) -> None:
    found = api.http.get("/.well-known/openid-configuration")
    assert found.headers["cache-control"] == "public, max-age=3600"
    document = found.json()
    assert (document["issuer"], document["id_token_signing_alg_values_supported"]) == (ISSUER, ["ES256"])
    assert document["jwks_uri"] == f"{api.url}/openid/v1/jwks"
    published = api.http.get("/openid/v1/jwks")
    assert published.headers["content-type"] == "application/jwk-set+json"
    (key,) = published.json()["keys"]
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("EC", "P-256", "ES256", "sig")
    head = json.loads(base64.urlsafe_b64decode(token_of(api, account).split(".")[0] + "=="))
    assert head == {"alg": "ES256", "kid": key["kid"]}


@pytest.fixture
def rsa_api(tmp_path: Path) -> Iterator[ApiServer]:
    key = rsa.generate_private_key(65537, 2048)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    (tmp_path / "sa.key").write_bytes(pem)
    flags = [f"--service-account-signing-key-file={tmp_path}/sa.key", "--service-account-issuer=https://example.com"]
    flags += ["--service-account-issuer=https://old.example.com", "--api-audiences=api,other"]
    flags += ["--service-account-max-token-expiration=2h"]
    with EtcdServer(tmp_path) as etcd, ApiServer(tmp_path / "apiserver", etcd.url, *flags) as server:
        yield server


def test_an_rsa_key_and_flags(rsa_api: ApiServer, tmp_path: Path) -> None:
    account = "/api/v1/namespaces/default/serviceaccounts"
    rsa_api.http.post(account, json={"metadata": {"name": "robot"}})
    answer = rsa_api.http.post(f"{account}/robot/token", json={"spec": {"expirationSeconds": 7201}})
    assert answer.headers["warning"] == '299 - "requested expiration of 7201 seconds shortened to 7200 seconds"'
    token = answer.json()["status"]["token"]
    claims = verify(token, [read_public_key((tmp_path / "sa.key").read_bytes())])
    assert (claims["iss"], claims["aud"]) == ("https://example.com", ["api", "other"])
    assert whoami(rsa_api, token).status_code == 201
    pem = (tmp_path / "sa.key").read_bytes()
    old = sign(claims | {"iss": "https://old.example.com", "aud": "other"}, _private(pem))
    assert whoami(rsa_api, old).status_code == 201
    assert whoami(rsa_api, sign(claims | {"iss": "https://who.example.com"}, _private(pem))).status_code == 401


def test_a_file_without_a_key_is_told_at_start(tmp_path: Path) -> None:
    (tmp_path / "sa.key").write_text("none")
    server = ApiServer(tmp_path / "x", "http://127.0.0.1:1", f"--service-account-signing-key-file={tmp_path}/sa.key")
    with pytest.raises(RuntimeError, match=r"--service-account-signing-key-file: .*sa\.key holds no PEM key"):
        server.start()


def _private(pem: bytes) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


@pytest.mark.skipif(not HAS_KUBECTL, reason="kubectl is not on PATH")
def test_kubectl_create_token(api: ApiServer, account: str, namespace: str) -> None:
    done = api.kubectl("create", "token", "robot", "--duration=20m", "--audience=a", namespace=namespace)
    claims = claims_of(done.stdout.strip())
    assert (claims["exp"] - claims["iat"], claims["aud"]) == (1200, ["a"]), done.stderr


# Binding and eviction, and the control plane's state


def test_evictions_are_checked(api: ApiServer, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    uid = api.http.post(pods, json=pod).json()["metadata"]["uid"]

    def evict(code: int, query: str = "", **options: Any) -> Dict:
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}, "deleteOptions": options}
        answer = api.http.post(f"{pods}/p/eviction{query}", json=body)
        assert answer.status_code == code, answer.text
        found: Dict = answer.json()
        return found

    assert causes(evict(422, propagationPolicy="Sometimes"))[0].startswith("propagationPolicy: Unsupported value")
    assert "the UID in the precondition (other)" in evict(409, preconditions={"uid": "other"})["message"]
    assert evict(422, dryRun=["Some"])["details"]["kind"] == "DeleteOptions"
    assert evict(201, "?dryRun=All")["status"] == evict(201, dryRun=["All"])["status"] == "Success"
    assert api.http.get(f"{pods}/p").status_code == 200
    assert evict(201, preconditions={"uid": uid}, gracePeriodSeconds=0)["status"] == "Success"
    assert api.http.get(f"{pods}/p").status_code == 404


def test_a_binding_of_its_own(api: ApiServer, namespace: str) -> None:
    root = f"/api/v1/namespaces/{namespace}"
    api.http.post(
        f"{root}/pods", json={"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    )
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}}
    assert api.http.post(f"{root}/bindings?dryRun=All", json=binding).status_code == 201
    assert "nodeName" not in api.http.get(f"{root}/pods/p").json()["spec"]
    answer = api.http.post(f"{root}/bindings", json=binding)
    assert (answer.status_code, answer.json()["status"]) == (201, "Success")
    assert api.http.get(f"{root}/pods/p").json()["spec"]["nodeName"] == "n1"
    assert api.http.post(f"{root}/bindings", json=binding).status_code == 409
    unnamed = api.http.post(f"{root}/bindings", json={"target": {}}).json()
    assert causes(unnamed) == ["metadata.name: Required value", "target.name: Required value"]
    entries = {item["name"]: item for item in api.http.get("/api/v1").json()["resources"]}
    assert (entries["bindings"]["kind"], entries["bindings"]["verbs"]) == ("Binding", ["create"])
    token = entries["serviceaccounts/token"]
    assert (token["kind"], token["group"], token["version"]) == ("TokenRequest", "authentication.k8s.io", "v1")


def test_the_state_of_the_control_plane(api: ApiServer) -> None:
    answer = api.http.get("/api/v1/componentstatuses")
    assert answer.headers["warning"] == '299 - "v1 ComponentStatus is deprecated in v1.19+"'
    found = {item["metadata"]["name"]: item["conditions"][0] for item in answer.json()["items"]}
    assert found["etcd-0"] == {"type": "Healthy", "status": "True", "message": "ok"}
    assert found["scheduler"] == {"type": "Healthy", "status": "False", "error": "no instance leads"}
    assert api.http.get("/api/v1/componentstatuses/etcd-0").json()["kind"] == "ComponentStatus"
    assert api.http.get("/api/v1/componentstatuses/none").status_code == 404
    table = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    for headers in ({}, table):  # nothing stored is behind the list: it has no revision
        assert api.http.get("/api/v1/componentstatuses", headers=headers).json()["metadata"] == {}


def test_endpoints_are_deprecated(api: ApiServer, namespace: str) -> None:
    text = '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"'
    path = f"/api/v1/namespaces/{namespace}/endpoints"
    assert api.http.get(path).headers["warning"] == text
    assert api.http.post(path, json={"metadata": {"name": "a"}}).headers["warning"] == text
    refused = api.http.post(path, json={"metadata": {"name": "b"}, "subsets": [{}]})
    assert (refused.status_code, refused.headers["warning"]) == (422, text)


@pytest.mark.skipif(not HAS_KUBECTL, reason="kubectl is not on PATH")
def test_kubectl_shows_the_control_plane(api: ApiServer) -> None:
    done = api.kubectl("get", "cs")
    assert done.stderr == "Warning: v1 ComponentStatus is deprecated in v1.19+\n"
    assert done.stdout.splitlines()[0].split() == ["NAME", "STATUS", "MESSAGE", "ERROR"]
    assert ["etcd-0", "Healthy", "ok"] in [line.split() for line in done.stdout.splitlines()]
