"""Serves the SPDY streams of a client, over a raw TLS connection or tunnelled through a WebSocket.

A stream whose reader is slow holds up to STREAM_BYTES; then nothing more is read from the connection:
without windows a single stream cannot be stopped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from kubelet.server.stream.spdy import frames as spdy
from kubelet.server.stream.spdy.frames import Framer, SpdyError

STREAM_BYTES = 256 * 1024  # buffered of one stream
PIECE_BYTES = 32 * 1024  # of one data frame: streams take turns
IDLE_SECONDS = 4 * 3600.0  # without a byte in either direction


@dataclass(frozen=True, slots=True)
class SpdyLimits:
    max_streams: int = 1024
    """Open at once; further ones are refused."""
    pair_seconds: float = 30.0
    """For the second stream of a forwarded connection's pair."""


DEFAULT_LIMITS = SpdyLimits()


class ByteStream(Protocol):
    """A connection's bytes."""

    async def read(self) -> bytes:
        """Returns the next bytes, b"" at the end. Raises: OSError."""

    async def write(self, data: bytes) -> None:
        """Waits while the client does not read. Raises: OSError, ClientDisconnected."""


class StreamReset(Exception):
    """The stream, or its whole connection, has ended."""


class SpdyStream:
    """A stream that the client has opened; both directions end apart."""

    def __init__(self, connection: SpdyConnection, number: int, headers: Mapping[str, str]) -> None:
        self.number = number
        self.headers = headers
        self._connection = connection
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._changed = asyncio.Event()
        self._ended = False  # the client sends no more
        self._closed = False  # nor do we
        self._reset = False
        self._discarding = False  # drop what still comes

    async def read(self) -> bytes:
        """Returns the next bytes; b"" once the client has closed its half. Raises: StreamReset."""
        while True:
            if self._reset:
                raise StreamReset
            if self._chunks:
                data = b"".join(self._chunks)
                self._chunks.clear()
                self._size = 0
                self._connection.notice_room()
                return data
            if self._ended:
                return b""
            self._changed.clear()
            await self._changed.wait()

    async def write(self, data: bytes) -> None:
        """Raises: StreamReset, OSError."""
        for at in range(0, len(data), PIECE_BYTES):
            if self._reset or self._closed:
                raise StreamReset
            await self._connection.send(spdy.data_frame(self.number, data[at : at + PIECE_BYTES]))

    async def close(self) -> None:
        """Ends our half. Raises: OSError."""
        if not (self._closed or self._reset):
            self._closed = True
            await self._connection.send(spdy.data_frame(self.number, b"", fin=True))
            self._connection.forget_if_over(self)

    async def reset(self) -> None:
        """Ends both halves at once. Raises: OSError."""
        if not self._reset and not self.over:
            self.break_off()
            self._connection.forget_if_over(self)
            await self._connection.send(spdy.reset_frame(self.number, spdy.CANCEL))

    def discard(self) -> None:
        """Drops what the client still sends, so that it does not hold up other streams."""
        self._discarding = True
        self._chunks.clear()
        self._size = 0
        self._connection.notice_room()

    @property
    def over(self) -> bool:
        return self._reset or (self._closed and self._ended)

    @property
    def full(self) -> bool:
        return self._size >= STREAM_BYTES

    def take(self, data: bytes, *, fin: bool) -> None:
        """Takes data that has arrived."""
        if data and not (self._ended or self._reset or self._discarding):
            self._chunks.append(data)
            self._size += len(data)
        self._ended = self._ended or fin
        self._changed.set()

    def break_off(self) -> None:
        self._reset = True
        self._chunks.clear()
        self._size = 0
        self._changed.set()


class SpdyConnection:
    """`run` reads until the client leaves; meanwhile its streams can be used."""

    def __init__(
        self, transport: ByteStream, on_stream: Callable[[SpdyStream], None], limits: SpdyLimits = DEFAULT_LIMITS
    ) -> None:
        """`on_stream` is called for each new stream once it is accepted, and must not wait."""
        self._transport = transport
        self._on_stream = on_stream
        self._max_streams = limits.max_streams
        self._framer = Framer()
        self._streams: dict[int, SpdyStream] = {}
        self._last = 0
        self._room = asyncio.Event()
        self._writing = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._active_at = self._loop.time()

    async def run(self) -> None:
        """Returns when the client has closed, and after IDLE_SECONDS of silence; then every stream is broken off.

        Raises: SpdyError, OSError.
        """
        try:
            while data := await self._read():
                for frame in self._framer.feed(data):
                    await self._handle(frame)
        except SpdyError:
            await self.send(spdy.goaway_frame(self._last, spdy.PROTOCOL_ERROR))
            raise
        finally:
            for stream in self._streams.values():
                stream.break_off()
            self._streams.clear()

    async def _read(self) -> bytes:
        """Returns the next bytes; b"" at the end, and when nothing has moved in either direction for too long."""
        self._active_at = self._loop.time()
        while (left := self._active_at + IDLE_SECONDS - self._loop.time()) > 0:
            try:
                async with asyncio.timeout(left):
                    return await self._transport.read()
            except TimeoutError:
                continue  # something may have been sent meanwhile
        return b""

    async def _handle(self, frame: spdy.Frame) -> None:
        stream = self._streams.get(frame.stream)
        if frame.kind == spdy.SYN_STREAM:
            await self._open(frame)
        elif frame.kind == spdy.PING and frame.number % 2:  # an even one answers a ping of ours, and we send none
            await self.send(spdy.ping_frame(frame.number))
        elif stream is not None and frame.kind == spdy.RST_STREAM:
            stream.break_off()
            del self._streams[frame.stream]
        elif stream is not None and frame.kind in (0, spdy.HEADERS):
            stream.take(frame.data, fin=frame.fin)
            self.forget_if_over(stream)
            while stream.full:
                self._room.clear()
                await self._room.wait()

    async def _open(self, frame: spdy.Frame) -> None:
        number = frame.stream
        if number <= self._last or not number % 2:
            await self.send(spdy.reset_frame(number, spdy.PROTOCOL_ERROR))
            return
        self._last = number
        if len(self._streams) >= self._max_streams:
            await self.send(spdy.reset_frame(number, spdy.REFUSED_STREAM))
            return
        stream = self._streams[number] = SpdyStream(self, number, frame.headers or {})
        if frame.fin:
            stream.take(b"", fin=True)
        async with self._writing:  # header blocks must leave in the order in which they were packed
            await self._transport.write(self._framer.syn_reply(number, {}))
        self._on_stream(stream)

    async def send(self, frame: bytes) -> None:
        async with self._writing:
            await self._transport.write(frame)
        self._active_at = self._loop.time()

    def notice_room(self) -> None:
        self._room.set()

    def forget_if_over(self, stream: SpdyStream) -> None:
        if stream.over:
            self._streams.pop(stream.number, None)
            self._room.set()
