"""The keys of an issuer of tokens: found by its discovery document, fetched when a token needs them.

Source: OpenID Connect Discovery 1.0.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any
from urllib.parse import urlsplit

import orjson

from apiserver.auth.authentication.oidc.configuration import Issuer
from componentbase.clock import Clock
from componentbase.net.http1_client import connect, request_head
from componentbase.tls import client_context

WELL_KNOWN = "/.well-known/openid-configuration"
FETCH_SECONDS = 10.0
REFETCH_SECONDS = 5.0  # the issuer is asked no more often, however many tokens name keys that nobody knows
MAX_BYTES = 1024 * 1024  # of a document
MAX_KEYS = 256

Json = dict[str, Any]


class IssuerError(Exception):
    """The issuer could not be asked, or its answer can't be used."""


async def fetch(url: str, tls: ssl.SSLContext) -> Json:
    """GETs a JSON object. A redirect is an error: the address is to be the right one. Raises: IssuerError."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise IssuerError(f"{url}: must be an https:// address")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        async with asyncio.timeout(FETCH_SECONDS):
            connection = await connect(parts.hostname, parts.port or 443, tls=tls)
            try:
                headers = ((b"host", parts.netloc.encode("ascii")), (b"accept", b"application/json"))
                answer = await connection.start_stream(request_head("GET", target.encode("ascii"), headers))
                body = await answer.read_start(MAX_BYTES + 1)
            finally:
                connection.close()
        if answer.status != 200 or len(body) > MAX_BYTES:
            raise IssuerError(f"{url}: answered {answer.status} with {len(body)} bytes")
        document = orjson.loads(body)
    except (OSError, UnicodeError, ValueError) as error:  # TimeoutError, ConnectionError and SSLError are OSErrors
        raise IssuerError(f"{url}: {error or type(error).__name__}") from None
    if not isinstance(document, dict):
        raise IssuerError(f"{url}: not a JSON object")
    return document


class IssuerKeys:
    """The keys of one issuer, by id. Fetched at first use, and again for an id that is not among them."""

    def __init__(self, issuer: Issuer, clock: Clock) -> None:
        """Raises: ssl.SSLError."""
        self._issuer = issuer
        self._clock = clock
        self._tls = client_context(ca_data=issuer.certificateAuthority)
        self._keys: dict[str, list[Any]] = {}
        self._jwks_uri = ""
        self._fetched_at = float("-inf")
        self._lock = asyncio.Lock()
        self._error = ""

    async def find(self, key_id: str | None) -> list[Any]:
        """The keys that may have signed a token: those of the id, or all for a token without one.

        Raises: IssuerError while there are none at all.
        """
        if not self._known(key_id):
            async with self._lock:  # those who wait find what the first has fetched
                if not self._known(key_id) and self._clock.monotonic() - self._fetched_at >= REFETCH_SECONDS:
                    await self._fetch()
        if not self._keys:
            raise IssuerError(self._error or f"{self._issuer.url}: there are no keys")
        return self._known(key_id)

    def _known(self, key_id: str | None) -> list[Any]:
        if key_id is None:
            return [key for keys in self._keys.values() for key in keys]
        return self._keys.get(key_id, [])

    async def _fetch(self) -> None:
        """Keeps the old keys where the issuer can't be asked."""
        try:
            if not self._jwks_uri:
                self._jwks_uri = await self._discover()
            self._keys = read_keys(await fetch(self._jwks_uri, self._tls))
            self._error = ""
        except IssuerError as error:
            self._error, self._jwks_uri = str(error), ""
        finally:
            self._fetched_at = self._clock.monotonic()

    async def _discover(self) -> str:
        url = self._issuer.discoveryURL or self._issuer.url.rstrip("/") + WELL_KNOWN
        document = await fetch(url, self._tls)
        if document.get("issuer") != self._issuer.url:
            raise IssuerError(f"{url}: is of the issuer {document.get('issuer')!r}, not {self._issuer.url}")
        return str(document.get("jwks_uri", ""))


def read_keys(document: Json) -> dict[str, list[Any]]:
    """Key id -> PyJWT's keys; "" for those without one. Keys for anything but signatures, or of no known kind, are left
    out. Raises: IssuerError."""
    from jwt import PyJWK, PyJWTError

    items = document.get("keys")
    if not isinstance(items, list) or len(items) > MAX_KEYS:
        raise IssuerError(f"a key set must be a list of at most {MAX_KEYS} keys")
    keys: dict[str, list[Any]] = {}
    for item in items:
        if not isinstance(item, dict) or item.get("use", "sig") != "sig" or item.get("kty") not in ("RSA", "EC"):
            continue
        try:
            key = PyJWK(item)
        except (PyJWTError, ValueError, TypeError, KeyError):
            continue
        keys.setdefault(str(item.get("kid", "")), []).append(key)
    return keys
