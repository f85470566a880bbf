"""Sends streams over a WebSocket: a pod's log in messages cut anywhere, a watch with an event a message.

Source: Kubernetes' API server, "binary.k8s.io" and "base64.binary.k8s.io"; Kubernetes API concepts, "Watch".
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

from apimachinery.errors import BadRequest, Forbidden, StatusError
from apiserver.http.types import ClientDisconnected
from apiserver.proxy.upgrade import check_upgrade
from apiserver.request.message import Request, Stream
from componentbase.net.websocket import BadHandshake, Handshake, WebSocket, asks_upgrade
from componentbase.net.websocket_channels import refusal_text
from componentbase.tasks import first_of

BASE64 = "base64.binary.k8s.io"
"""Messages of text."""
PROTOCOLS = (BASE64, "binary.k8s.io")

Messages = AsyncIterator[bytes | str]
"""Binary messages, and those of text."""


class MessageStream(Stream):
    """A stream for a client that asks for a WebSocket. What the client sends is not read; its close ends the stream."""

    __slots__ = ("_handshake", "_messages", "_protocol")

    def __init__(self, stream: Stream, handshake: Handshake, protocol: str, messages: Messages) -> None:
        super().__init__(stream.chunks, close=stream.close, status=101)
        self._handshake = handshake
        self._protocol = protocol
        self._messages = messages

    async def send(self, request: Request) -> None:
        """Returns when either side has left, or the stream is over and the WebSocket closed in order."""
        request.exchange.on_gone = self.close
        try:
            async with self._handshake.accept(self._protocol) as socket:
                await first_of(self._send(socket), _drop_messages(socket))
                await socket.close()
        except (ClientDisconnected, OSError):
            return  # the end of the connection tells the other side
        finally:
            if self.close is not None:
                self.close()

    async def _send(self, socket: WebSocket) -> None:
        async for message in self._messages:
            await socket.send(message)


async def _drop_messages(socket: WebSocket) -> None:
    while True:
        await socket.receive()


def as_bytes(request: Request, stream: Stream) -> Stream:
    """Makes messages of the stream for a client that asks for a WebSocket, after an empty one that says it has begun.

    Raises: StatusError for a handshake that is not valid, or asks for other protocols alone.
    """
    if not asks_upgrade(request.headers, b"websocket"):
        return stream
    handshake = _handshake(request)
    offered = handshake.subprotocols
    protocol = next((name for name in offered if name in PROTOCOLS), "")
    if offered and not protocol:
        raise Forbidden(refusal_text(offered, PROTOCOLS))

    async def messages() -> Messages:
        text = protocol == BASE64
        yield "" if text else b""
        async for chunk in stream.chunks:
            yield base64.b64encode(chunk).decode() if text else chunk

    return MessageStream(stream, handshake, protocol, messages())


def as_events(request: Request, stream: Stream) -> Stream:
    """Makes messages of a watch's lines for a client that asks for a WebSocket, whatever one protocol it offers.

    Raises: StatusError for a handshake that is not valid.
    """
    if not asks_upgrade(request.headers, b"websocket"):
        return stream
    handshake = _handshake(request)
    if len(handshake.subprotocols) > 1:
        raise BadRequest("a watch over a WebSocket takes one subprotocol at most")

    async def messages() -> Messages:
        async for chunk in stream.chunks:
            for line in chunk.splitlines(keepends=True):
                yield line.decode()

    return MessageStream(stream, handshake, "".join(handshake.subprotocols), messages())


def _handshake(request: Request) -> Handshake:
    check_upgrade(request)
    try:
        return Handshake(request.exchange)
    except BadHandshake as error:
        raise StatusError(str(error), code=error.status, reason="BadRequest") from None
