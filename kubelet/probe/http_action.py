"""A GET of a probe or a lifecycle hook: its status and the start of its body, and errors in Go's words."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urljoin, urlsplit

from componentbase import tls
from componentbase.net.http1_client import MalformedResponse, ServerClosed, StaleConnection, connect, request_head

BODY_LIMIT = 10 * 1024  # bytes kept of a response
MAX_REDIRECTS = 10
USER_AGENT = "kube-probe/1.35"


class HttpError(Exception):
    """No answer: the text says why, in the words of upstream's HTTP client."""


@dataclass(frozen=True, slots=True)
class HttpActionResponse:
    """`redirected_away`: the last answer sends elsewhere, to a host that was not asked for."""

    status: int
    body: str
    redirected_away: bool = False


@lru_cache(maxsize=1)
def _unverified() -> ssl.SSLContext:
    """The context for pods' certificates: the kubelet connects to an address, not to a name."""
    return tls.client_context(insecure=True)


async def get(url: str, headers: Iterable[tuple[str, str]], timeout_seconds: float) -> HttpActionResponse:
    """Follows redirects within the host. Raises: HttpError."""
    first = urlsplit(url)
    try:
        async with asyncio.timeout(timeout_seconds):
            for _ in range(MAX_REDIRECTS):
                status, location, body = await _get_once(url, list(headers))
                if not 300 <= status < 400 or not location:
                    return HttpActionResponse(status, body)
                url = urljoin(url, location)
                if urlsplit(url).hostname != first.hostname:
                    return HttpActionResponse(status, body, redirected_away=True)
    except TimeoutError:
        why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        raise HttpError(f'Get "{url}": {why}') from None
    raise HttpError(f'Get "{url}": stopped after {MAX_REDIRECTS} redirects')


async def _get_once(url: str, headers: list[tuple[str, str]]) -> tuple[int, str, str]:
    """(status, Location, body)."""
    try:
        parts = urlsplit(url)
        secure = parts.scheme.lower() == "https"
        host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    except ValueError as error:
        raise HttpError(f'parse "{url}": {error}') from None
    try:
        connection = await connect(host, port, tls=_unverified() if secure else None, timeout_seconds=None)
    except OSError as error:
        raise HttpError(f'Get "{url}": {dial_error(host, port, error)}') from None
    except UnicodeError:
        raise HttpError(f'Get "{url}": dial tcp: lookup {host}: no such host') from None
    try:
        answer = await connection.start_stream(_request(url, headers), None)
        body = await answer.read_start(BODY_LIMIT)  # a peer that stops in the middle has still answered
        return answer.status, answer.header(b"location").decode("latin-1"), body.decode("utf-8", "replace")
    except MalformedResponse:
        raise HttpError(f'Get "{url}": malformed HTTP response') from None
    except (ServerClosed, StaleConnection):
        raise HttpError(f'Get "{url}": EOF') from None
    except OSError as error:
        raise HttpError(f'Get "{url}": {error.strerror or error}') from None
    finally:
        connection.close()


def _request(url: str, headers: list[tuple[str, str]]) -> bytes:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    names = {name.lower() for name, _ in headers}
    defaults = (("Host", parts.netloc), ("User-Agent", USER_AGENT), ("Accept", "*/*"))
    lines = [header for header in defaults if header[0].lower() not in names]
    lines += [(name, value) for name, value in headers if value or name.lower() != "accept"]
    lines.append(("Connection", "close"))
    return request_head("GET", _one_line(target), [(_one_line(name), _one_line(value)) for name, value in lines])


def _one_line(text: str) -> bytes:
    return text.replace("\r", "").replace("\n", "").encode()


async def dial(host: str, port: int, timeout_seconds: float) -> None:
    """Opens and closes a TCP connection. Raises: HttpError."""
    try:
        async with asyncio.timeout(timeout_seconds):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        raise HttpError(f"dial tcp {_address(host, port)}: i/o timeout") from None
    except OSError as error:
        raise HttpError(dial_error(host, port, error)) from None
    writer.transport.abort()


def dial_error(host: str, port: int, error: OSError) -> str:
    """ "dial tcp 10.0.0.1:80: connect: connection refused"."""
    if isinstance(error, ssl.SSLError):
        return f"tls: {error.reason or error}"
    if isinstance(error, ConnectionRefusedError):
        return f"dial tcp {_address(host, port)}: connect: connection refused"
    text = (error.strerror or str(error)).lower()
    return f"dial tcp {_address(host, port)}: connect: {text}"


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
