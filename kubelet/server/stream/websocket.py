"""Carries sessions over a WebSocket: a command's channels, and SPDY tunnelled in messages."""

from __future__ import annotations

import json
from typing import Any

from componentbase.net.http1_exchange import ClientDisconnected
from componentbase.net.websocket import WebSocket
from componentbase.net.websocket_channels import CLOSE, ERROR, STDERR, STDIN, STDOUT, ChannelSocket
from kubelet.server.stream.streaming import StreamOptions, Take


class WebSocketChannels(ChannelSocket):
    """Implements `streaming.Channels`."""

    async def started(self, options: StreamOptions) -> None:
        """Tells the client that the command has been started: clients take the first message for that."""
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
    """Implements `connection.ByteStream`: the bytes of another protocol in a WebSocket's messages."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def read(self) -> bytes:
        try:
            while not (data := await self._socket.receive()):
                pass
        except ClientDisconnected:
            return b""
        return data

    async def write(self, data: bytes) -> None:
        await self._socket.send(data)


def last_words(version: int, status: dict[str, Any]) -> bytes:
    """Makes the last message on the error channel: from version 4 on the whole status, before that an error's text."""
    if version >= 4:
        return json.dumps(status).encode()
    return str(status.get("message", "")).encode()
