"""The questions that the webhook authorizer asks, and what it makes of the answers."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.errors import Forbidden, InternalError
from apimachinery.selectors import parse_field_selector
from apiserver.auth.authorization.authorizer import AlwaysAllow, AlwaysDeny, Decision, InTurn, check, decide
from apiserver.auth.authorization.webhook import Question, Webhook, WebhookSettings, decision_of, review
from apiserver.auth.review_client import ReviewFailed
from apiserver.request.info import RequestInfo, parse_request
from apiserver.request.user import User
from kubeclient.access.config import ConfigError

JANE = User("jane", "u1", ("dev",), (("scope", ("a", "b")),))
LIST = parse_request("GET", "/apis/apps/v1/namespaces/ns/deployments")
METRICS = parse_request("GET", "/metrics")


class Later:
    """An authorizer that has to ask another server."""

    def __init__(self, decision: Decision) -> None:
        self._decision = decision

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        return self._decision

    def rules(self, user: User, namespace: str) -> Any:
        raise NotImplementedError


def test_a_question_about_a_resource() -> None:
    fields = parse_field_selector("spec.nodeName=n1,status.phase!=Failed")
    assert review(Question(JANE, LIST._replace(fields=fields)), "v1") == {
        "kind": "SubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {},
        "spec": {
            "user": "jane",
            "uid": "u1",
            "groups": ["dev"],
            "extra": {"scope": ["a", "b"]},
            "resourceAttributes": {
                "namespace": "ns",
                "verb": "list",
                "group": "apps",
                "version": "v1",
                "resource": "deployments",
                "fieldSelector": {
                    "requirements": [
                        {"key": "spec.nodeName", "operator": "In", "values": ["n1"]},
                        {"key": "status.phase", "operator": "NotIn", "values": ["Failed"]},
                    ]
                },
            },
        },
    }


def test_a_question_about_a_path_in_the_older_version() -> None:
    asked = review(Question(User("jane", groups=("dev",)), METRICS), "v1beta1")
    assert asked["apiVersion"] == "authorization.k8s.io/v1beta1"
    path = {"path": "/metrics", "verb": "get"}
    assert asked["spec"] == {"user": "jane", "group": ["dev"], "nonResourceAttributes": path}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"allowed": True}, Decision("allow")),
        ({"allowed": False}, Decision("no opinion")),
        ({"allowed": False, "reason": "late"}, Decision("no opinion", "late")),
        ({"allowed": False, "denied": True, "reason": "never"}, Decision("deny", "never")),
        ({}, Decision("no opinion")),
        ({"allowed": "true", "reason": 1}, Decision("no opinion")),
    ],
)
def test_answers(status: dict[str, Any], expected: Decision) -> None:
    assert decision_of(status) == expected


def test_an_answer_that_contradicts_itself_is_none() -> None:
    with pytest.raises(ReviewFailed, match="both allow and deny"):
        decision_of({"allowed": True, "denied": True})


def test_a_kubeconfig_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="/nowhere"):
        Webhook(WebhookSettings("/nowhere", "v1", 1, 1), None)  # type: ignore[arg-type]


NO, YES, NEVER = Decision("no opinion", "not I"), Decision("allow", "I do"), Decision("deny", "never")
FAILED = Decision("no opinion", error="no answer")


@pytest.mark.parametrize(
    ("authorizers", "expected"),
    [
        ([Later(YES), AlwaysDeny()], YES),
        ([Later(NEVER), AlwaysAllow()], NEVER),
        ([Later(NO), AlwaysAllow()], Decision("allow")),
        ([AlwaysDeny(), Later(YES)], YES),
        ([AlwaysDeny(), Later(NO), Later(NO)], Decision("no opinion", "Everything is forbidden.\nnot I\nnot I")),
        ([Later(FAILED), AlwaysAllow()], Decision("allow")),
        ([Later(FAILED), Later(NO)], Decision("no opinion", "not I", "no answer")),
    ],
)
async def test_authorizers_that_wait_come_in_their_turn(authorizers: list[Any], expected: Decision) -> None:
    assert await decide(InTurn(authorizers), JANE, LIST) == expected


async def test_what_waits_is_checked_as_the_rest() -> None:
    pending = check(Later(NEVER), JANE, LIST)
    assert pending is not None
    with pytest.raises(Forbidden, match=r'User "jane" cannot list resource "deployments" .*: never'):
        await pending
    pending = check(Later(YES), JANE, LIST)
    assert pending is not None
    await pending


async def test_a_decision_that_failed_is_an_error_of_the_server() -> None:
    pending = check(Later(FAILED), JANE, METRICS)
    assert pending is not None
    with pytest.raises(InternalError, match='Internal Server Error: "/metrics": no answer'):
        await pending


def test_what_is_decided_in_memory_waits_for_nothing() -> None:
    assert check(InTurn([AlwaysDeny(), AlwaysAllow()]), JANE, LIST) is None
