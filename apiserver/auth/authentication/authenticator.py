"""Finds the user of a request: by bearer token, else by client certificate (CN is the name, O the groups), else by the
token of a WebSocket, which may come as a subprotocol. A request without any of these is anonymous.

Source: Kubernetes documentation, "Authenticating".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from apimachinery.errors import Unauthorized
from apiserver.auth.authentication.tokens import InvalidToken, ServiceAccountTokens
from apiserver.auth.authentication.websocket_token import take_token
from apiserver.http.types import Header
from apiserver.request.user import ANONYMOUS, User


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
        elif name.startswith(b"impersonate-"):
            impersonates = True
    return authorization, impersonates


class Authenticator:
    """Looks at the bearer token first: a bad one is refused even on a connection with a certificate."""

    def __init__(
        self,
        tokens: Mapping[bytes, User],
        accounts: ServiceAccountTokens | None = None,
        anonymous: Anonymous = Anonymous(enabled=False),
    ) -> None:
        """`tokens` are those of the token file, by the value of the header."""
        self._tokens = tokens
        self._accounts = accounts
        self._anonymous = anonymous
        self._cached_user = accounts.cached_user if accounts is not None else _nobody

    def authenticate(
        self, authorization: bytes | None, headers: list[Header], certificate_user: User | None, path: str
    ) -> User:
        """`authorization` is the header's value. Raises: Unauthorized."""
        if authorization is not None:
            user = self._tokens.get(authorization) or self._cached_user(authorization)
            if user is not None:
                return user
            if token := bearer_token(authorization):
                return self._user_of_token(authorization, token)
        if certificate_user is not None:
            return certificate_user
        if offered := take_token(headers):
            return self._user_of_token(b"Bearer " + offered, offered)
        if self._anonymous.admits(path):
            return ANONYMOUS
        raise Unauthorized("Unauthorized")

    def _user_of_token(self, header: bytes, token: bytes) -> User:
        """Raises: Unauthorized."""
        user = self._tokens.get(b"Bearer " + token)
        if user is None and self._accounts is not None:
            user = self._accounts.user(header, token)
        if user is None:
            raise Unauthorized("Unauthorized")
        return user

    def review(self, token: str, audiences: Sequence[str]) -> tuple[User, list[str]]:
        """The user that a token speaks for, and its audiences among those asked about (by default this server's own).

        Raises: InvalidToken.
        """
        own = self._accounts.audiences if self._accounts is not None else []
        audiences = list(audiences) or own
        user = self._tokens.get(b"Bearer " + token.encode())
        if user is not None:
            shared = [name for name in audiences if name in own]
            if audiences and not shared:
                raise InvalidToken("invalid bearer token")
            return user, shared
        if self._accounts is None:
            raise InvalidToken("invalid bearer token")
        return self._accounts.review(token, audiences)


def bearer_token(authorization: bytes) -> bytes:
    """Takes the scheme in any case and with any spacing, as RFC 9110 allows; b"" for another scheme or no token."""
    scheme, _, token = authorization.strip().partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else b""


def _nobody(header: bytes) -> None:
    """The verified tokens of a server without service accounts."""
