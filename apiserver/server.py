"""HTTPS on uvicorn's httptools protocol: TLS details in the scope, connections that a handler may take over, a stop
that ends watches first.

uvicorn's own `Server` is left out: it wakes up ten times a second and wants the signals.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, cast

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from apiserver.messages import AsgiApp
from apiserver.tls import tls_extension

KEEP_ALIVE_SECONDS = 120  # an idle connection is closed after this
HANDSHAKE_SECONDS = 10.0
BACKLOG = 1024  # connections waiting to be accepted; the kernel refuses further ones
DRAIN_SECONDS = 10.0  # for requests under way when the server stops; then their connections are cut
EARLY_BYTES = 256 * 1024  # sent by a client before its upgrade was answered; a client that sends more is cut off


class ApiProtocol(HttpToolsProtocol):
    """One connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._extensions = {"tls": tls_extension(transport), "connection": self}
        self._early = bytearray()
        self._upgrading = False

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = cast(Any, self._extensions)
        state = self.server_state
        now = int(time.time())
        if now != state.date_at:  # type: ignore[attr-defined]
            state.date_at = now  # type: ignore[attr-defined]
            state.default_headers = [(b"date", formatdate(now, usegmt=True).encode())]

    def on_headers_complete(self) -> None:
        self._upgrading = bool(self.parser.should_upgrade())
        super().on_headers_complete()
        if self._upgrading:
            self.cycle.keep_alive = False

    def data_received(self, data: bytes) -> None:
        if self._upgrading:
            self._keep_early(data)
            return
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._keep_early(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def _keep_early(self, data: bytes) -> None:
        self._early += data
        if len(self._early) > EARLY_BYTES:
            self.transport.close()

    def take_over(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The raw connection behind an upgrade request; HTTP ends here, and the caller closes the writer."""
        self._unset_keepalive_if_required()
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


class ApiServerState(ServerState):
    """What all connections share."""

    def __init__(self) -> None:
        super().__init__()
        self.date_at = 0


async def serve(
    app: AsgiApp,
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
        cast(Any, app),
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        http=ApiProtocol,
        interface="asgi3",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    config.load()
    state = ApiServerState()
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
        await asyncio.Future()
    finally:
        server.close()
        stopping()
        await _drain(state)


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
