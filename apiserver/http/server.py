"""HTTPS on uvicorn's httptools protocol: connections that know their client's certificate, that a handler may take
over, and that a stop lets finish what they began.

uvicorn's own `Server` is left out: it wakes up ten times a second and wants the signals.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, cast
from urllib.parse import unquote

import httptools
import orjson
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from apimachinery.errors import BadRequest, StatusError
from apiserver.http.exchange import STATUS_LINES, App, Exchange
from apiserver.http.tls import tls_extension

KEEP_ALIVE_SECONDS = 120.0  # an idle connection is closed after this, or a little later
SWEEP_SECONDS = 10.0  # between looks at idle connections: cheaper than a timer each
HANDSHAKE_SECONDS = 10.0
BACKLOG = 1024  # connections waiting to be accepted; the kernel refuses further ones
DRAIN_SECONDS = 10.0  # for requests under way when the server stops; then their connections are cut
DEAD_PEER_MILLISECONDS = 60_000  # unacknowledged data this old ends a connection
MAX_HEAD_BYTES = 1024 * 1024  # request line and headers; a client that sends more gets a 431
HEAD_SECONDS = 32.0  # for a head to come, or a little longer (upstream's bound)
LINGER_SECONDS = 0.5  # between an answer that ends a connection and its end
EARLY_BYTES = 256 * 1024  # sent by a client before its upgrade was answered; a client that sends more is cut off


class ApiServerState(ServerState):
    """What all connections share."""

    def __init__(self, app: App) -> None:
        super().__init__()
        self.api = app
        self._date = b""
        self._date_at = 0

    def date(self) -> bytes:
        """The Date header of this second."""
        now = int(time.time())
        if now != self._date_at:
            self._date_at = now
            self._date = formatdate(now, usegmt=True).encode()
        return self._date


class ApiProtocol(HttpToolsProtocol):
    """One connection."""

    server_state: ApiServerState
    cycle: Exchange

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.tls = tls_extension(transport)
        self.date = self.server_state.date
        self.idle_since = self.loop.time()
        self._app = self.server_state.api
        self._early = bytearray()
        self._upgrading = False
        self._lingering = False
        self._in_head = False
        self._head_bytes = 0
        self._head_since = 0.0
        _notice_dead_peers(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.cycle is not None:
            self.cycle.gone()

    def data_received(self, data: bytes) -> None:
        if self._upgrading:
            self._keep_early(data)
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._keep_early(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
            return
        if self._in_head:
            self._check_head(len(data))

    def _check_head(self, size: int) -> None:
        """A request whose head did not come in one piece: it may be neither long nor slow."""
        if not self._head_bytes:
            self._head_since = self.loop.time()
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            text = f"Request header is too large: limit is {MAX_HEAD_BYTES}"
            self._refuse(StatusError(text, code=431, reason="RequestHeaderFieldsTooLarge"))

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        self._in_head = False
        parser = self.parser
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        if "%" in path:
            path = unquote(path)
        exchange = Exchange(self, parser.get_method().decode("ascii"), self.url, path, url.query or b"", self.headers)
        before, self.cycle = cast("Exchange | None", self.cycle), exchange
        if parser.should_upgrade():
            self._upgrading = True
            exchange.keep_alive = False
        elif not parser.should_keep_alive() or parser.get_http_version() == "1.0":
            exchange.keep_alive = False
        if before is not None and not before.response_complete:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, cast(Any, self._app)))
        elif self.flow.write_paused or not self._app.answer_now(exchange):
            self._start(exchange)

    def _start(self, exchange: Exchange) -> None:
        exchange.task = self.loop.create_task(exchange.run(self._app))
        self.tasks.add(exchange.task)

    def on_response_complete(self) -> None:
        """The next pipelined request, or rest."""
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start(cast(Exchange, self.pipeline.pop()[0]))
        else:
            self.idle_since = self.loop.time()

    def close_if_idle(self, before: float) -> None:
        """Closes a connection that has been at rest since `before` (loop time), or is at its head for too long."""
        slow = self._in_head and self._head_bytes and self._head_since < self.loop.time() - HEAD_SECONDS
        if slow or ((self.cycle is None or self.cycle.response_complete) and self.idle_since < before):
            self.transport.abort()  # not `close`, which waits until a client that reads nothing has read all

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP gets a Status, too."""
        self._refuse(BadRequest(msg))

    def _refuse(self, error: StatusError) -> None:
        body = orjson.dumps(error.to_status())
        head = b"%bcontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        self.transport.write(head % (STATUS_LINES[error.code], len(body)) + body)
        self.linger()

    def linger(self) -> None:
        """Closes a little later and drops what still comes: closed at once, the client would lose the answer."""
        self._upgrading = self._lingering = True
        self._in_head = False
        self.flow.resume_reading()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _keep_early(self, data: bytes) -> None:
        if self._lingering:
            return
        self._early += data
        if len(self._early) > EARLY_BYTES:
            self.transport.close()

    def take_over(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The raw connection behind an upgrade request; HTTP ends here, and the caller closes the writer."""
        self.cycle.response_started = self.cycle.response_complete = True
        reader = asyncio.StreamReader(loop=self.loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=self.loop)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        self.connections.discard(self)
        if self._early:
            reader.feed_data(bytes(self._early))
            self._early.clear()
        self.flow.resume_reading()
        return reader, asyncio.StreamWriter(self.transport, protocol, reader, self.loop)


async def serve(
    app: App,
    host: str,
    port: int,
    context: ssl.SSLContext,
    *,
    started: Callable[[], None],
    stopping: Callable[[], None],
) -> None:
    """Serves until cancelled; then `stopping` is called, which has to end long-running requests, and the rest drains.

    Raises: OSError when the address is taken.
    """
    config = uvicorn.Config(
        _not_used, log_config=None, access_log=False, lifespan="off", ws="none", http=ApiProtocol, interface="asgi3"
    )
    config.load()
    state = ApiServerState(app)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: ApiProtocol(config, state, {}, loop),
        host,
        port,
        ssl=context,
        backlog=BACKLOG,
        ssl_handshake_timeout=HANDSHAKE_SECONDS,
    )
    started()
    try:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            before = loop.time() - KEEP_ALIVE_SECONDS
            for connection in list(state.connections):
                cast(ApiProtocol, connection).close_if_idle(before)
    finally:
        server.close()
        stopping()
        await _drain(state)


def _notice_dead_peers(transport: asyncio.Transport) -> None:
    """Lets the kernel end a connection whose other end vanished without a word."""
    peer = transport.get_extra_info("socket")
    if peer is not None and peer.family in (socket.AF_INET, socket.AF_INET6):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_MILLISECONDS)


async def _not_used(scope: Any, receive: Any, send: Any) -> None:
    """uvicorn's configuration wants an ASGI app; connections call the API itself."""


async def _drain(state: ServerState) -> None:
    for connection in list(state.connections):
        connection.shutdown()
    tasks = set(state.tasks)
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=DRAIN_SECONDS)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=1)
    for connection in list(state.connections):
        connection.transport.close()
