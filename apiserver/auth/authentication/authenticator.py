"""Finds the user of a request: by client certificate (CN is the name, O the groups), or by bearer token, from a file or
of a service account. The token of a WebSocket may come as a subprotocol.

Source: Kubernetes documentation, "Authenticating": X.509 client certificates, static token file, service account
tokens.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from apimachinery.errors import Forbidden, Unauthorized
from apiserver.auth.authentication.tokens import InvalidToken, ServiceAccountTokens
from apiserver.auth.authentication.websocket_token import take_token
from apiserver.http.types import Header
from apiserver.request.user import AUTHENTICATED, User

MAX_TOKENS = 100_000  # a longer token file is refused at start: it is held in memory


class TokenFileError(Exception):
    """The token file can't be used; the message names the line."""


def read_token_file(path: str) -> dict[bytes, User]:
    """Authorization header value -> user. Lines are `token,user,uid` with optional `"group1,group2"`.

    Raises: TokenFileError, OSError.
    """
    users: dict[bytes, User] = {}
    with Path(path).open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file, skipinitialspace=True)
        for row in reader:
            if not row or not any(row):
                continue
            if len(row) < 3 or not row[0] or not row[1]:
                where = f"{path}:{reader.line_num}"
                raise TokenFileError(f"{where}: a line must be token,user,uid and optionally quoted groups")
            if len(users) >= MAX_TOKENS:
                raise TokenFileError(f"{path}: more than {MAX_TOKENS} tokens")
            groups = [group.strip() for group in row[3].split(",")] if len(row) > 3 else []
            user = User(row[1], row[2], (*(group for group in groups if group), AUTHENTICATED))
            users[b"Bearer " + row[0].encode()] = user
    return users


class Authenticator:
    """Looks at the bearer token first: a bad one is refused even on a connection with a certificate."""

    def __init__(self, tokens: Mapping[bytes, User], accounts: ServiceAccountTokens | None = None) -> None:
        self._tokens = tokens
        self._accounts = accounts

    def authenticate(self, headers: list[Header], certificate_user: User | None) -> User:
        """Raises: Unauthorized; Forbidden for a request in another user's name, which would run in the client's own."""
        credentials = None
        for name, value in headers:
            if name == b"authorization":
                credentials = value if credentials is None else credentials
            elif name.startswith(b"impersonate-"):
                raise Forbidden(
                    "this server doesn't impersonate other users yet: leave out --as and Impersonate- headers"
                )
        if credentials is not None:
            user = self._tokens.get(credentials) or self._bearer(credentials)
            if user is None:
                raise Unauthorized("Unauthorized")
            return user
        if certificate_user is not None:
            return certificate_user
        token = take_token(headers)
        user = self._bearer(b"Bearer " + token) if token else None
        if user is None:
            raise Unauthorized("Unauthorized")
        return user

    def _bearer(self, value: bytes) -> User | None:
        """Takes the scheme in any case and with any spacing, as RFC 9110 allows."""
        if self._accounts is not None and (user := self._accounts.cached_user(value)) is not None:
            return user
        scheme, _, token = value.strip().partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        token = token.strip()
        user = self._tokens.get(b"Bearer " + token)
        return user if user is not None or self._accounts is None else self._accounts.user(value, token)

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
