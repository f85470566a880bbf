"""Tokens of service accounts: who gets one may speak as the account until it expires, or its account or the object it
is bound to is gone.

Source: Kubernetes documentation, "Managing Service Accounts", "Bound service account tokens".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson

from apimachinery.errors import ServiceUnavailable
from apimachinery.meta import Object
from apimachinery.resource import Resource
from apimachinery.times import parse_time
from apiserver.auth.authenticator import InvalidToken
from apiserver.main.options import Options
from apiserver.request.user import AUTHENTICATED, CREDENTIAL_ID, User
from apiserver.storage import CachedStorage
from apiserver.storage.interface import Entry
from componentbase.clock import Clock

if TYPE_CHECKING:
    from apiserver.auth.jwt import Key, PrivateKey

USER_PREFIX = "system:serviceaccount:"
ACCOUNTS_GROUP = "system:serviceaccounts"
EXTRA = "authentication.kubernetes.io/"
OWN_CLAIM = "kubernetes.io"
JWKS_PATH = "/openid/v1/jwks"
BOUND_KINDS = ("pod", "secret", "node")
DELETED_LEEWAY_SECONDS = 60.0  # a token outlives its deleted pod for a little: the pod may still be shutting down
VERIFIED_TOKENS = 4096  # kept with what they stand for, by header value; when full, all are dropped

Json = dict[str, Any]


@dataclass(slots=True)
class _Verified:
    """A token whose signature and claims are good, and the objects that must be there for it to count."""

    user: User
    audiences: frozenset[str]
    expires: float
    """Unix seconds; sooner than the token says where an object is being deleted."""
    objects: list[tuple[Resource[Any], str, str, str]]
    """(resource, namespace, name, uid) of each."""
    seen: list[Entry]
    """Their entries when last looked at: while they are the same, there is nothing to look at."""


class ServiceAccountTokens:
    """Makes tokens, and tells whom a token stands for. Keys are read when the first token comes."""

    def __init__(
        self, options: Options, storage: CachedStorage, core: Mapping[str, Resource[Any]], clock: Clock, address: str
    ) -> None:
        """`core` has the core group's resources by plural; `address` is where others reach this server."""
        self.issuers = options.service_account_issuers
        self.audiences = options.api_audiences or self.issuers[:1]
        self.jwks_uri = options.service_account_jwks_uri or f"https://{address}:{options.secure_port}{JWKS_PATH}"
        self.max_seconds = options.service_account_max_token_seconds
        self._options = options
        self._storage = storage
        self._core = core
        self._clock = clock
        self._verified: dict[bytes, _Verified] = {}

    # -- making

    def issue(self, account: Object, bound: Mapping[str, Object], audiences: Sequence[str], seconds: int) -> str:
        """`bound` names what the token is bound to: "pod", "secret" or "node" and its object."""
        from apiserver.auth.jwt import sign

        now = int(self._clock.now())
        own: Json = {"namespace": account.namespace, "serviceaccount": _reference(account)}
        own |= {kind: _reference(obj) for kind, obj in bound.items()}
        claims = {
            "aud": list(audiences),
            "exp": now + seconds,
            "iat": now,
            "iss": self.issuers[0],
            "jti": str(uuid4()),
            OWN_CLAIM: own,
            "nbf": now,
            "sub": f"{USER_PREFIX}{account.namespace}:{account.name}",
        }
        return sign(claims, self._private)

    @cached_property
    def _private(self) -> PrivateKey:
        from apiserver.auth.jwt import read_private_key

        return read_private_key(Path(self._options.service_account_signing_key_file).read_bytes())

    @cached_property
    def keys(self) -> list[Key]:
        """All that may have signed a token, the one that signs new ones first."""
        from apiserver.auth.jwt import make_key, read_public_key

        files = self._options.service_account_key_files
        keys = [make_key(self._private.public_key()), *(read_public_key(Path(file).read_bytes()) for file in files)]
        return list({key.id: key for key in keys}.values())

    # -- believing

    def known(self, header: bytes) -> User | None:
        """Whom a header's token stands for, if that is known and nothing has changed since."""
        found = self._verified.get(header)
        return found.user if found is not None and self._same(found) else None

    def user(self, header: bytes, token: bytes) -> User | None:
        """Whom the token lets speak to this server; `header` is the whole header's value.

        Raises: ServiceUnavailable before the objects have been read that would tell.
        """
        known = self._verified.get(header)
        try:
            if known is None:
                known = self._verify(token.decode("ascii", "replace"), self.audiences)
                if len(self._verified) >= VERIFIED_TOKENS:
                    self._verified.clear()
                self._verified[header] = known
            else:
                self._check_objects(known)
        except InvalidToken:
            self._verified.pop(header, None)
            return None
        return known.user

    def review(self, token: str, audiences: Sequence[str]) -> tuple[User, list[str]]:
        """Whom the token stands for, and for which of the audiences. Raises: InvalidToken."""
        found = self._verify(token, audiences)
        return found.user, [name for name in audiences if name in found.audiences]

    def _same(self, known: _Verified) -> bool:
        """Whether nothing has happened that could make the token a bad one."""
        if known.expires < self._clock.now():
            return False
        for (resource, namespace, name, _), entry in zip(known.objects, known.seen, strict=True):
            if self._storage.peek(resource, namespace, name) is not entry:
                return False
        return True

    def _verify(self, token: str, audiences: Sequence[str]) -> _Verified:
        """Raises: InvalidToken."""
        from apiserver.auth.jwt import BadToken, claims_of, verify

        try:
            if claims_of(token).get("iss") not in self.issuers:
                raise InvalidToken("invalid bearer token")
            found = self._read(verify(token, self.keys))
        except BadToken:
            raise InvalidToken("invalid bearer token") from None
        if not found.audiences.intersection(audiences):
            given = " ".join(sorted(found.audiences))
            raise InvalidToken(f'token audiences ["{given}"] is invalid for the target audiences {list(audiences)}')
        self._check_objects(found)
        return found

    def _read(self, claims: Json) -> _Verified:
        """The claims of a signed token. Raises: InvalidToken."""
        own, now = claims.get(OWN_CLAIM), self._clock.now()
        try:
            namespace, account = own["namespace"], own["serviceaccount"]  # type: ignore[index]
            audiences = claims["aud"]
            expires, begins = float(claims["exp"]), float(claims.get("nbf", 0))
            objects = [(self._core["serviceaccounts"], namespace, account["name"], account["uid"])]
            extra = [(CREDENTIAL_ID, (f"JTI={claims['jti']}",))] if "jti" in claims else []
            for kind in BOUND_KINDS:
                if ref := own.get(kind):  # type: ignore[union-attr]
                    resource = self._core[kind + "s"]
                    objects.append((resource, namespace if resource.namespaced else "", ref["name"], ref["uid"]))
                    if kind != "secret":
                        extra += [(f"{EXTRA}{kind}-name", (ref["name"],)), (f"{EXTRA}{kind}-uid", (ref["uid"],))]
        except (KeyError, TypeError, ValueError, AttributeError):
            raise InvalidToken("invalid bearer token") from None
        if now < begins:
            raise InvalidToken("service account token is not valid yet")
        name = f"{USER_PREFIX}{namespace}:{account['name']}"
        if claims.get("sub") != name:
            raise InvalidToken("invalid bearer token")
        groups = (ACCOUNTS_GROUP, f"{ACCOUNTS_GROUP}:{namespace}", AUTHENTICATED)
        user = User(name, account["uid"], groups, tuple(extra))
        return _Verified(
            user, frozenset([audiences] if isinstance(audiences, str) else audiences), expires, objects, []
        )

    def _check_objects(self, found: _Verified) -> None:
        """Looks at the clock and at each object anew. Raises: InvalidToken, ServiceUnavailable."""
        now = self._clock.now()
        if found.expires < now:
            raise InvalidToken("service account token has expired")
        if not self._storage.loaded:
            raise ServiceUnavailable("the storage is not available: the watch cache is not loaded yet", {}, [], 1)
        seen = []
        for resource, namespace, name, uid in found.objects:
            entry = self._storage.latest(resource, namespace, name)
            meta = orjson.loads(entry.value)["metadata"] if entry is not None else {}
            if entry is None or meta.get("uid") != uid:
                raise InvalidToken("service account token has been invalidated")
            if deleted := meta.get("deletionTimestamp"):
                found.expires = min(found.expires, parse_time(deleted) + DELETED_LEEWAY_SECONDS)
            seen.append(entry)
        found.seen = seen
        if found.expires < now:
            raise InvalidToken("service account token has been invalidated")


def _reference(obj: Object) -> Json:
    return {"name": obj.name, "uid": obj.metadata.uid or ""}
