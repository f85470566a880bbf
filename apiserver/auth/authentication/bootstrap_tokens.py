"""Bearer tokens of nodes that are about to join: Secrets of the type bootstrap.kubernetes.io/token in kube-system.

Source: Kubernetes documentation, "Authenticating with Bootstrap Tokens".
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Any

from apimachinery.model import decode
from apimachinery.resource import Resource
from apiserver.auth.authentication.tokens import InvalidToken
from apiserver.request.user import AUTHENTICATED, User
from apiserver.storage import CachedStorage
from componentbase.clock import Clock
from kubeapi.core.secret.bootstraptoken import NAME_PREFIX, NAMESPACE, TOKEN, bootstrap_token

USER_PREFIX = "system:bootstrap:"
GROUP = "system:bootstrappers"


class BootstrapTokens:
    """Reads the Secret for each request: few come with such a token."""

    def __init__(self, storage: CachedStorage, secrets: Resource[Any], clock: Clock, audiences: Sequence[str]) -> None:
        """`audiences` are this server's: a bootstrap token names none of its own."""
        self._storage = storage
        self._secrets = secrets
        self._clock = clock
        self._audiences = audiences

    def known_user(self, token: bytes) -> User | None:
        parts = TOKEN.fullmatch(token.decode("latin-1"))
        if parts is None:
            return None
        entry = self._storage.latest(self._secrets, NAMESPACE, NAME_PREFIX + parts[1])
        stored = bootstrap_token(decode(self._secrets.model, entry.value)) if entry is not None else None
        if (
            stored is None
            or not hmac.compare_digest(stored.secret, parts[2])
            or stored.expires <= self._clock.now()
            or "authentication" not in stored.usages
        ):
            return None
        return User(USER_PREFIX + stored.id, "", (GROUP, *stored.extra_groups, AUTHENTICATED))

    async def verify(self, token: bytes, audiences: Sequence[str]) -> tuple[User, list[str]] | None:
        user = self.known_user(token)
        if user is None:
            return None
        shared = [name for name in audiences if name in self._audiences]
        if audiences and not shared:
            raise InvalidToken("invalid bearer token")
        return user, shared
