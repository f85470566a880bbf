"""Makes and verifies the tokens of service accounts.

A token speaks for its account until it expires, or until the account or the object that it is bound to is deleted.
`componentbase.signing_keys` is imported by the first token: PyJWT and cryptography take 70 ms.
Source: Kubernetes documentation, "Managing Service Accounts", "Bound service account tokens".
"""

from __future__ import annotations

import math
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson

from apimachinery.errors import ServiceUnavailable, quote
from apimachinery.meta import Object
from apimachinery.resource import Resource
from apimachinery.times import parse_time
from apiserver.request.user import AUTHENTICATED, CREDENTIAL_ID, User
from apiserver.storage import CachedStorage
from apiserver.storage.interface import Entry
from componentbase.clock import Clock
from kubeapi.core.secret import accounttoken

if TYPE_CHECKING:
    from componentbase.signing_keys import Key, PrivateKey

USER_PREFIX = accounttoken.USER_PREFIX
ACCOUNTS_GROUP = "system:serviceaccounts"
EXTRA = "authentication.kubernetes.io/"
OWN_CLAIM = "kubernetes.io"
JWKS_PATH = "/openid/v1/jwks"
BOUND_KINDS = ("pod", "secret", "node")
DELETED_LEEWAY_SECONDS = 60.0  # a token outlives its deleted pod for a little: the pod may still be shutting down
DAY_SECONDS = 24 * 3600.0
VERIFIED_TOKENS = 4096  # kept with what they stand for, by header value; when full, all are dropped

Json = dict[str, Any]


class InvalidToken(Exception):
    """A bearer token that speaks for nobody; the message is for who asks about it."""


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """The server's options about tokens."""

    issuers: Sequence[str]
    """The first one issues; tokens of the others are believed too."""
    audiences: Sequence[str]
    """The audiences that a token for this server may name; by default the first issuer."""
    jwks_uri: str
    max_seconds: int
    signing_key_file: str
    key_files: Sequence[str]


@dataclass(slots=True)
class _Verified:
    """A token whose signature and claims are good, with the objects that have to exist for it."""

    user: User
    audiences: frozenset[str]
    expires: float
    """Unix seconds; sooner than the token says where an object is being deleted."""
    objects: list[tuple[Resource[Any], str, str, str]]
    """(resource, namespace, name, uid) of each; any uid is good where it is ""."""
    entries: list[Entry]
    """The entries of the objects when they were last checked: while they are the same, the token is good."""
    secret_token: str = ""
    """The token itself, where a Secret has to hold it."""
    checked_until: float = math.inf
    """Unix seconds: such a token is checked anew each day, so that each day's use is noted."""


class ServiceAccountTokens:
    """Makes tokens, and finds the user that a token speaks for. The first token has the keys read."""

    def __init__(
        self,
        settings: TokenSettings,
        storage: CachedStorage,
        core: Mapping[str, Resource[Any]],
        clock: Clock,
        note_use: Callable[[Json], None],
    ) -> None:
        """`core` has the core group's resources by plural; `note_use` takes a Secret whose token has been used."""
        self.issuers = settings.issuers
        self.audiences = settings.audiences or settings.issuers[:1]
        self.jwks_uri = settings.jwks_uri
        self.max_seconds = settings.max_seconds
        self._settings = settings
        self._storage = storage
        self._core = core
        self._clock = clock
        self._note_use = note_use
        self._verified: dict[bytes, _Verified] = {}

    # -- making

    def issue(self, account: Object, bound: Mapping[str, Object], audiences: Sequence[str], seconds: int) -> str:
        """`bound` names what the token is bound to: "pod", "secret" or "node" and its object."""
        from componentbase.signing_keys import sign

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
        from componentbase.signing_keys import read_private_key

        return read_private_key(Path(self._settings.signing_key_file).read_bytes())

    @cached_property
    def keys(self) -> list[Key]:
        """All keys that may have signed a token; the one that signs new tokens stands first."""
        from componentbase.signing_keys import make_key, read_public_key

        files = self._settings.key_files
        keys = [make_key(self._private.public_key()), *(read_public_key(Path(file).read_bytes()) for file in files)]
        return list({key.id: key for key in keys}.values())

    # -- verifying

    def cached_user(self, header: bytes) -> User | None:
        """The user of a header whose token is verified already, if nothing has changed since."""
        verified = self._verified.get(header)
        return verified.user if verified is not None and self._unchanged(verified) else None

    def user(self, header: bytes, token: bytes) -> User | None:
        """The user that the token speaks for at this server; `header` is the whole value of the header.

        Raises: ServiceUnavailable while the objects that decide have not been read yet.
        """
        verified = self._verified.get(header)
        try:
            if verified is None:
                verified = self._verify(token.decode("ascii", "replace"), self.audiences)
                if len(self._verified) >= VERIFIED_TOKENS:
                    self._verified.clear()
                self._verified[header] = verified
            else:
                self._check_objects(verified)
        except InvalidToken:
            self._verified.pop(header, None)
            return None
        return verified.user

    def review(self, token: str, audiences: Sequence[str]) -> tuple[User, list[str]]:
        """The user that the token speaks for, and which of the audiences it is meant for. Raises: InvalidToken."""
        verified = self._verify(token, audiences)
        return verified.user, [name for name in audiences if name in verified.audiences]

    def _unchanged(self, verified: _Verified) -> bool:
        if min(verified.expires, verified.checked_until) < self._clock.now():
            return False
        for (resource, namespace, name, _), entry in zip(verified.objects, verified.entries, strict=True):
            if self._storage.peek(resource, namespace, name) is not entry:
                return False
        return True

    def _verify(self, token: str, audiences: Sequence[str]) -> _Verified:
        """Raises: InvalidToken."""
        from componentbase.signing_keys import BadToken, claims_of, verify

        try:
            issuer = claims_of(token).get("iss")
            if issuer not in self.issuers and issuer != accounttoken.ISSUER:
                raise InvalidToken("invalid bearer token")
            claims = verify(token, self.keys)
            verified = self._read(claims) if issuer in self.issuers else self._read_legacy(claims, token)
        except BadToken:
            raise InvalidToken("invalid bearer token") from None
        if not verified.audiences.intersection(audiences):
            named, wanted = quote(sorted(verified.audiences)), quote(list(audiences))
            why = f"token audiences {named} is invalid for the target audiences {wanted}"
            raise InvalidToken(f"[invalid bearer token, {why}]")
        self._check_objects(verified)
        return verified

    def _read(self, claims: Json) -> _Verified:
        """Reads the claims of a token whose signature is good. Raises: InvalidToken."""
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
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise InvalidToken("invalid bearer token") from None
        if not (math.isfinite(begins) and math.isfinite(expires)):  # Python reads NaN and Infinity in JSON
            raise InvalidToken("invalid bearer token")
        if now < begins:
            raise InvalidToken("service account token is not valid yet")
        user = _account_user(namespace, account["name"], account["uid"], tuple(extra))
        if claims.get("sub") != user.name:
            raise InvalidToken("invalid bearer token")
        return _Verified(
            user, frozenset([audiences] if isinstance(audiences, str) else audiences), expires, objects, []
        )

    def _read_legacy(self, claims: Json, token: str) -> _Verified:
        """Reads the claims of a token from a Secret, which holds until the Secret is gone. Raises: InvalidToken."""
        try:
            namespace, account = str(claims[accounttoken.NAMESPACE_CLAIM]), str(claims[accounttoken.ACCOUNT_CLAIM])
            uid, secret = str(claims[accounttoken.UID_CLAIM]), str(claims[accounttoken.SECRET_CLAIM])
        except KeyError:
            raise InvalidToken("invalid bearer token") from None
        user = _account_user(namespace, account, uid, ())
        if not uid or claims.get("sub") != user.name:
            raise InvalidToken("invalid bearer token")
        objects = [
            (self._core["serviceaccounts"], namespace, account, uid),
            (self._core["secrets"], namespace, secret, ""),
        ]
        return _Verified(user, frozenset(self.audiences), math.inf, objects, [], token)

    def _check_objects(self, verified: _Verified) -> None:
        """Checks the time and each object again. Raises: InvalidToken, ServiceUnavailable."""
        now = self._clock.now()
        if verified.expires < now:
            raise InvalidToken("service account token has expired")
        if not self._storage.loaded:
            raise ServiceUnavailable("the storage is not available: the watch cache is not loaded yet", {}, [], 1)
        entries = []
        for resource, namespace, name, uid in verified.objects:
            entry = self._storage.latest(resource, namespace, name)
            content = orjson.loads(entry.value) if entry is not None else {}
            meta = content.get("metadata", {})
            if entry is None or uid not in ("", meta["uid"]):
                raise InvalidToken("service account token has been invalidated")
            if not uid:
                _check_secret(content, verified)
                verified.checked_until = now - now % DAY_SECONDS + DAY_SECONDS
                self._note_use(content)
            if deleted := meta.get("deletionTimestamp"):
                verified.expires = min(verified.expires, parse_time(deleted) + DELETED_LEEWAY_SECONDS)
            entries.append(entry)
        verified.entries = entries
        if verified.expires < now:
            raise InvalidToken("service account token has been invalidated")


def _account_user(namespace: str, name: str, uid: str, extra: tuple[tuple[str, tuple[str, ...]], ...]) -> User:
    groups = (ACCOUNTS_GROUP, f"{ACCOUNTS_GROUP}:{namespace}", AUTHENTICATED)
    return User(f"{USER_PREFIX}{namespace}:{name}", uid, groups, extra)


def _check_secret(secret: Json, verified: _Verified) -> None:
    """Checks that the Secret of a token still holds it. Raises: InvalidToken."""
    meta = secret["metadata"]
    stored = (secret.get("data") or {}).get("token", "")
    if meta.get("deletionTimestamp") or b64decode(stored) != verified.secret_token.encode():
        raise InvalidToken("service account token has been invalidated")
    if accounttoken.INVALID_SINCE in (meta.get("labels") or {}):
        raise InvalidToken(
            f"the token in secret {meta['namespace']}/{meta['name']} has been marked invalid, as it was not used for "
            f"long. Remove the label {accounttoken.INVALID_SINCE} from the secret to allow it again"
        )


def _reference(obj: Object) -> Json:
    return {"name": obj.name, "uid": obj.metadata.uid or ""}
