"""The API's HTTPS server: our HTTP server with the API's bounds, whose own refusals are Status objects."""

from __future__ import annotations

import orjson

from apimachinery.errors import BadRequest, StatusError
from apiserver.http.types import MAX_BODY_BYTES
from componentbase.net.http1_exchange import Handler
from componentbase.net.http1_server import HttpServer, ServerLimits

KEEP_ALIVE_SECONDS = 120.0


def http_server(handler: Handler, drain_seconds: float) -> HttpServer:
    """`drain_seconds` is how long a request under way may go on when the server stops."""
    limits = ServerLimits(KEEP_ALIVE_SECONDS, max_body_bytes=MAX_BODY_BYTES, drain_seconds=drain_seconds)
    return HttpServer(handler, limits, error_as_status)


def error_as_status(status: int, message: str) -> tuple[bytes, bytes]:
    """(content type, body) for what never reaches a handler: bytes that are not HTTP, or a head without end."""
    error: StatusError = BadRequest(message)
    if status == 431:
        error = StatusError(message, code=431, reason="RequestHeaderFieldsTooLarge")
    return b"application/json", orjson.dumps(error.to_status())
