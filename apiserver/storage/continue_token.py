"""The `continue` of a paged list: which snapshot, and which key comes next.

Source: Kubernetes API concepts, "Retrieving large results sets in chunks"; the token is opaque to clients.
"""

from __future__ import annotations

import base64
import posixpath
from dataclasses import dataclass

import orjson

from apiserver.storage.interface import BadContinueToken

NOT_VALID = "continue key is not valid"
_VERSION = "meta.k8s.io/v1"

TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


@dataclass(frozen=True, slots=True)
class ContinueToken:
    """`start` is the key to go on with, relative to the resource's prefix; revision 0 reads what is current."""

    revision: int
    start: str

    def encode(self) -> str:
        body = orjson.dumps({"v": _VERSION, "rv": self.revision or -1, "start": self.start})
        return base64.urlsafe_b64encode(body).rstrip(b"=").decode()


def decode_token(text: str) -> ContinueToken:
    """Raises: BadContinueToken, worded as upstream's but for what its decoders say of other texts."""
    try:
        body = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except ValueError as error:
        raise BadContinueToken(f"{NOT_VALID}: {error}") from None
    if not isinstance(body, dict):
        raise BadContinueToken(f"{NOT_VALID}: it does not hold an object")
    version, revision, start = body.get("v", ""), body.get("rv", 0), body.get("start", "")
    if not (isinstance(version, str) and type(revision) is int and revision < 2**63 and isinstance(start, str)):
        raise BadContinueToken(f"{NOT_VALID}: a member of it has another type")
    if version != _VERSION:
        raise BadContinueToken(f"{NOT_VALID}: server does not recognize this encoded version {version}")
    if revision == 0:
        raise BadContinueToken(f"{NOT_VALID}: incorrect encoded start resourceVersion (version {_VERSION})")
    if not start:
        raise BadContinueToken(f"{NOT_VALID}: encoded start key empty (version {_VERSION})")
    if _leaves_its_prefix(start):
        raise BadContinueToken(f"{NOT_VALID}: {start}")
    return ContinueToken(max(revision, 0), start)


def _leaves_its_prefix(start: str) -> bool:
    """Tells whether the key would climb out of its resource, or is not a clean path."""
    key = start if start.startswith("/") else f"/{start}"
    return posixpath.normpath(key) != key or key.startswith("//")
