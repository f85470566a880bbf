"""Finds the user of a request: by bearer token, else by client certificate (CN is the name, O the groups), else by the
token of a WebSocket, which may come as a subprotocol. A request without any of these is anonymous.

Source: Kubernetes documentation, "Authenticating".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from apimachinery.errors import Unauthorized
from apiserver.auth.authentication.front_proxy import FrontProxy, ProxyCertificate
from apiserver.auth.authentication.tokens import InvalidToken, ServiceAccountTokens
from apiserver.auth.authentication.websocket_token import take_token
from apiserver.http.types import Header
from apiserver.request.user import ANONYMOUS, User, user_of_subject
from componentbase import logs
from componentbase.net.http1_exchange import PeerCertificate

REFUSED = "invalid bearer token"
"""The reason of a refusal that has no better one."""

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Which requests may come without a credential."""

    enabled: bool = True
    paths: frozenset[str] | None = None
    """These paths alone; None for all."""

    def admits(self, path: str) -> bool:
        return self.enabled and (self.paths is None or path in self.paths)


def read_credentials(headers: Sequence[Header]) -> tuple[bytes | None, bool]:
    """Returns the value of the first Authorization header, and whether the request is to run in another user's name."""
    authorization, impersonates = None, False
    for name, value in headers:
        if name == b"authorization":
            authorization = value if authorization is None else authorization
        elif b"impersonate-" <= name < b"impersonate.":  # begins with it: half the time of startswith
            impersonates = True
    return authorization, impersonates


class TokenSource(Protocol):
    """Knows the users of one kind of bearer token, and answers None for a token of another kind."""

    def known_user(self, token: bytes) -> User | None:
        """The user, where that is known without asking another server."""

    async def verify(self, token: bytes, audiences: Sequence[str]) -> tuple[User, list[str]] | None:
        """The user, and those of the audiences that the token is meant for; may ask another server.

        Raises: InvalidToken, with the reason for whoever asks about the token.
        """


class UnknownToken(NamedTuple):
    """A token about which another server may have to be asked."""

    token: bytes


class Authenticator:
    """Looks at the bearer token first: a bad one is refused even on a connection with a certificate."""

    def __init__(
        self,
        tokens: Mapping[bytes, User],
        accounts: ServiceAccountTokens | None = None,
        anonymous: Anonymous = Anonymous(enabled=False),
        *,
        sources: Sequence[TokenSource] = (),
        front_proxy: FrontProxy | None = None,
    ) -> None:
        """`tokens` are those of the token file, by the value of the header."""
        self._tokens = tokens
        self._accounts = accounts
        self._anonymous = anonymous
        self._sources = sources
        self._front_proxy = front_proxy
        self._cached_user = accounts.cached_user if accounts is not None else _nobody

    def identity(self, certificate: PeerCertificate) -> User | ProxyCertificate | None:
        """What a verified certificate says about the requests of its connection."""
        if self._front_proxy is not None:
            return self._front_proxy.identity(certificate)
        return user_of_subject(certificate.subject, certificate.digest)

    def authenticate(
        self, authorization: bytes | None, headers: list[Header], identity: User | ProxyCertificate | None, path: str
    ) -> User | UnknownToken:
        """`authorization` is the header's value, `identity` the certificate's. Raises: Unauthorized."""
        if isinstance(identity, ProxyCertificate):
            assert self._front_proxy is not None
            if (user := self._front_proxy.user(identity, headers)) is not None:
                return user
            if authorization is None and identity.user is None:
                raise Unauthorized("Unauthorized")
            identity = identity.user
        if authorization is not None:
            user = self._tokens.get(authorization) or self._cached_user(authorization)
            if user is not None:
                return user
            if token := bearer_token(authorization):
                return self._user_of_token(authorization, token)
        if identity is not None:
            return identity
        if offered := take_token(headers):
            return self._user_of_token(b"Bearer " + offered, offered)
        if self._anonymous.admits(path):
            return ANONYMOUS
        raise Unauthorized("Unauthorized")

    def _user_of_token(self, header: bytes, token: bytes) -> User | UnknownToken:
        """Raises: Unauthorized."""
        user = self._tokens.get(b"Bearer " + token)
        if user is None and self._accounts is not None:
            user = self._accounts.user(header, token)
        for source in self._sources:
            user = user or source.known_user(token)
        if user is None:
            if self._sources:
                return UnknownToken(token)
            raise Unauthorized("Unauthorized")
        return user

    async def user_of(self, unknown: UnknownToken) -> User:
        """Asks all who may know the token. Raises: Unauthorized."""
        for source in self._sources:
            try:
                if (verified := await source.verify(unknown.token, self._audiences)) is not None:
                    return verified[0]
            except InvalidToken as error:
                log.info("bearer token refused", reason=str(error))
        raise Unauthorized("Unauthorized")

    @property
    def _audiences(self) -> Sequence[str]:
        return self._accounts.audiences if self._accounts is not None else []

    async def review(self, token: str, audiences: Sequence[str]) -> tuple[User, list[str]]:
        """The user that a token speaks for, and its audiences among those asked about (by default this server's own).

        Raises: InvalidToken.
        """
        audiences = list(audiences) or self._audiences
        user = self._tokens.get(b"Bearer " + token.encode())
        if user is not None:
            shared = [name for name in audiences if name in self._audiences]
            if audiences and not shared:
                raise InvalidToken(REFUSED)
            return user, shared
        reasons = []
        if self._accounts is not None:
            try:
                return self._accounts.review(token, audiences)
            except InvalidToken as error:
                reasons.append(str(error))
        for source in self._sources:
            try:
                if (verified := await source.verify(token.encode(), audiences)) is not None:
                    return verified
            except InvalidToken as error:
                reasons.append(str(error))
        special = [reason for reason in reasons if reason != REFUSED]
        raise InvalidToken("; ".join(special) or REFUSED)


def bearer_token(authorization: bytes) -> bytes:
    """Takes the scheme in any case and with any spacing, as RFC 9110 allows; b"" for another scheme or no token."""
    scheme, _, token = authorization.strip().partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else b""


def _nobody(header: bytes) -> None:
    """The verified tokens of a server without service accounts."""
