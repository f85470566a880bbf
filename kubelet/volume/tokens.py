"""Tokens of service accounts for projected volumes: asked for on behalf of a pod, and renewed in good time.

Source: Kubernetes documentation, "Projected Volumes", "serviceAccountToken": a token is renewed when it is older than
80 % of its life or than 24 hours.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from apimachinery.model import decode, encode
from apimachinery.times import parse_time
from componentbase import logs
from componentbase.clock import Clock
from kubeapi.authentication.tokenrequest import BoundObjectReference, TokenRequest, TokenRequestSpec
from kubeapi.core.pod.model import Pod
from kubeclient.rest import RestClient

RENEW_SHARE = 0.8
RENEW_AT_MOST_SECONDS = 24 * 3600.0
JITTER_SECONDS = 10.0  # pods that start together do not all renew in the same moment

log = logs.logger(__name__)

Key = tuple[str, str, int]
"""(the pod's uid, audience, seconds asked for)."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """`expires` and `renew` are in seconds since the epoch."""

    text: str
    expires: float
    renew: float
    timer: asyncio.TimerHandle


class TokenManager:
    """Keeps the tokens of this node's pods in memory. `on_due(pod_uid)` is called when one is to be renewed."""

    def __init__(self, rest: RestClient, on_due: Callable[[str], None], clock: Clock) -> None:
        self._rest = rest
        self._on_due = on_due
        self._clock = clock
        self._tokens: dict[Key, IssuedToken] = {}

    async def token(self, pod: Pod, audience: str, seconds: int) -> str:
        """Returns the text of what `issue` returns. Raises: StatusError; OSError."""
        return (await self.issue(pod, audience, seconds)).text

    async def issue(self, pod: Pod, audience: str, seconds: int) -> IssuedToken:
        """Returns a token that is not due to be renewed; the old one while it lasts, if a new one cannot be had.

        Raises: StatusError; OSError.
        """
        uid, now = pod.metadata.uid or "", self._clock.now()
        key = (uid, audience, seconds)
        cached = self._tokens.get(key)
        if cached is not None and now < cached.renew:
            return cached
        try:
            answer = await request_token(self._rest, pod, audience, seconds)
        except Exception as error:
            if cached is None or cached.expires <= now:
                raise
            log.warning("token not renewed", pod=pod.key, error=str(error))
            return cached
        if cached is not None:
            cached.timer.cancel()
        expires = parse_time(answer.status.expirationTimestamp or "")
        lasts = min(RENEW_SHARE * (expires - now), RENEW_AT_MOST_SECONDS) - random.uniform(0, JITTER_SECONDS)
        timer = asyncio.get_running_loop().call_later(max(lasts, 0), self._on_due, uid)
        token = self._tokens[key] = IssuedToken(answer.status.token, expires, now + lasts, timer)
        return token

    def forget(self, uid: str) -> None:
        """Drops the tokens of a pod that has ended."""
        for key in [key for key in self._tokens if key[0] == uid]:
            self._tokens.pop(key).timer.cancel()


async def request_token(rest: RestClient, pod: Pod, audience: str, seconds: int) -> TokenRequest:
    """Asks for a token of the pod's service account, which ends with the pod. Raises: StatusError; OSError."""
    bound = BoundObjectReference(kind="Pod", apiVersion="v1", name=pod.name, uid=pod.metadata.uid)
    spec = TokenRequestSpec(audiences=[audience] if audience else None, expirationSeconds=seconds, boundObjectRef=bound)
    body = TokenRequest(kind="TokenRequest", apiVersion="authentication.k8s.io/v1", spec=spec)
    account = pod.spec.serviceAccountName or "default"
    path = f"/api/v1/namespaces/{pod.namespace}/serviceaccounts/{account}/token"
    return decode(TokenRequest, await rest.request("POST", path, body=encode(body)))
