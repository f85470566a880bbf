"""The `continue` of a paged list: which snapshot, and which key comes next.

Source: Kubernetes API concepts, "Retrieving large results sets in chunks"; the token is opaque to clients.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

import orjson

from apiserver.storage.interface import BadContinueToken

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
    """Raises: BadContinueToken."""
    try:
        body = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        version, revision, start = body["v"], body["rv"], body["start"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadContinueToken(f"continue key is not valid: {error}") from None
    if version != _VERSION:
        raise BadContinueToken("continue key is not valid: server does not recognize this encoded version")
    if not isinstance(revision, int) or not isinstance(start, str) or not start or revision < -1:
        raise BadContinueToken("continue key is not valid: incorrect encoded start resourceVersion or key")
    return ContinueToken(max(revision, 0), start)
