"""The server's side of a WebSocket on an HTTP connection; the `websockets` library does handshake and framing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from websockets.datastructures import Headers
from websockets.exceptions import InvalidState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from componentbase.net.http1_client import request_head
from componentbase.net.http1_exchange import ClientDisconnected, Header, HttpExchange
from componentbase.net.raw import RawConnection

MAX_MESSAGE_BYTES = 1024 * 1024  # of one message; a longer one ends the connection
CLOSE_SECONDS = 10.0  # for the client's answer to our close; then the connection is closed all the same


def asks_upgrade(headers: Sequence[Header], protocol: bytes) -> bool:
    """Tells whether the request asks for this protocol (in lower case) in the place of HTTP."""
    connection = b",".join(value for name, value in headers if name == b"connection")
    upgrades = [value.lower() for name, value in headers if name == b"upgrade"]
    return protocol in upgrades and b"upgrade" in connection.lower()


class BadHandshake(Exception):
    """The request does not open a WebSocket; `status` is the HTTP code of the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Handshake:
    """A request that opens a WebSocket, not answered yet."""

    def __init__(self, exchange: HttpExchange) -> None:
        """Raises: BadHandshake."""
        self._exchange = exchange
        self._protocol = _ServerProtocol(max_size=MAX_MESSAGE_BYTES)
        self._protocol.receive_data(request_head(exchange.method, exchange.target, exchange.headers))
        events = self._protocol.events_received()
        if not events or not isinstance(events[0], Request):
            raise BadHandshake(400, str(self._protocol.parser_exc or "invalid WebSocket handshake"))
        self._response = self._protocol.accept(events[0])
        if self._response.status_code != 101:
            raise BadHandshake(self._response.status_code, (self._response.body or b"").decode())
        self.subprotocols: list[str] = []
        """What the client offers, the best first."""
        for value in (value for name, value in exchange.headers if name == b"sec-websocket-protocol"):
            self.subprotocols += [name.strip() for name in value.decode("latin-1").split(",")]

    @asynccontextmanager
    async def accept(self, subprotocol: str) -> AsyncIterator[WebSocket]:
        """Answers, and closes the connection at the end of the block; "" chooses no subprotocol. Raises: OSError."""
        if subprotocol:
            self._response.headers["Sec-WebSocket-Protocol"] = subprotocol
        raw = self._exchange.take_over()
        socket = WebSocket(self._protocol, raw)
        try:
            self._protocol.send_response(self._response)
            await socket.flush()
            yield socket
        except asyncio.CancelledError:
            socket.say_close(CloseCode.SERVICE_RESTART)
            raise
        finally:
            raw.close()


class _ServerProtocol(ServerProtocol):
    def process_subprotocol(self, headers: Headers) -> None:
        """Leaves the choice to the handler: a name with a slash, as Kubernetes has one, is not a token."""


class WebSocket:
    """One task receives, any may send."""

    def __init__(self, protocol: ServerProtocol, raw: RawConnection) -> None:
        self._protocol = protocol
        self._raw = raw
        self._frames: list[Frame] = []
        self._parts: list[bytes] = []
        self._broken = False  # the client does not keep to the protocol

    async def receive(self) -> bytes:
        """Returns the next message, text as UTF-8. Raises: ClientDisconnected, OSError."""
        while True:
            while self._frames:
                frame = self._frames.pop(0)
                if frame.opcode is Opcode.CLOSE:
                    raise ClientDisconnected
                if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                    self._parts.append(bytes(frame.data))
                    if frame.fin:
                        message = b"".join(self._parts)
                        self._parts.clear()
                        return message
            if not await self._read():
                raise ClientDisconnected

    async def send(self, message: bytes | str) -> None:
        """Waits while the client does not read. Raises: ClientDisconnected, OSError."""
        try:
            if isinstance(message, str):
                self._protocol.send_text(message.encode())
            else:
                self._protocol.send_binary(message)
        except InvalidState:
            raise ClientDisconnected from None
        await self.flush()

    async def close(self) -> None:
        """Ends the WebSocket in order and waits CLOSE_SECONDS for the client to do the same. Raises: OSError."""
        self.say_close(CloseCode.NORMAL_CLOSURE)
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                while self._protocol.close_rcvd is None and await self._read():
                    self._frames.clear()
        except TimeoutError:
            return

    def say_close(self, code: CloseCode) -> None:
        """Sends a close without waiting for anything."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code)
            self._raw.write_now(b"".join(self._protocol.data_to_send()))

    async def flush(self) -> None:
        """Sends what the protocol has to say. Raises: OSError."""
        if data := b"".join(self._protocol.data_to_send()):
            await self._raw.write(data)

    async def _read(self) -> bool:
        """Takes what has come; False at the end, after a close or a breach of the protocol. Raises: OSError."""
        data = await self._raw.read()
        if not data or self._broken:
            return False
        self._protocol.receive_data(data)
        self._frames += [event for event in self._protocol.events_received() if isinstance(event, Frame)]
        self._broken = self._protocol.parser_exc is not None
        await self.flush()  # pongs, the answer to a close
        return bool(self._frames) or not self._broken
