"""An HTTP/1.1 server on httptools, for handlers that take an exchange: one request and its answer on a connection.

The answer of a request is one write of one joined buffer, a chunk that a thousand watchers get is framed once, and a
handler that need not wait answers without a task. Connections know their client's certificate, may be taken over
for another protocol, and finish what they began when the server stops.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from email.utils import formatdate
from functools import cached_property
from hashlib import sha256
from typing import Any, cast
from urllib.parse import unquote

import httptools

from componentbase.net.http1_exchange import STATUS_LINES, Handler, Header, HttpExchange, PeerCertificate
from componentbase.net.raw import RawConnection, notice_dead_peer
from componentbase.tasks import alongside
from componentbase.tls import trusted_authority

SWEEP_SECONDS = 10.0  # between looks at idle connections: cheaper than a timer each
HANDSHAKE_SECONDS = 10.0
BACKLOG = 1024  # connections waiting to be accepted; the kernel refuses further ones
DEAD_PEER_SECONDS = 60.0  # unacknowledged data this old ends a connection
MAX_HEAD_BYTES = 1024 * 1024  # request line and headers; a client that sends more gets a 431
EARLY_BYTES = 256 * 1024  # sent by a client before its upgrade was answered; a client that sends more is cut off

_NOTED_HEADERS = frozenset((b"expect", b"content-length", b"transfer-encoding"))


def error_as_text(status: int, message: str) -> tuple[bytes, bytes]:
    """Returns (content type, body) for a refusal of the server itself."""
    return b"text/plain; charset=utf-8", message.encode()


@dataclass(frozen=True, slots=True)
class ServerLimits:
    keep_alive_seconds: float = 30.0
    """An idle connection is closed after this, or a little later."""
    max_connections: int = 0
    """Open connections or requests under way, beyond which requests get a 503; 0 for any number."""
    max_body_bytes: int = 64 * 1024
    head_seconds: float = 32.0
    """For a head to come, or a little longer (upstream's bound)."""
    linger_seconds: float = 0.5
    """Between an answer that ends a connection and its end."""
    drain_seconds: float = 0.0
    """For requests under way when the server stops; then they are cancelled."""


class HttpConnection(asyncio.Protocol):
    """One client's connection. The parser calls the `on_…` methods."""

    def __init__(self, server: HttpServer, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self.loop = loop
        self.max_body_bytes = server.limits.max_body_bytes
        self.tasks = server.tasks
        self.date = server.date
        self.chunk = server.chunk
        self.transport: asyncio.Transport = cast(Any, None)  # until the connection is made
        self.client: tuple[str, int] | None = None
        self.identity: Any = None
        self.writable: asyncio.Event | None = None
        self.exchange: HttpExchange | None = None
        """The newest: of pipelined ones, the last."""
        self._answering: HttpExchange | None = None
        self.idle_since = loop.time()
        self.url = b""
        self.headers: list[Header] = []
        self._parser: Any = httptools.HttpRequestParser(self)
        # A pipelined request behind one that closes the connection is dropped with it, not an error.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._waiting: deque[HttpExchange] = deque()  # pipelined; reading pauses at the first
        self._expects_100 = False
        self._has_body = False
        self._reading_paused = False
        self._early = bytearray()
        self._upgrading = False
        self._lingering = False
        self._in_head = False
        self._head_bytes = 0
        self._head_since = 0.0

    @cached_property
    def certificate(self) -> PeerCertificate | None:
        tls = self.transport.get_extra_info("ssl_object")
        fields = tls.getpeercert() if tls is not None else None
        if not fields:
            return None
        digest = sha256(tls.getpeercert(binary_form=True)).hexdigest()
        return PeerCertificate(fields.get("subject", ()), digest, trusted_authority(tls))

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own class does not derive from asyncio's
        self.server.connections.add(self)
        peer = transport.get_extra_info("peername")
        self.client = (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else None
        notice_dead_peer(transport, probe_seconds=0, dead_after_seconds=DEAD_PEER_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.connections.discard(self)
        self.resume_writing()
        self._drop_exchanges()
        self.exchange = self._answering = self._parser = None  # they refer to this connection

    def _drop_exchanges(self) -> None:
        """Tells those that are not answered that nobody waits any more."""
        for exchange in (self._answering, *self._waiting):
            if exchange is not None:
                exchange.gone()
        self._waiting.clear()

    def pause_writing(self) -> None:
        self.writable = asyncio.Event()

    def resume_writing(self) -> None:
        if self.writable is not None:
            self.writable.set()
            self.writable = None

    def data_received(self, data: bytes) -> None:
        if self._upgrading:
            self._keep_early(data)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._keep_early(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(400, "Invalid HTTP request received.")
            return
        if self._in_head:
            self._check_head(len(data))

    def _check_head(self, size: int) -> None:
        """Bounds a head that did not come in one piece: it may be neither long nor slow."""
        if not self._head_bytes:
            self._head_since = self.loop.time()
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(431, f"Request header is too large: limit is {MAX_HEAD_BYTES}")

    # httptools' side

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        self.url = b""
        self._expects_100 = self._has_body = False
        self.headers = []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in _NOTED_HEADERS:
            if name != b"expect":
                self._has_body = True
            elif value.lower() == b"100-continue":
                self._expects_100 = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        parser = self._parser
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        if "%" in path:
            path = unquote(path)
        upgrading = parser.should_upgrade()
        exchange = HttpExchange(
            self,
            parser.get_method().decode("ascii"),
            self.url,
            path,
            url.query or b"",
            self.headers,
            waiting_for_100=self._expects_100,
            has_body=self._has_body,
            keep_alive=not (upgrading or self.server.leaving)
            and parser.should_keep_alive()
            and parser.get_http_version() != "1.0",
        )
        self._upgrading = upgrading
        before, self.exchange = self.exchange, exchange
        if before is not None and not before.response_complete:
            self.pause_reading()
            self._waiting.append(exchange)
        else:
            self._start(exchange)

    def on_body(self, body: bytes) -> None:
        if self.exchange is not None and not self.exchange.response_complete:
            self.exchange.feed(body)

    def on_message_complete(self) -> None:
        if self.exchange is not None and not self.exchange.response_complete:
            self.exchange.end_of_body()

    # Requests one after the other

    def _start(self, exchange: HttpExchange) -> None:
        server = self.server
        self._answering = exchange
        if server.overloaded:
            exchange.keep_alive = False
            server.refuse(exchange, 503, "Service Unavailable")
            return
        handler = server.handler
        try:
            answering = handler(exchange) if self.writable is None else _when_readable(exchange, handler)
        except Exception as error:  # the parser, which calls this, would take it for a fault of the client
            exchange.fail(error)
            return
        if answering is not None:
            exchange.task = self.loop.create_task(exchange.run(answering))
            self.tasks.add(exchange.task)

    def on_response_complete(self) -> None:
        """Starts the next pipelined request, or rests."""
        if self.transport.is_closing():
            return
        self.resume_reading()
        if self._waiting:
            self._start(self._waiting.popleft())
        else:
            self.idle_since = self.loop.time()

    def pause_reading(self) -> None:
        if not self._reading_paused:
            self._reading_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self._reading_paused:
            self._reading_paused = False
            self.transport.resume_reading()

    # The end

    def close_if_idle(self, before: float) -> None:
        """Closes a connection that has been at rest since `before` (loop time), or is at its head for too long."""
        slow = (
            self._in_head and self._head_bytes and self._head_since < self.loop.time() - self.server.limits.head_seconds
        )
        if slow or ((self.exchange is None or self.exchange.response_complete) and self.idle_since < before):
            self.transport.abort()  # not `close`, which waits until a client that reads nothing has read all

    def shutdown(self) -> None:
        """Closes the connection, after the answer under way."""
        if self.exchange is None or self.exchange.response_complete:
            self.transport.close()
        else:
            self.exchange.keep_alive = False

    def _refuse(self, status: int, message: str) -> None:
        """Answers what is not HTTP, unless an answer has begun: then the connection is cut in its middle."""
        if self._answering is not None and self._answering.response_started and not self._answering.response_complete:
            self.transport.abort()
            return
        self._drop_exchanges()
        content_type, body = self.server.error_body(status, message)
        head = b"%bcontent-type: %b\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        self.transport.write(head % (STATUS_LINES[status], content_type, len(body)) + body)
        self.linger()

    def linger(self) -> None:
        """Closes a little later and drops what still comes: closed at once, the client would lose the answer."""
        self._upgrading = self._lingering = True
        self._in_head = False
        self.resume_reading()
        self.loop.call_later(self.server.limits.linger_seconds, self.transport.close)

    def _keep_early(self, data: bytes) -> None:
        if self._lingering:
            return
        self._early += data
        if len(self._early) > EARLY_BYTES:
            self.transport.close()

    def take_over(self) -> RawConnection:
        """Hands the connection over to the exchange; HTTP ends here."""
        raw = RawConnection(self.transport, bytes(self._early))
        self.server.connections.discard(self)
        self._early.clear()
        self.resume_reading()
        self._parser = None
        return raw


async def _at_once() -> None:
    """Leaves and ends nothing."""


async def _when_readable(exchange: HttpExchange, handler: Handler) -> None:
    """Lets the client first read the answers to what it asked before."""
    await exchange.drain()
    answering = handler(exchange)
    if answering is not None:
        await answering


class HttpServer:
    """Serves a handler, and holds what its connections share."""

    def __init__(
        self,
        handler: Handler,
        limits: ServerLimits,
        error_body: Callable[[int, str], tuple[bytes, bytes]] = error_as_text,
    ) -> None:
        """`error_body` gives (content type, body) of answers to what never reaches the handler."""
        self.handler = handler
        self.limits = limits
        self.error_body = error_body
        self.connections: set[HttpConnection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.leaving = False
        """True once the end has begun: each answer is the last of its connection."""
        self._date = b""
        self._date_at = 0
        self._last_piece = self._last_chunk = b""

    async def run(
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        *,
        started: Callable[[], None] = lambda: None,
        leaving: Callable[[], Awaitable[None]] = _at_once,
        stopping: Callable[[], Coroutine[None, None, None]] = _at_once,
    ) -> None:
        """Serves until cancelled; goes on while `leaving` runs, then takes no more connections and drains the rest.

        `stopping` has to end the long-running requests meanwhile. The host "::" stands for all addresses, IPv4 too.
        Raises: OSError when the address is taken.
        """
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(
            lambda: HttpConnection(self, loop),
            None if host == "::" else host,
            port,
            ssl=tls,
            backlog=BACKLOG,
            ssl_handshake_timeout=HANDSHAKE_SECONDS if tls is not None else None,
        )
        started()
        try:
            while True:
                await asyncio.sleep(SWEEP_SECONDS)
                before = loop.time() - self.limits.keep_alive_seconds
                for connection in list(self.connections):
                    connection.close_if_idle(before)
        finally:
            self.leaving = True
            await leaving()
            listener.close()
            for connection in list(self.connections):
                connection.shutdown()
            async with alongside(stopping()):
                await self._drain()
            for connection in list(self.connections):
                connection.transport.close()

    async def _drain(self) -> None:
        """Waits for the requests under way, and cancels those that take too long."""
        late = set(self.tasks)
        if late and self.limits.drain_seconds:
            _, late = await asyncio.wait(late, timeout=self.limits.drain_seconds)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=1)

    @property
    def overloaded(self) -> bool:
        most = self.limits.max_connections
        return bool(most) and (len(self.connections) >= most or len(self.tasks) >= most)

    def refuse(self, exchange: HttpExchange, status: int, message: str) -> None:
        """Answers in the place of the handler."""
        content_type, body = self.error_body(status, message)
        exchange.respond(status, b"content-type: %b\r\n" % content_type, body)

    def date(self) -> bytes:
        """Returns the Date header of this second."""
        now = int(time.time())
        if now != self._date_at:
            self._date_at = now
            self._date = formatdate(now, usegmt=True).encode()
        return self._date

    def chunk(self, piece: bytes) -> bytes:
        """Frames a chunk of chunked encoding. Watchers of one feed get the very same bytes: those are framed once."""
        if piece is not self._last_piece:
            self._last_chunk = b"%x\r\n%b\r\n" % (len(piece), piece)
            self._last_piece = piece
        return self._last_chunk
