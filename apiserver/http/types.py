"""Types and bounds that the HTTP server and its users share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from apimachinery.errors import RequestEntityTooLarge
from componentbase.net.http1_exchange import ClientDisconnected, Header

__all__ = ["MAX_BODY_BYTES", "AsgiApp", "ClientDisconnected", "Header", "Receive", "Scope", "Send", "body_too_large"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 3 * 1024 * 1024  # a longer request body gets a 413


def body_too_large() -> RequestEntityTooLarge:
    return RequestEntityTooLarge(f"Request entity too large: limit is {MAX_BODY_BYTES}")
