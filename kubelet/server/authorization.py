"""Decides who may use the kubelet's server: whoever the API server says may (SubjectAccessReview), or everybody.

Source: Kubernetes documentation, "Kubelet authentication/authorization".
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from apimachinery.model import decode, encode
from apimachinery.resource import resource_of
from componentbase import logs
from componentbase.clock import Clock
from componentbase.net.http1_exchange import PeerCertificate
from kubeapi.authorization.subjectaccessreview import (
    ResourceAttributes,
    SubjectAccessReview,
    SubjectAccessReviewSpec,
)
from kubeclient import wire
from kubeclient.rest import RestClient

ALWAYS_ALLOW, WEBHOOK = "AlwaysAllow", "Webhook"
MODES = (ALWAYS_ALLOW, WEBHOOK)
VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
SUBRESOURCES = {
    "stats": ("stats",),
    "metrics": ("metrics",),
    "pods": ("pods", "proxy"),
    "configz": ("configz", "proxy"),
}
"""First part of a path -> the subresources of the Node, one of which has to be allowed; `proxy` for all others."""
AUTHENTICATED = "system:authenticated"

log = logs.logger(__name__)


class Client(NamedTuple):
    """The user that a client's certificate stands for."""

    name: str
    groups: tuple[str, ...]


class Authorizer(Protocol):
    async def refusal(self, client: Client, method: str, first: str) -> str:
        """Says why the client may not make a request of this method to paths that begin so; "" where it may.

        Raises: StatusError, ConnectionError, TimeoutError when that can't be found out.
        """


class AlwaysAllow:
    async def refusal(self, client: Client, method: str, first: str) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class ReviewCacheLimits:
    """Says for how long answers are good, in seconds, and how many are kept; the oldest goes first."""

    allowed_seconds: float = 300.0
    refused_seconds: float = 30.0
    answers: int = 1024


class Question(NamedTuple):
    client: Client
    verb: str
    subresource: str


class ReviewAuthorizer:
    """Asks the API server whether the client may do to this Node what the request does."""

    def __init__(
        self, rest: RestClient, node_name: str, clock: Clock, limits: ReviewCacheLimits = ReviewCacheLimits()
    ) -> None:
        self._rest = rest
        self._node_name = node_name
        self._clock = clock
        self._limits = limits
        self._answers: OrderedDict[Question, tuple[bool, float]] = OrderedDict()

    async def refusal(self, client: Client, method: str, first: str) -> str:
        verb, subresources = VERBS.get(method, ""), SUBRESOURCES.get(first, ("proxy",))
        for subresource in subresources:
            if verb and await self._allows(Question(client, verb, subresource)):
                return ""
        names = " ".join(subresources)
        return f"Forbidden (user={client.name}, verb={verb}, resource=nodes, subresource(s)=[{names}])"

    async def _allows(self, question: Question) -> bool:
        allowed, good_until = self._answers.get(question, (False, 0.0))
        if self._clock.monotonic() < good_until:
            return allowed
        allowed = await self._review(question)
        seconds = self._limits.allowed_seconds if allowed else self._limits.refused_seconds
        self._answers.pop(question, None)
        self._answers[question] = allowed, self._clock.monotonic() + seconds
        if len(self._answers) > self._limits.answers:
            self._answers.popitem(last=False)
        return allowed

    async def _review(self, question: Question) -> bool:
        attributes = ResourceAttributes(
            verb=question.verb,
            version="v1",
            resource="nodes",
            subresource=question.subresource,
            name=self._node_name,
        )
        spec = SubjectAccessReviewSpec(
            user=question.client.name, groups=list(question.client.groups), resourceAttributes=attributes
        )
        resource = resource_of(SubjectAccessReview)
        body = encode(SubjectAccessReview(kind=resource.kind, apiVersion=resource.api_version, spec=spec))
        answer = await self._rest.request("POST", wire.path(resource, ""), body=body)
        return decode(SubjectAccessReview, answer).status.allowed


def client_of(certificate: PeerCertificate) -> Client:
    """Returns the common name and the organizations of a verified certificate."""
    pairs = [pair for part in certificate.subject for pair in part]
    name = next((value for kind, value in reversed(pairs) if kind == "commonName"), "")
    return Client(name, (*(value for kind, value in pairs if kind == "organizationName"), AUTHENTICATED))
