"""The other end of an HTTP/2 connection, scripted: on a transport that only takes notes, or on a loopback socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import hpack

from componentbase.net import http2
from componentbase.net.http2 import Http2Connection, Http2Error, Http2Limits, Http2Stream, frame


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes


def split_frames(data: bytes) -> list[Frame]:
    """Fails on a frame that is not whole."""
    found = []
    while data:
        high, low, kind, flags, stream = http2.FRAME.unpack_from(data)
        end = 9 + (high << 8 | low)
        assert end <= len(data)
        found.append(Frame(kind, flags, stream, data[9:end]))
        data = data[end:]
    return found


def number(value: int) -> bytes:
    return value.to_bytes(4, "big")


def block(*headers: tuple[str, str]) -> bytes:
    return http2.header_block(headers)


HEAD = block((":status", "200"), ("content-type", "application/grpc"))
OK = block(("grpc-status", "0"), ("grpc-message", ""))


def answer(stream: int, body: bytes, *, head: bytes = HEAD, end: bytes = OK) -> bytes:
    """A whole gRPC answer of one message; `body` in frames of the usual size."""
    message = b"\0" + number(len(body)) + body
    size = http2.FRAME_BYTES
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    data = b"".join(frame(http2.DATA, 0, stream, piece) for piece in pieces)
    return (
        frame(http2.HEADERS, http2.END_HEADERS, stream, head)
        + data
        + frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, stream, end)
    )


class Notes(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = ""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return bool(self.closed)

    def close(self) -> None:
        self.closed = self.closed or "closed"

    def abort(self) -> None:
        self.closed = "aborted"

    def frames(self) -> list[Frame]:
        """What has been written since the last call."""
        data, self.writes = b"".join(self.writes), []
        return split_frames(data.removeprefix(http2.PREFACE))


class Recorder(Http2Stream):
    """Keeps what arrives; with `reads` False its data stays unread."""

    def __init__(self, *, reads: bool = True) -> None:
        super().__init__()
        self.headers: list[dict[str, str]] = []
        self.data = b""
        self.ended = False
        self.error: Http2Error | None = None
        self._reads = reads

    def on_headers(self, headers: Mapping[str, str], last: bool) -> None:
        self.headers.append(dict(headers))
        self.ended = last

    def on_data(self, data: bytes, last: bool) -> None:
        self.data += data
        self.ended = last
        if not self._reads:
            self.held += len(data)

    def on_failure(self, error: Http2Error) -> None:
        self.error = error


async def connected(
    *peer_settings: tuple[int, int], limits: Http2Limits = http2.DEFAULT_LIMITS
) -> tuple[Http2Connection, Notes]:
    """A connection whose peer has just said these settings; nothing noted yet."""
    connection, notes = Http2Connection(limits), Notes()
    connection.connection_made(notes)
    connection.data_received(http2.settings(dict(peer_settings)))
    await connection.ready
    await turn()
    notes.frames()
    return connection, notes


async def turn() -> None:
    """Lets what was asked for leave."""
    for _ in range(3):
        await asyncio.sleep(0)


class Peer:
    """The server's end of one accepted connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = hpack.Decoder()

    async def begin(self, *peer_settings: tuple[int, int]) -> None:
        assert await self._reader.readexactly(len(http2.PREFACE)) == http2.PREFACE
        self.send(http2.settings(dict(peer_settings)))

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def frame(self, *kinds: int) -> Frame:
        """The next frame of these kinds. Raises: asyncio.IncompleteReadError when the client is gone."""
        while True:
            head = await self._reader.readexactly(9)
            high, low, kind, flags, stream = http2.FRAME.unpack(head)
            payload = await self._reader.readexactly(high << 8 | low)
            if kind in kinds:
                return Frame(kind, flags, stream, payload)

    async def request(self) -> tuple[int, dict[str, str], bytes]:
        """(stream, headers, message) of the next call."""
        head = await self.frame(http2.HEADERS)
        headers = dict(self._decoder.decode(head.payload))
        data = await self.frame(http2.DATA)
        assert data.stream == head.stream
        assert data.payload[:5] == b"\0" + number(len(data.payload) - 5)
        return head.stream, {str(name): str(value) for name, value in headers.items()}, data.payload[5:]


@asynccontextmanager
async def serving(*scripts: Callable[[Peer], Awaitable[None]]) -> AsyncIterator[str]:
    """The address of a server whose first connection follows the first script, and so on; the last one repeats.

    A script that ends leaves its connection open; what fails in one fails the test.
    """
    failures: list[Exception] = []
    opened: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = scripts[min(len(opened), len(scripts) - 1)]
        opened.append(writer)
        try:
            await script(Peer(reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
        except Exception as error:
            failures.append(error)
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    try:
        yield f"{host}:{port}"
    finally:
        server.close()
        for writer in opened:
            writer.close()
    if failures:
        raise failures[0]
