"""Sends streams over a WebSocket: a pod's log in messages cut anywhere, a watch with an event a message.

Source: Kubernetes' API server, "binary.k8s.io" and "base64.binary.k8s.io"; Kubernetes API concepts, "Watch".
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from apimachinery.errors import BadRequest, Forbidden, StatusError
from apiserver.http.types import ClientDisconnected
from apiserver.proxy.upgrade import check_upgrade
from apiserver.request.message import Answer, Answered, Request, Stream
from componentbase.net.websocket import BadHandshake, Handshake, WebSocket, asks_upgrade
from componentbase.net.websocket_channels import refusal_text
from componentbase.tasks import first_of

BASE64 = "base64.binary.k8s.io"
"""Messages of text."""
PROTOCOLS = (BASE64, "binary.k8s.io")

Messages = AsyncIterator[bytes | str]
"""Binary messages, and those of text."""


async def as_bytes(request: Request, stream: Stream) -> Answer:
    """Returns the stream as it is, unless the client asks for a WebSocket: then it sends messages there.

    An empty message comes first and says that the stream has begun. The stream is closed at the end.
    Raises: StatusError for a handshake that is not valid, or asks for other protocols alone.
    """
    if not asks_upgrade(request.headers, b"websocket"):
        return stream
    with _closing(stream):
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

        return await _send(request, stream, handshake, protocol, messages())


async def as_events(request: Request, stream: Stream) -> Answer:
    """Does the same for a watch, with an event a message, whatever one protocol the client offers.

    Raises: StatusError for a handshake that is not valid.
    """
    if not asks_upgrade(request.headers, b"websocket"):
        return stream
    with _closing(stream):
        handshake = _handshake(request)
        if len(handshake.subprotocols) > 1:
            raise BadRequest("a watch over a WebSocket takes one subprotocol at most")

        async def messages() -> Messages:
            async for chunk in stream.chunks:
                for line in chunk.splitlines(keepends=True):
                    yield line.decode()

        return await _send(request, stream, handshake, "".join(handshake.subprotocols), messages())


@contextmanager
def _closing(stream: Stream) -> Iterator[None]:
    try:
        yield
    finally:
        if stream.close is not None:
            stream.close()


def _handshake(request: Request) -> Handshake:
    check_upgrade(request)
    try:
        return Handshake(request.exchange)
    except BadHandshake as error:
        raise StatusError(str(error), code=error.status, reason="BadRequest") from None


async def _send(request: Request, stream: Stream, handshake: Handshake, protocol: str, messages: Messages) -> Answered:
    """Returns when either side has left, or the stream is over and the WebSocket closed in order.

    What the client sends is not read; its close ends the stream.
    """
    request.exchange.on_gone = stream.close
    try:
        async with handshake.accept(protocol) as socket:
            await first_of(_send_all(socket, messages), _drop_messages(socket))
            await socket.close()
    except (ClientDisconnected, OSError):
        pass  # the end of the connection tells the other side
    return Answered(101)


async def _send_all(socket: WebSocket, messages: Messages) -> None:
    async for message in messages:
        await socket.send(message)


async def _drop_messages(socket: WebSocket) -> None:
    while True:
        await socket.receive()
