"""HTTPS for the kubelet's ASGI app: uvicorn's protocols, WebSockets included, with mutual TLS."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.datastructures import Headers

KEEP_ALIVE_SECONDS = 30
MAX_CONNECTIONS = 512  # followed logs, execs and probes; further requests get a 503
READ_BYTES = 64 * 1024
MAX_MESSAGE_BYTES = 1024 * 1024  # of one WebSocket message; a longer one ends the connection

UNAUTHORIZED = (
    b"HTTP/1.1 401 Unauthorized\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 12\r\n"
    b"connection: close\r\n\r\nUnauthorized"
)


class KubeletProtocol(HttpToolsProtocol):
    """Tells the app whether the client showed a certificate; without one there is no WebSocket at all.

    With CERT_OPTIONAL a handshake fails on a bad certificate: one that is there has been verified. The extension
    "upgrade" of an HTTP request takes its connection over, for a protocol that is no WebSocket.
    """

    def on_message_begin(self) -> None:
        super().on_message_begin()
        extensions = self.scope.setdefault("extensions", {})
        assert extensions is not None
        extensions["tls"] = {"client_cert_verified": self._verified()}
        extensions["upgrade"] = {"take_over": self.take_over}

    def _unsupported_upgrade_warning(self) -> None:
        """The app answers the request all the same, or takes it over."""

    def take_over(self) -> RawBytes:
        """The raw connection; HTTP ends here."""
        self.cycle.response_started = self.cycle.response_complete = True
        reader = asyncio.StreamReader(limit=READ_BYTES, loop=self.loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=self.loop)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        self.connections.discard(self)
        self.flow.resume_reading()
        return RawBytes(reader, asyncio.StreamWriter(self.transport, protocol, reader, self.loop))

    def handle_websocket_upgrade(self) -> None:
        if not self._verified():
            self.transport.write(UNAUTHORIZED)
            self.transport.close()
            return
        super().handle_websocket_upgrade()

    def _verified(self) -> bool:
        return bool(self.transport.get_extra_info("peercert"))


class KubeletWebSocket(WebSocketsSansIOProtocol):
    """Leaves the choice of a subprotocol to the app: a name with a slash, as Kubernetes has one, is no token."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn.process_subprotocol = _left_to_the_app  # type: ignore[method-assign]

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True  # a refusal is an answer, too: no error of the app's


def _left_to_the_app(headers: Headers) -> None:
    return None


class RawBytes:
    """Implements `spdy_connection.ByteStream`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        return await self._reader.read(READ_BYTES)

    async def write(self, data: bytes) -> None:
        if self._writer.is_closing():  # uvloop would take a write for an error of the program's
            raise ConnectionResetError("closed by the client")
        self._writer.write(data)
        await self._writer.drain()

    async def close(self) -> None:
        """Does not wait for what is still to be sent."""
        self._writer.close()


async def serve(app: Any, host: str, port: int, context: ssl.SSLContext) -> None:
    """Serves until cancelled. Raises: OSError when the address is taken."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        http=KubeletProtocol,
        ws=KubeletWebSocket,
        ws_ping_interval=None,  # clients that only write would not answer
        ws_per_message_deflate=False,
        ws_max_size=MAX_MESSAGE_BYTES,
        interface="asgi3",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        limit_concurrency=MAX_CONNECTIONS,
    )
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: KubeletProtocol(config=config, server_state=state, app_state={}), host, port, ssl=context
    )
    try:
        await asyncio.Future()
    finally:
        server.close()
        for connection in list(state.connections):
            connection.shutdown()
        for task in list(state.tasks):
            task.cancel()
        if state.tasks:
            await asyncio.wait(list(state.tasks), timeout=1)
