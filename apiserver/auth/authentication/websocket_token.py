"""The bearer token of a browser, which cannot send an Authorization header with a WebSocket: a subprotocol carries it.

Source: Kubernetes' API server, "base64url.bearer.authorization.k8s.io"; RFC 6455, section 11.3.4.
"""

from __future__ import annotations

import base64
import binascii

from apimachinery.errors import Unauthorized
from apiserver.http.types import Header
from componentbase.net.websocket import asks_upgrade

PREFIX = b"base64url.bearer.authorization.k8s.io."
OFFER = b"sec-websocket-protocol"


def take_token(headers: list[Header]) -> bytes | None:
    """Removes the token from what the client of a WebSocket offers, so that nobody behind us sees it; None without one.

    Raises: Unauthorized for two tokens, one that is not base64, or one without another protocol to answer with.
    """
    if not asks_upgrade(headers, b"websocket"):
        return None
    offered = [item.strip() for name, value in headers if name == OFFER for item in value.split(b",")]
    tokens = [item.removeprefix(PREFIX) for item in offered if item.startswith(PREFIX)]
    if not tokens:
        return None
    others = [item for item in offered if not item.startswith(PREFIX)]
    if len(tokens) > 1 or not others:
        raise Unauthorized("Unauthorized")
    headers[:] = [header for header in headers if header[0] != OFFER] + [(OFFER, b", ".join(others))]
    try:
        return base64.b64decode(tokens[0] + b"=" * (-len(tokens[0]) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise Unauthorized("Unauthorized") from None
