"""Sends a stream of bytes over a WebSocket, in messages cut anywhere: the log of a pod in a browser.

Source: Kubernetes' API server, "binary.k8s.io" and "base64.binary.k8s.io".
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

from apimachinery.errors import Forbidden, StatusError
from apiserver.http.types import ClientDisconnected
from apiserver.proxy.upgrade import check_upgrade
from apiserver.request.message import Answered, Request
from componentbase.net.websocket import BadHandshake, Handshake, WebSocket
from componentbase.net.websocket_channels import refusal_text
from componentbase.tasks import first_of

BASE64 = "base64.binary.k8s.io"
"""Messages of text."""
PROTOCOLS = (BASE64, "binary.k8s.io")


async def send_over_websocket(request: Request, chunks: AsyncIterator[bytes]) -> Answered:
    """Begins with an empty message, and ends with the stream or when the client closes; what it sends is not read.

    Raises: StatusError for a handshake that is not valid, or asks for other protocols alone.
    """
    check_upgrade(request)
    try:
        handshake = Handshake(request.exchange)
    except BadHandshake as error:
        raise StatusError(str(error), code=error.status, reason="BadRequest") from None
    offered = handshake.subprotocols
    protocol = next((name for name in offered if name in PROTOCOLS), "")
    if offered and not protocol:
        raise Forbidden(refusal_text(offered, PROTOCOLS))
    try:
        async with handshake.accept(protocol) as socket:
            await first_of(_send(socket, chunks, as_text=protocol == BASE64), _drop_messages(socket))
            await socket.close()
    except (ClientDisconnected, OSError):
        pass  # either side has left: the end of the connection tells the other
    return Answered(101)


async def _send(socket: WebSocket, chunks: AsyncIterator[bytes], *, as_text: bool) -> None:
    await socket.send("" if as_text else b"")
    async for chunk in chunks:
        await socket.send(base64.b64encode(chunk).decode() if as_text else chunk)


async def _drop_messages(socket: WebSocket) -> None:
    while True:
        await socket.receive()
