"""Leaves the decision to another server, which is sent a SubjectAccessReview; its answers are remembered for a while.

Source: Kubernetes documentation, "Webhook Mode".
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, NamedTuple

from apiserver.auth.authorization.authorizer import Decision, Rules
from apiserver.auth.review_client import ReviewClient, ReviewFailed
from apiserver.request.info import RequestInfo
from apiserver.request.user import User
from componentbase import logs
from componentbase.clock import Clock
from kubeclient.access.config import ClientConfig, ConfigError, load_config

GROUP = "authorization.k8s.io"
VERSIONS = ("v1", "v1beta1")
MAX_ANSWERS = 8192  # remembered; when they are as many, all are forgotten
MAX_CACHED_CHARS = 10_000  # a question with longer names is asked each time
NO_RULES = "webhook authorizer does not support user rule resolution"
OPERATORS = {"=": "In", "!=": "NotIn"}

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """The flags `--authorization-webhook-…`."""

    config_file: str
    version: str
    authorized_seconds: float
    """How long a yes is remembered."""
    unauthorized_seconds: float


class Question(NamedTuple):
    user: User
    info: RequestInfo


class Webhook:
    def __init__(self, settings: WebhookSettings, clock: Clock, config: ClientConfig | None = None) -> None:
        """`config` is the way to the other server where no file tells it. Raises: ConfigError, naming the file."""
        self._settings = settings
        self._clock = clock
        try:
            self._client = ReviewClient(config or load_config(settings.config_file), clock)
        except OSError as error:  # ssl.SSLError is one
            raise ConfigError(f"{settings.config_file}: {error}") from None
        self._answers: dict[Question, tuple[float, Decision]] = {}

    def authorize(self, user: User, info: RequestInfo) -> Decision | Awaitable[Decision]:
        question = Question(user, info if info.is_resource else RequestInfo(info.verb, info.path))
        cached = self._answers.get(question)
        if cached is not None and cached[0] > self._clock.monotonic():
            return cached[1]
        return self._ask(question)

    def rules(self, user: User, namespace: str) -> Rules:
        return Rules(incomplete=True, error=NO_RULES)

    async def _ask(self, question: Question) -> Decision:
        """A question without an answer is an error, which refuses the request unless another authorizer allows it."""
        try:
            decision = decision_of(await self._client.ask(review(question, self._settings.version)))
        except ReviewFailed as error:
            log.error("authorization webhook failed", error=str(error))
            return Decision("no opinion", error=str(error))
        self._remember(question, decision)
        return decision

    def _remember(self, question: Question, decision: Decision) -> None:
        settings = self._settings
        seconds = settings.authorized_seconds if decision.allowed else settings.unauthorized_seconds
        if seconds <= 0 or sum(map(len, _names(question.info))) > MAX_CACHED_CHARS:
            return
        if len(self._answers) >= MAX_ANSWERS:
            self._answers.clear()
        self._answers[question] = (self._clock.monotonic() + seconds, decision)


def _names(info: RequestInfo) -> tuple[str, ...]:
    """Returns the parts of a question that its sender can make as long as a URL."""
    return info.namespace, info.verb, info.group, info.version, info.resource, info.subresource, info.name, info.path


def review(question: Question, version: str) -> dict[str, Any]:
    """Returns the SubjectAccessReview that asks the question. In v1beta1 the member for groups is `group`."""
    user, info = question
    spec: dict[str, Any] = {"user": user.name}
    if user.groups:
        spec["groups" if version == "v1" else "group"] = list(user.groups)
    if user.uid:
        spec["uid"] = user.uid
    if user.extra:
        spec["extra"] = {key: list(values) for key, values in user.extra}
    if info.is_resource:
        spec["resourceAttributes"] = _resource_attributes(info)
    else:
        spec["nonResourceAttributes"] = {"path": info.path, "verb": info.verb}
    return {"kind": "SubjectAccessReview", "apiVersion": f"{GROUP}/{version}", "metadata": {}, "spec": spec}


def _resource_attributes(info: RequestInfo) -> dict[str, Any]:
    names = {
        "namespace": info.namespace,
        "verb": info.verb,
        "group": info.group,
        "version": info.version,
        "resource": info.resource,
        "subresource": info.subresource,
        "name": info.name,
    }
    attributes: dict[str, Any] = {key: value for key, value in names.items() if value}
    if info.fields is not None and info.fields.requirements:
        attributes["fieldSelector"] = {
            "requirements": [
                {"key": path, "operator": OPERATORS[operator], "values": [value]}
                for path, operator, value in info.fields.requirements
            ]
        }
    return attributes


def decision_of(status: dict[str, Any]) -> Decision:
    """Reads the status of an answered review. Raises: ReviewFailed for one that contradicts itself."""
    allowed, denied = status.get("allowed") is True, status.get("denied") is True
    if allowed and denied:
        raise ReviewFailed("webhook subject access review returned both allow and deny response")
    reason = status.get("reason")
    return Decision(
        "allow" if allowed else "deny" if denied else "no opinion", reason if isinstance(reason, str) else ""
    )
