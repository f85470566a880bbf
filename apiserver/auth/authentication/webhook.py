"""Bearer tokens that another server knows: it is asked by a TokenReview, and its answers are kept for a while.

Source: Kubernetes documentation, "Webhook Token Authentication".
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from apimachinery.errors import StatusError
from apimachinery.model import decode, encode
from apiserver.auth.authentication.token_cache import TokenCache
from apiserver.auth.authentication.tokens import InvalidToken
from apiserver.request.user import AUTHENTICATED, UNAUTHENTICATED, User
from componentbase import logs
from componentbase.clock import Clock
from kubeapi.authentication.tokenreview import TokenReview, TokenReviewSpec, UserInfo
from kubeclient.access.config import ClientConfig
from kubeclient.rest import RestClient

ANSWER_SECONDS = 30.0
REFUSAL_SECONDS = 10.0  # a token that was refused is not asked about again for so long
MAX_REVIEWS = 32  # at once; further ones wait for their turn
NOBODY = User("")
"""Stands for a refusal in the cache of refusals."""

log = logs.logger(__name__)


class WebhookTokens:
    """Asks the server of a kubeconfig, and remembers both its users and its refusals."""

    def __init__(
        self, config: ClientConfig, version: str, seconds: float, clock: Clock, own_audiences: Sequence[str]
    ) -> None:
        """`seconds`: how long an answer that names a user is kept. Raises: OSError, ssl.SSLError."""
        self._rest = RestClient(config, user_agent="kube-apiserver", max_connections=MAX_REVIEWS)
        self._path = "" if config.path_prefix else "/"
        self._api_version = f"authentication.k8s.io/{version}"
        self._users = TokenCache(clock, seconds)
        self._refused = TokenCache(clock, min(seconds, REFUSAL_SECONDS))
        self._own_audiences = own_audiences
        self._turns = asyncio.Semaphore(MAX_REVIEWS)

    def known_user(self, token: bytes) -> User | None:
        return self._users.get(token)

    async def verify(self, token: bytes, audiences: Sequence[str]) -> tuple[User, list[str]] | None:
        """None for a token that the server does not know. Raises: InvalidToken, where it can't be asked as well."""
        async with self._turns:
            if list(audiences) != list(self._own_audiences):
                return await self._review(token, audiences)
            if (user := self._users.get(token)) is not None:
                return user, list(audiences)  # another request has had the answer meanwhile
            if self._refused.get(token) is not None:
                return None
            verified = await self._review(token, audiences)
            if verified is None:
                self._refused.put(token, NOBODY)
            else:
                self._users.put(token, verified[0])
            return verified

    async def _review(self, token: bytes, audiences: Sequence[str]) -> tuple[User, list[str]] | None:
        """Raises: InvalidToken."""
        spec = TokenReviewSpec(token=token.decode("utf-8", "replace"), audiences=list(audiences) or None)
        question = TokenReview(kind="TokenReview", apiVersion=self._api_version, spec=spec)
        try:
            body = await self._rest.request("POST", self._path, body=encode(question), timeout_seconds=ANSWER_SECONDS)
            status = decode(TokenReview, body).status
        except (StatusError, ConnectionError, TimeoutError) as error:
            log.warning("token webhook failed", error=str(error) or type(error).__name__)
            raise InvalidToken("the authentication webhook did not answer") from None
        if not status.authenticated:
            if status.error:
                raise InvalidToken(status.error)
            return None
        shared = [name for name in audiences if name in (status.audiences or ())]
        if not status.audiences:  # a server that looks at no audiences: the token is one for this server
            shared = [name for name in audiences if name in self._own_audiences]
        if audiences and not shared:
            raise InvalidToken("invalid bearer token")
        return _user(status.user), shared


def _user(info: UserInfo) -> User:
    """Raises: InvalidToken for an answer without a name."""
    if not info.username:
        raise InvalidToken("the authentication webhook named no user")
    groups = list(info.groups or ())
    if AUTHENTICATED not in groups and UNAUTHENTICATED not in groups:
        groups.append(AUTHENTICATED)
    extra = tuple((key, tuple(values)) for key, values in (info.extra or {}).items())
    return User(info.username, info.uid or "", tuple(groups), extra)
