"""Speaks Kubernetes' channel protocols over a WebSocket: the first byte of each message names its channel.

Source: Kubernetes documentation, "Communication between Nodes and the Control Plane"; the protocols' own names.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from componentbase.net.http1_exchange import ClientDisconnected
from componentbase.net.websocket import WebSocket

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
"""The channels of a command."""
CLOSE = 255  # v5: the next byte names a channel that the client has closed
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
"""Spoken by a client that asks for no subprotocol."""
PORT_PROTOCOLS = (*PROTOCOLS[1:3], ChannelProtocol("portforward.k8s.io", 4))


def choose_protocol(offered: Sequence[str], supported: Sequence[ChannelProtocol] = PROTOCOLS) -> ChannelProtocol | None:
    """Picks the best supported protocol that the client offers; None without one in common."""
    if not offered:
        return UNNAMED
    return next((protocol for protocol in supported if protocol.name in offered), None)


def refusal_text(offered: Sequence[str], supported: Sequence[str]) -> str:
    clients, servers = " ".join(offered), " ".join(supported)
    return f"unable to negotiate protocol: client supports [{clients}], server accepts [{servers}]"


class ChannelSocket:
    """An accepted WebSocket whose messages name their channel."""

    def __init__(self, socket: WebSocket, protocol: ChannelProtocol) -> None:
        self._socket = socket
        self.protocol = protocol

    async def receive(self) -> tuple[int, bytes]:
        """Returns (channel, data) of the next message that has a channel. Raises: ClientDisconnected, OSError."""
        while True:
            data = await self._socket.receive()
            if not data:
                continue
            if not self.protocol.base64:
                return data[0], data[1:]
            try:
                return data[0] - ord("0"), base64.b64decode(data[1:], validate=True)
            except binascii.Error:
                raise ClientDisconnected from None  # nothing that follows could be trusted

    async def send(self, channel: int, data: bytes) -> None:
        """Waits while the client does not read. Raises: ClientDisconnected, OSError."""
        if self.protocol.base64:
            await self._socket.send(chr(ord("0") + channel) + base64.b64encode(data).decode())
        else:
            await self._socket.send(bytes([channel]) + data)

    async def close(self) -> None:
        await self._socket.close()
