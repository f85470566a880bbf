"""Bearer tokens that other issuers have signed: OpenID Connect ID tokens, and whatever else is a JWT of theirs.

Source: Kubernetes documentation, "OpenID Connect Tokens"; RFC 7519.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apiserver.auth.authentication.oidc.claims import ClaimsReader
from apiserver.auth.authentication.oidc.configuration import JWTAuthenticator
from apiserver.auth.authentication.oidc.issuer import IssuerError, IssuerKeys
from apiserver.auth.authentication.token_cache import TokenCache
from apiserver.auth.authentication.tokens import InvalidToken
from apiserver.request.user import User
from componentbase.clock import Clock

CACHE_SECONDS = 10.0
NOT_BEFORE_LEEWAY_SECONDS = 300.0  # an issuer's clock may be ahead of ours so far
MAX_TOKEN_BYTES = 64 * 1024

Json = dict[str, Any]


class IssuedTokens:
    """The tokens of one issuer."""

    def __init__(self, authenticator: JWTAuthenticator, clock: Clock, own_audiences: Sequence[str]) -> None:
        """`own_audiences` are this server's, which the tokens need not name. Raises: BadExpression, ssl.SSLError."""
        self._issuer = authenticator.issuer
        self._algorithms = authenticator.algorithms
        self._keys = IssuerKeys(authenticator.issuer, clock)
        self._reader = ClaimsReader(authenticator)
        self._clock = clock
        self._cache = TokenCache(clock, CACHE_SECONDS)
        self._own_audiences = own_audiences

    def known_user(self, token: bytes) -> User | None:
        return self._cache.get(token)

    async def verify(self, token: bytes, audiences: Sequence[str]) -> tuple[User, list[str]] | None:
        """None for a token of another issuer. Raises: InvalidToken."""
        shared = [name for name in audiences if name in self._own_audiences]
        user = self._cache.get(token)
        if user is None:
            user = await self._verify(token)
        if user is None:
            return None
        if audiences and not shared:
            raise InvalidToken("invalid bearer token")
        return user, shared

    async def _verify(self, token: bytes) -> User | None:
        from componentbase.signing_keys import BadToken, claims_of

        if len(token) > MAX_TOKEN_BYTES:
            return None
        text = token.decode("ascii", "replace")
        try:
            if claims_of(text).get("iss") != self._issuer.url:
                return None
        except BadToken:
            return None
        claims = await self._verified_claims(text)
        expires = self._check_times(claims)
        named = claims.get("aud")
        if not any(audience in self._issuer.audiences for audience in (named if isinstance(named, list) else [named])):
            raise InvalidToken("oidc: the token is meant for other audiences")
        user = self._reader.user(claims)
        self._cache.put(token, user, expires)
        return user

    async def _verified_claims(self, text: str) -> Json:
        """The claims, once a key of the issuer is found to have signed them. Raises: InvalidToken."""
        import jwt

        from componentbase.signing_keys import SIGNATURE_ONLY

        try:
            header = jwt.get_unverified_header(text)
            algorithm, key_id = header.get("alg"), header.get("kid")
            if algorithm not in self._algorithms:
                raise InvalidToken(f"oidc: the algorithm {algorithm!r} is not among those allowed")
            for key in await self._keys.find(key_id):
                try:
                    claims: Json = jwt.decode(text, key.key, algorithms=[algorithm], options=SIGNATURE_ONLY)
                    return claims
                except (jwt.InvalidSignatureError, jwt.InvalidKeyError, TypeError, ValueError):
                    continue  # made by another key, or not a key for this algorithm
        except IssuerError as error:
            raise InvalidToken(f"oidc: {error}") from None
        except (jwt.InvalidTokenError, RecursionError) as error:
            raise InvalidToken(f"oidc: {error}") from None
        raise InvalidToken("oidc: no key of the issuer has signed the token")

    def _check_times(self, claims: Json) -> float:
        """Returns when the token ends, in Unix seconds. Raises: InvalidToken."""
        now = self._clock.now()
        try:
            expires, begins = float(claims["exp"]), float(claims.get("nbf", 0))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise InvalidToken("oidc: the token does not say when it ends") from None
        if not expires > now:
            raise InvalidToken("oidc: the token has expired")
        if begins > now + NOT_BEFORE_LEEWAY_SECONDS:
            raise InvalidToken("oidc: the token is not valid yet")
        return expires
