"""Connections below HTTP: the bytes of an upgraded connection, and the options of a socket that outlives its peer."""

from __future__ import annotations

import asyncio
import socket

READ_BYTES = 64 * 1024  # taken at once; the rest waits in the kernel


class RawConnection:
    """A connection that has left HTTP by an upgrade: plain bytes in both directions."""

    __slots__ = ("_reader", "_writer")

    def __init__(self, transport: asyncio.Transport, early: bytes = b"") -> None:
        """Takes the transport from its protocol. `early` are bytes that came behind the head."""
        loop = asyncio.get_running_loop()
        self._reader = asyncio.StreamReader(limit=READ_BYTES, loop=loop)
        protocol = asyncio.StreamReaderProtocol(self._reader, loop=loop)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if early:
            self._reader.feed_data(early)
        self._writer = asyncio.StreamWriter(transport, protocol, self._reader, loop)

    async def read(self) -> bytes:
        """Returns what has come, at most READ_BYTES; b"" at the end. Raises: OSError."""
        return await self._reader.read(READ_BYTES)

    async def write(self, data: bytes) -> None:
        """Waits while the peer does not read. Raises: OSError."""
        if self._writer.is_closing():  # uvloop would take a write for an error of the program's
            raise ConnectionResetError("closed by the peer")
        self._writer.write(data)
        await self._writer.drain()

    def write_now(self, data: bytes) -> None:
        """Waits for nothing; drops the data when the connection is closing."""
        if not self._writer.is_closing():
            self._writer.write(data)

    def close(self) -> None:
        """Closes once what was written is sent, and does not wait for that."""
        self._writer.close()


def notice_dead_peer(transport: asyncio.BaseTransport, *, probe_seconds: int, dead_after_seconds: float) -> None:
    """Lets the kernel end a connection whose other end vanished without a word.

    `probe_seconds` of silence start keep-alive probes; 0 leaves their timing to the kernel. Data that nobody
    acknowledges for `dead_after_seconds` ends the connection.
    """
    peer = transport.get_extra_info("socket")
    if peer is None or peer.family not in (socket.AF_INET, socket.AF_INET6):
        return
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if probe_seconds and hasattr(socket, "TCP_KEEPIDLE"):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, probe_seconds)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, probe_seconds // 3)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(dead_after_seconds * 1000))
