"""httpGet: makes one GET; a status from 200 to 399 is success."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urljoin, urlsplit

from componentbase import tls
from componentbase.net.http1_client import MalformedResponse, ServerClosed, StaleConnection, connect, request_head
from kubeapi.core.pod.probes import HTTPGetAction
from kubelet.probe.dial import DialError, dial_error
from kubelet.probe.interface import HookError, ProbedContainer, ProbeType
from kubelet.probe.state import ProbeResult

BODY_LIMIT = 10 * 1024  # bytes kept of a response
MAX_REDIRECTS = 10
USER_AGENT = "kube-probe/1.35"
HOOK_SECONDS = 30.0  # a hook's request without an answer by then has failed
HOOK_BODY_LIMIT = 200  # characters of the answer that the error shows


async def attempt(container: ProbedContainer, action: HTTPGetAction, limit_seconds: float) -> ProbeResult:
    url = action_url(container, action)
    try:
        response = await _get(url, _headers(action), limit_seconds)
    except DialError as error:
        return ProbeResult("failure", str(error))
    if response.redirected_away:
        return ProbeResult("warning", f"Probe terminated redirects, Response body: {response.body}")
    if 200 <= response.status < 400:
        return ProbeResult("success", response.body)
    return ProbeResult("failure", f"HTTP probe failed with statuscode: {response.status}")


async def hook(container: ProbedContainer, action: HTTPGetAction) -> None:
    url = action_url(container, action)
    try:
        response = await _get(url, _headers(action), HOOK_SECONDS)
    except DialError as error:
        raise HookError(str(error)) from None
    if response.status >= 400:
        raise HookError(f'Get "{url}": server answered {response.status}: {response.body[:HOOK_BODY_LIMIT]}')


def action_url(container: ProbedContainer, action: HTTPGetAction) -> str:
    """Raises: PortNotFound."""
    port = container.port(action.port)
    host = action.host or container.pod_ip
    if ":" in host:
        host = f"[{host}]"
    path = action.path if action.path.startswith("/") else f"/{action.path}"
    return f"{(action.scheme or 'HTTP').lower()}://{host}:{port}{path}"


def _headers(action: HTTPGetAction) -> list[tuple[str, str]]:
    return [(header.name, header.value) for header in action.httpHeaders or ()]


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


async def _get(url: str, headers: Iterable[tuple[str, str]], timeout_seconds: float) -> HttpActionResponse:
    """Follows redirects within the host. Raises: DialError."""
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
        raise DialError(f'Get "{url}": {why}') from None
    raise DialError(f'Get "{url}": stopped after {MAX_REDIRECTS} redirects')


async def _get_once(url: str, headers: list[tuple[str, str]]) -> tuple[int, str, str]:
    """Returns (status, Location, body)."""
    try:
        parts = urlsplit(url)
        secure = parts.scheme.lower() == "https"
        host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    except ValueError as error:
        raise DialError(f'parse "{url}": {error}') from None
    try:
        connection = await connect(host, port, tls=_unverified() if secure else None, timeout_seconds=None)
    except OSError as error:
        raise DialError(f'Get "{url}": {dial_error(host, port, error)}') from None
    except UnicodeError:
        raise DialError(f'Get "{url}": dial tcp: lookup {host}: no such host') from None
    try:
        answer = await connection.start_stream(_request(url, headers), None)
        body = await answer.read_start(BODY_LIMIT)  # a peer that stops in the middle has still answered
        return answer.status, answer.header(b"location").decode("latin-1"), body.decode("utf-8", "replace")
    except MalformedResponse:
        raise DialError(f'Get "{url}": malformed HTTP response') from None
    except (ServerClosed, StaleConnection):
        raise DialError(f'Get "{url}": EOF') from None
    except OSError as error:
        raise DialError(f'Get "{url}": {error.strerror or error}') from None
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


PROBE = ProbeType("httpGet", attempt, hook)
