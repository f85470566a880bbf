"""`--authorization-mode=RBAC,Webhook`: another server decides where the roles don't."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.review_server import ReviewServer, review_server

Dict = dict[str, Any]

SECRETS = "/api/v1/namespaces/default/secrets"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class Opinions:
    """What the webhook says; tests change it."""

    def __init__(self) -> None:
        self.of: dict[str, Dict | int] = {}
        """By the resource or path that is asked about."""

    def answer(self, spec: Dict) -> Dict | int:
        about = spec.get("resourceAttributes", {}).get("resource") or spec.get("nonResourceAttributes", {}).get("path")
        return self.of.get(str(about), {"allowed": False})


@pytest.fixture(scope="module")
def opinions() -> Opinions:
    return Opinions()


@pytest.fixture(scope="module")
def webhook(tmp_path_factory: pytest.TempPathFactory, opinions: Opinions) -> Iterator[ReviewServer]:
    with review_server(tmp_path_factory.mktemp("webhook"), opinions.answer) as server:
        yield server


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, webhook: ReviewServer) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("api")
    flags = [
        "--authorization-mode=RBAC,Webhook",
        f"--authorization-webhook-config-file={webhook.kubeconfig}",
        "--authorization-webhook-version=v1",
        "--authorization-webhook-cache-unauthorized-ttl=0s",
    ]
    with EtcdServer(folder) as etcd, ApiServer(folder / "apiserver", etcd.url, *flags) as server:
        yield server


@pytest.fixture
def jane(api: ApiServer, webhook: ReviewServer, opinions: Opinions) -> Iterator[httpx.Client]:
    opinions.of.clear()
    webhook.asked.clear()
    with api.client("other-token") as http:
        yield http


def test_it_is_asked_what_roles_do_not_allow_and_its_yes_is_remembered(
    jane: httpx.Client, webhook: ReviewServer, opinions: Opinions
) -> None:
    opinions.of["secrets"] = {"allowed": True}
    assert [jane.get(SECRETS).status_code for _ in range(3)] == [200, 200, 200]
    assert len(webhook.asked) == 1
    asked = webhook.asked[0]
    assert (asked["path"], asked["kind"], asked["apiVersion"]) == (
        "/ask/here",
        "SubjectAccessReview",
        "authorization.k8s.io/v1",
    )
    spec = asked["spec"]
    assert (spec["user"], spec["uid"], spec["groups"]) == ("jane", "jane-uid", ["system:authenticated"])
    assert spec["resourceAttributes"] == {
        "namespace": "default",
        "verb": "list",
        "version": "v1",
        "resource": "secrets",
    }
    assert jane.get("/version").status_code == 200  # by a default role
    assert len(webhook.asked) == 1


def test_its_no_is_a_refusal_with_its_reason(jane: httpx.Client, opinions: Opinions) -> None:
    opinions.of["nodes"] = {"allowed": False, "denied": True, "reason": "not today"}
    opinions.of["/metrics"] = {"allowed": False, "reason": "nobody"}
    answer = jane.get("/api/v1/nodes")
    assert answer.status_code == 403
    assert answer.json()["message"].endswith("at the cluster scope: not today")
    answer = jane.get("/metrics")
    assert answer.json()["message"] == 'forbidden: User "jane" cannot get path "/metrics": nobody'


def test_a_no_is_not_remembered_where_the_flag_says_so(
    jane: httpx.Client, webhook: ReviewServer, opinions: Opinions
) -> None:
    assert jane.get("/api/v1/services").status_code == 403
    opinions.of["services"] = {"allowed": True}
    assert jane.get("/api/v1/services").status_code == 200


@pytest.mark.parametrize("answer", [{"allowed": True, "denied": True}, 404, 400])
def test_an_answer_that_is_none_is_an_error_of_the_server(
    jane: httpx.Client, opinions: Opinions, answer: Dict | int
) -> None:
    opinions.of["pods"] = answer
    refusal = jane.get("/api/v1/pods")
    assert refusal.status_code == 500
    assert 'Internal Server Error: "/api/v1/pods":' in refusal.json()["message"]


def test_it_is_asked_again_after_an_error_of_its_own(
    jane: httpx.Client, webhook: ReviewServer, opinions: Opinions
) -> None:
    answers = iter([500, {"allowed": True}])
    before = webhook.answer
    webhook.answer = lambda spec: next(answers)
    try:
        assert jane.get("/api/v1/endpoints").status_code == 200
    finally:
        webhook.answer = before
    assert len(webhook.asked) == 2


def test_masters_are_not_asked_about(api: ApiServer, jane: httpx.Client, webhook: ReviewServer) -> None:
    assert api.http.get(SECRETS).status_code == 200
    assert webhook.asked == []


def test_reviews_and_impersonation_ask_it_too(jane: httpx.Client, opinions: Opinions) -> None:
    opinions.of["gadgets"] = {"allowed": True, "reason": "gladly"}
    wanted = {"spec": {"resourceAttributes": {"verb": "get", "resource": "gadgets"}}}
    status = jane.post(REVIEWS, json=wanted).json()["status"]
    assert status == {"allowed": True, "reason": "gladly"}
    headers = {"Impersonate-User": "joe"}
    refusal = jane.get(SECRETS, headers=headers)
    assert refusal.status_code == 403
    assert 'cannot impersonate resource "users"' in refusal.json()["message"]
    opinions.of["users"] = {"allowed": True}
    opinions.of["secrets"] = {"allowed": True}
    assert jane.get(SECRETS, headers=headers).status_code == 200


def test_an_update_that_creates_asks_for_that_right(
    jane: httpx.Client, webhook: ReviewServer, opinions: Opinions
) -> None:
    def only_patch(spec: Dict) -> Dict:
        return {"allowed": spec.get("resourceAttributes", {}).get("verb") == "patch"}

    before = webhook.answer
    webhook.answer = only_patch
    try:
        answer = jane.patch(
            "/api/v1/namespaces/default/configmaps/new?fieldManager=x",
            json={"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}},
            headers={"Content-Type": "application/apply-patch+yaml"},
        )
    finally:
        webhook.answer = before
    assert answer.status_code == 403
    assert 'cannot create resource "configmaps"' in answer.json()["message"]
