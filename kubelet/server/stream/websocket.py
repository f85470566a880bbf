"""Kubernetes' channel protocols over a WebSocket: the first byte of each message names its channel.

Source: Kubernetes documentation, "Communication between Nodes and the Control Plane"; the protocols' own names.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubelet.server.stream.streaming import ERROR, STDERR, STDIN, STDOUT, ClientGone, StreamOptions, Take

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

CLOSE = 255  # v5: the next byte names a channel that the client has closed
NORMAL_CLOSURE = 1000
SPDY_TUNNEL = "SPDY/3.1+portforward.k8s.io"
"""Bytes of a SPDY connection in binary messages, cut anywhere."""


@dataclass(frozen=True, slots=True)
class ChannelProtocol:
    """`name` is the WebSocket's subprotocol; `version` decides how the end is told, and whether a channel can close."""

    name: str
    version: int
    base64: bool = False


PROTOCOLS = (
    ChannelProtocol("v5.channel.k8s.io", 5),
    ChannelProtocol("v4.channel.k8s.io", 4),
    ChannelProtocol("v4.base64.channel.k8s.io", 4, base64=True),
    ChannelProtocol("v3.channel.k8s.io", 3),
    ChannelProtocol("v2.channel.k8s.io", 2),
    ChannelProtocol("channel.k8s.io", 1),
    ChannelProtocol("base64.channel.k8s.io", 1, base64=True),
)
"""The best first."""
UNNAMED = ChannelProtocol("", 1)
"""What a client that asks for no subprotocol speaks."""
PORT_PROTOCOLS = (*PROTOCOLS[1:3], ChannelProtocol("portforward.k8s.io", 4))


def choose_protocol(
    offered: Sequence[str], known: Sequence[ChannelProtocol] = PROTOCOLS, unnamed: ChannelProtocol = UNNAMED
) -> ChannelProtocol | None:
    """The best of the known protocols that the client speaks too; None when there is none."""
    if not offered:
        return unnamed
    return next((protocol for protocol in known if protocol.name in offered), None)


def refusal_text(offered: Sequence[str], known: Sequence[str]) -> str:
    return f"unable to negotiate protocol: client supports [{' '.join(offered)}], server accepts [{' '.join(known)}]"


async def accept(receive: Receive, send: Send, subprotocol: str) -> None:
    """Answers the handshake."""
    await receive()
    await send({"type": "websocket.accept", "subprotocol": subprotocol or None})


class WebSocket:
    """An accepted WebSocket whose messages name their channel."""

    def __init__(self, receive: Receive, send: Send, protocol: ChannelProtocol) -> None:
        self._receive = receive
        self._send = send
        self.protocol = protocol

    async def receive(self) -> tuple[int, bytes]:
        """(channel, data) of the next message that has a channel. Raises: ClientGone."""
        while True:
            data = await receive_bytes(self._receive)
            if not data:
                continue
            if not self.protocol.base64:
                return data[0], data[1:]
            try:
                return data[0] - ord("0"), base64.b64decode(data[1:], validate=True)
            except binascii.Error:
                raise ClientGone from None  # nothing that follows could be trusted

    async def send(self, channel: int, data: bytes) -> None:
        if self.protocol.base64:
            text = chr(ord("0") + channel) + base64.b64encode(data).decode()
            await self._send({"type": "websocket.send", "text": text})
        else:
            await self._send({"type": "websocket.send", "bytes": bytes([channel]) + data})

    async def close(self) -> None:
        await self._send({"type": "websocket.close", "code": NORMAL_CLOSURE})


class CommandChannels(WebSocket):
    """Implements `streaming.Channels`."""

    async def started(self, options: StreamOptions) -> None:
        """Clients take the first message as the sign that the command has been started."""
        await self.send(STDOUT if options.stdout else STDERR if options.stderr else ERROR, b"")

    async def pump(self, take: Take) -> None:
        while True:
            channel, data = await self.receive()
            if channel != CLOSE:
                await take(channel, data)
            elif self.protocol.version >= 5 and data[:1] == bytes([STDIN]):
                await take(STDIN, None)

    async def finish(self, status: dict[str, Any]) -> None:
        if text := last_words(self.protocol.version, status):
            await self.send(ERROR, text)
        await self.close()


class WebSocketBytes:
    """Implements `spdy_connection.ByteStream`: the bytes of another protocol in a WebSocket's messages."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send

    async def read(self) -> bytes:
        try:
            while not (data := await receive_bytes(self._receive)):
                pass
        except ClientGone:
            return b""
        return data

    async def write(self, data: bytes) -> None:
        await self._send({"type": "websocket.send", "bytes": data})

    async def close(self) -> None:
        await self._send({"type": "websocket.close", "code": NORMAL_CLOSURE})


async def receive_bytes(receive: Receive) -> bytes:
    """The next message. Raises: ClientGone."""
    message = await receive()
    if message["type"] == "websocket.disconnect":
        raise ClientGone
    data = message.get("bytes")
    return data if data is not None else (message.get("text") or "").encode()


def last_words(version: int, status: dict[str, Any]) -> bytes:
    """What the error channel says about the end: from version 4 on the whole status, before that an error's text."""
    if version >= 4:
        return json.dumps(status).encode()
    return str(status.get("message", "")).encode()
