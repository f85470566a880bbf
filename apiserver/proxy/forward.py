"""Passes a request on to a node, pod or service, and the answer back.

Bodies stream both ways, and a WebSocket or other upgrade becomes a pipe. Headers that concern a single hop, or that
identify the client to us, are not passed on.
Source: Kubernetes API reference, "Proxy Operations"; RFC 9110, section 7.6.1.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

from apimachinery.errors import BadRequest, ServiceUnavailable
from apiserver.http.types import ClientDisconnected, Header
from apiserver.proxy.kubelet import unreachable_reason
from apiserver.proxy.links import LinkMapper, page_rewriter
from apiserver.proxy.upgrade import IDLE_SECONDS, check_upgrade, join
from apiserver.request.message import TEXT, Answer, Answered, Request, Response
from componentbase import tls
from componentbase.net.authority import join_host_port
from componentbase.net.http1_client import ClientConnection, ResponseStream, connect, request_head
from componentbase.net.http1_exchange import BODYLESS, status_line
from componentbase.tasks import alongside

HOP_HEADERS = frozenset(
    {b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te"}
    | {b"trailer", b"transfer-encoding", b"upgrade"}
)
OWN_HEADERS = frozenset({b"authorization", b"expect", b"content-length"})
ANSWER_HEADERS = frozenset({b"date"}) | {
    b"access-control-allow-" + name for name in (b"credentials", b"headers", b"methods", b"origin")
}
"""Not passed back: other sites may ask the API server no more than it allows itself."""
PAGE_HEADERS = ANSWER_HEADERS | {b"content-length", b"content-encoding"}
IDENTITY_PREFIX = b"x-remote-"
PROXY_VERBS = ("get", "create", "update", "patch", "delete", "options")
SCHEMES = ("", "http", "https")


@dataclass(frozen=True, slots=True)
class Backend:
    """Where a request goes: to `path` (with a slash in front, percent-encoded) on this server."""

    host: str
    port: int
    path: str
    tls: ssl.SSLContext | None = None
    server_name: str = ""
    """The name that its certificate must have, where that is not `host`."""
    identity: tuple[Header, ...] = ()
    """Headers that name the user to it, in place of all that the client has sent in such headers."""
    has_pages: bool = True
    """Whether links in its pages lead to it, and so have to be rewritten."""

    @property
    def netloc(self) -> str:
        return join_host_port(self.host, self.port)


def split_name(request: Request, what: str) -> tuple[str, str, str]:
    """Splits the name in the path: "https:web:8443" -> ("https", "web", "8443"); scheme and port may be missing.

    Raises: BadRequest, which says `what` is named.
    """
    text = request.info.name
    parts = text.split(":")
    if len(parts) < 3:
        parts = ["", *parts, ""][:3]
    if len(parts) > 3 or parts[0] not in SCHEMES or not parts[1]:
        raise BadRequest(f'invalid {what} request "{text}"')
    return parts[0], parts[1], parts[2]


def port_number(text: str) -> int:
    """Raises: BadRequest."""
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) < 65536):
        raise BadRequest(f'invalid port "{text}": must be a number between 1 and 65535')
    return int(text)


def default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def check_address(address: str) -> None:
    """Raises: BadRequest for an address that only this machine itself should reach."""
    try:
        ip = ip_address(address)
    except ValueError:
        raise BadRequest("address not allowed") from None
    if ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified:
        raise BadRequest("address not allowed")


def rest_of_path(request: Request) -> str:
    """Returns the part of the path behind `…/proxy`, as the client has encoded it; "" when there is none."""
    path = request.exchange.target.partition(b"?")[0].decode("latin-1")
    before = 8 if request.info.namespace else 6
    parts = path.split("/", before)
    return f"/{parts[before]}" if len(parts) > before else ""


def pod_context() -> ssl.SSLContext:
    """Makes the context for https in pods, whose certificates are not verified."""
    return tls.client_context(insecure=True)


async def forward(request: Request, backend: Backend) -> Answer:
    """Raises: ServiceUnavailable when there is nothing at the other end."""
    if not backend.path and request.method in ("GET", "HEAD") and not is_upgrade(request):
        return _redirect(request)
    upgrade = is_upgrade(request)
    if upgrade:
        check_upgrade(request)
    try:
        connection = await connect(backend.host, backend.port, tls=backend.tls, server_name=backend.server_name)
    except (OSError, UnicodeError) as error:
        raise _unreachable(backend, unreachable_reason(error)) from None
    request.exchange.on_gone = connection.close
    try:
        if request.exchange.disconnected:
            raise ClientDisconnected  # while it was connected to: `on_gone` was not there yet
        async with alongside(_send_body(request, connection)):  # which begins behind the head
            answer = await connection.start_stream(
                _head(request, backend), None, without_body=request.method == "HEAD", may_switch=upgrade
            )
            if answer.status == 101:
                await join(request, answer)
            else:
                await _relay(request, backend, answer)
    except ConnectionError as error:
        if request.exchange.response_started:
            raise ClientDisconnected from None  # the head is out: cutting the client off is all that tells it
        raise _unreachable(backend, str(error)) from None
    finally:
        connection.close()
    return Answered(answer.status)


def _unreachable(backend: Backend, reason: str) -> ServiceUnavailable:
    return ServiceUnavailable(f"error trying to reach service: {backend.netloc}: {reason}")


def _redirect(request: Request) -> Response:
    """Redirects to the path with a slash, so that relative links of the page work."""
    path, _, query = request.exchange.target.partition(b"?")
    location = path + b"/" + (b"?" + query if query else b"")
    return Response(b"", 301, TEXT, headers=[(b"location", location)])


def is_upgrade(request: Request) -> bool:
    """Tells whether the request asks for another protocol on its connection."""
    return bool(request.header(b"upgrade")) and b"upgrade" in request.header(b"connection").lower()


def _head(request: Request, backend: Backend) -> bytes:
    query = request.query_string
    target = (backend.path or "/").encode() + (b"?" + query if query else b"")
    headers = _passed_on(request.headers, OWN_HEADERS)
    if backend.identity:
        headers = [header for header in headers if not header[0].startswith(IDENTITY_PREFIX)]
        headers += backend.identity
    if is_upgrade(request):
        headers += [(b"connection", b"Upgrade"), (b"upgrade", request.header(b"upgrade"))]
    else:
        headers.append((b"connection", b"close"))
    length = request.header(b"content-length")
    if request.header(b"transfer-encoding"):
        headers.append((b"transfer-encoding", b"chunked"))
    elif length:
        headers.append((b"content-length", length))
    client = request.exchange.connection.client
    forwarded = [value for name, value in request.headers if name == b"x-forwarded-for"]
    forwarded.append((client[0] if client else "unknown").encode())
    headers += [
        (b"x-forwarded-for", b", ".join(forwarded)),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-uri", request.exchange.target.partition(b"?")[0]),
        (b"x-forwarded-host", request.header(b"host")),
    ]
    return request_head(request.method, target, headers)


def _passed_on(headers: Iterable[Header], own: frozenset[bytes] = frozenset()) -> list[Header]:
    headers = list(headers)
    named = {token.strip().lower() for name, value in headers if name == b"connection" for token in value.split(b",")}
    return [
        (name, value)
        for name, value in headers
        if not (
            name in HOP_HEADERS or name in own or name in named or name.startswith((b"x-forwarded-", b"impersonate-"))
        )
    ]


async def _send_body(request: Request, connection: ClientConnection) -> None:
    """Sends the body as it comes. The other server may answer before its end, or break off: its answer tells."""
    if is_upgrade(request):
        return
    chunked = bool(request.header(b"transfer-encoding"))
    with contextlib.suppress(OSError, ClientDisconnected):
        async for piece in request.exchange.pieces():
            await connection.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            await connection.write(b"0\r\n\r\n")


async def _relay(request: Request, backend: Backend, answer: ResponseStream) -> None:
    """Raises: ConnectionError, ClientDisconnected."""
    exchange, mapper = request.exchange, _link_mapper(request, backend) if backend.has_pages else None
    rewriter = page_rewriter(answer.status, answer.headers, mapper) if mapper is not None else None
    lines = []
    chunked = answer.status not in BODYLESS and request.method != "HEAD"
    for name, value in _passed_on(answer.headers, ANSWER_HEADERS if rewriter is None else PAGE_HEADERS):
        if name == b"location" and mapper is not None:
            value = mapper.mapped(value.decode("latin-1")).encode("latin-1")
        elif name == b"content-length":
            chunked = False
        lines.append(b"%b: %b\r\n" % (name, value))
    if exchange.more_body:
        exchange.keep_alive = False  # the rest of the request will not be read
    exchange.begin_with(status_line(answer.status), b"".join(lines), chunked=chunked)
    async for chunk in answer:
        for piece in rewriter.feed(chunk) if rewriter is not None else (chunk,):
            exchange.write(piece)
            if exchange.blocked:
                await exchange.drain(IDLE_SECONDS)
    if rewriter is not None:
        exchange.write(rewriter.end())
    exchange.end()


def _link_mapper(request: Request, backend: Backend) -> LinkMapper:
    path = request.exchange.target.partition(b"?")[0].decode("latin-1")
    host = request.header(b"host").decode("latin-1")
    prefix = path.removesuffix(rest_of_path(request))
    return LinkMapper(prefix, host, frozenset({backend.netloc, backend.host, host}))
