"""The words that the HTTP server and those who use it share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from apimachinery.errors import RequestEntityTooLarge

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

MAX_BODY_BYTES = 3 * 1024 * 1024  # a longer request body gets a 413; nothing of it is kept


class ClientDisconnected(Exception):
    """The client went away while its request was being read; nobody waits for an answer."""


def body_too_large() -> RequestEntityTooLarge:
    return RequestEntityTooLarge(f"Request entity too large: limit is {MAX_BODY_BYTES}")
