"""`--authentication-token-webhook-config-file`: another server knows who a token speaks for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.identity.certificates import write_certificates
from tests.kits.net.loopback import https_server

WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
QUESTION = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
USERS: dict[str, Any] = {
    "good": {"username": "joe", "uid": "7", "groups": ["a"], "extra": {"example.com/x": ["y"]}},
    "nameless": {"groups": ["system:masters"]},
}


class Webhook:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.questions: list[Any] = []

    def answer(self, path: str, question: Any) -> Any:
        self.questions.append(question)
        token = question["spec"]["token"]
        if token == "broken":
            return None
        status = {"authenticated": token in USERS, "user": USERS.get(token, {})}
        if token == "explained":
            status["error"] = "the account is locked"
        return {"apiVersion": question["apiVersion"], "kind": "TokenReview", "status": status}

    def asked(self, token: str) -> int:
        return [question["spec"]["token"] for question in self.questions].count(token)


@pytest.fixture(scope="module")
def webhook() -> Webhook:
    return Webhook()


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, webhook: Webhook) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("webhook")
    files = write_certificates(folder)
    with https_server(files, webhook.answer) as port, EtcdServer(folder) as etcd:
        cluster = {"server": f"https://127.0.0.1:{port}/review", "certificate-authority": str(files["ca"])}
        config = {
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        file = folder / "webhook.json"
        file.write_text(json.dumps(config))
        flags = [f"--authentication-token-webhook-config-file={file}", "--authentication-token-webhook-version=v1"]
        with ApiServer(folder / "apiserver", etcd.url, *flags) as server:
            yield server


def ask(api: ApiServer, token: str) -> tuple[int, Any]:
    with api.client(token) as http:
        answer = http.post(WHOAMI, json=QUESTION)
    return answer.status_code, answer.json()


def test_the_webhook_names_the_user_and_is_asked_once(api: ApiServer, webhook: Webhook) -> None:
    for _ in range(3):
        code, body = ask(api, "good")
        assert (code, body["status"]["userInfo"]) == (201, {
            "username": "joe", "uid": "7", "groups": ["a", "system:authenticated"], "extra": {"example.com/x": ["y"]},
        })  # fmt: skip
    assert webhook.asked("good") == 1
    question = webhook.questions[0]
    assert (question["apiVersion"], question["kind"]) == ("authentication.k8s.io/v1", "TokenReview")
    assert question["spec"]["audiences"] == ["https://kubernetes.default.svc.cluster.local"]


def test_a_refused_token_is_not_asked_about_again_at_once(api: ApiServer, webhook: Webhook) -> None:
    for _ in range(3):
        assert ask(api, "unknown")[0] == 401
    assert webhook.asked("unknown") == 1


@pytest.mark.parametrize("token", ["nameless", "broken", "explained"])
def test_an_answer_that_names_nobody_is_a_refusal(api: ApiServer, token: str) -> None:
    assert ask(api, token)[0] == 401


def test_tokens_that_this_server_knows_are_not_passed_on(api: ApiServer, webhook: Webhook) -> None:
    account = "/api/v1/namespaces/default/serviceaccounts/default"
    api.http.post("/api/v1/namespaces/default/serviceaccounts", json={"metadata": {"name": "default"}})
    own = api.http.post(f"{account}/token", json={"spec": {}}).json()["status"]["token"]
    for token in ("other-token", own):
        assert ask(api, token)[0] == 201
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        assert api.http.post(REVIEWS, json=body).json()["status"]["authenticated"] is True
        assert webhook.asked(token) == 0


@pytest.mark.parametrize(
    ("token", "audiences", "member", "value"),
    [
        ("good", [], "audiences", ["https://kubernetes.default.svc.cluster.local"]),
        ("good", ["bank"], "error", "invalid bearer token"),
        ("explained", [], "error", "the account is locked"),
        ("broken", [], "error", "the authentication webhook did not answer"),
    ],
)
def test_a_review_asks_the_webhook(api: ApiServer, token: str, audiences: list[str], member: str, value: Any) -> None:
    spec = {"token": token, "audiences": audiences}
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
    assert api.http.post(REVIEWS, json=body).json()["status"][member] == value
