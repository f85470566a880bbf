"""HTTP/1.1 over asyncio protocols and httptools: the work of httpx, httpcore and h11 at a fifth of the CPU time.

`connect` opens a single connection, for whoever talks to many servers, sends a body piece by piece, or upgrades to
another protocol; http1_pool.py shares connections to one server.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import cast

import httptools

from componentbase.net.raw import RawConnection, notice_dead_peer

CONNECT_TIMEOUT_SECONDS = 10.0
RESPONSE_TIMEOUT_SECONDS = 60.0
"""Until a response has begun (streams) or is complete (exchanges)."""
MAX_HEAD_BYTES = 64 * 1024
"""The bound on a response's status line and headers; a server that sends more loses the connection."""
STREAM_BUFFER_BYTES = 1024 * 1024
"""Unread bytes of one stream; beyond, reading stops and the sender waits."""
KEEPALIVE_PROBE_SECONDS = 15
DEAD_PEER_SECONDS = 30
"""A peer that acknowledges nothing for this long is gone, and its streams fail."""

Header = tuple[bytes, bytes]


class StaleConnection(ConnectionError):
    """A reused connection was closed before a byte of the response came."""


class ServerClosed(ConnectionError):
    """The server closed the connection before its response was complete."""


class MalformedResponse(ConnectionError):
    """The peer does not speak HTTP, or has sent too long a head."""


class HttpResponse:
    """A complete response. `headers` keep their order and have lower-case names."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: list[Header], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def header(self, name: bytes) -> str:
        """Returns the first header of this lower-case name, or ""."""
        return first_header(self.headers, name).decode("latin-1")


def first_header(headers: Iterable[Header], name: bytes) -> bytes:
    """Returns the first value of a lower-case header name, or b""."""
    return next((value for key, value in headers if key == name), b"")


def request_head(method: str, target: bytes, headers: Iterable[Header]) -> bytes:
    """Encodes the head of a request. Raises: ValueError for a header that is not a single line."""
    lines = [b"%b %b HTTP/1.1" % (method.encode("ascii"), target)]
    lines += [b"%b: %b" % header for header in headers]
    if any(b"\r" in line or b"\n" in line for line in lines):
        raise ValueError("a header must be one line")
    return b"\r\n".join(lines) + b"\r\n\r\n"


class ClientConnection(asyncio.Protocol):
    """One connection, one request at a time. The parser calls the `on_…` methods."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.transport: asyncio.Transport | None = None
        self.closed = False
        self.used = False
        self.keeps_alive = False
        self.retired = False
        """True for one that must not be used for another request."""
        self.idle_since = 0.0
        self.max_body_bytes = 0
        """The bound on the body of a whole response; 0 is none."""
        self.stream: ResponseStream | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._done: asyncio.Future[int] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writable: asyncio.Event | None = None
        self._headers: list[Header] = []
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._head_bytes = 0
        self._headers_complete = False
        self._has_length = False
        self._without_body = False
        self._may_switch = False
        self._switched = False
        self._early = b""

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own class does not derive from asyncio's

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._switched:
                self._early += data[upgrade.args[0] :]
            else:
                self._fail(MalformedResponse("the server switched protocols unasked"))
        except httptools.HttpParserError as error:
            self._fail(MalformedResponse(f"malformed HTTP response: {error}"))
        else:
            if not self._headers_complete:
                self._head_bytes += len(data)
                if self._head_bytes > MAX_HEAD_BYTES:
                    self._fail(MalformedResponse("the head of the response is too long"))

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._writable = asyncio.Event()

    def resume_writing(self) -> None:
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.resume_writing()
        if self._headers_complete and not self._has_length and exc is None:
            self.on_message_complete()  # without a length, the end of the connection is the end of the body
        elif exc is not None:
            self._fail(ConnectionError(f"connection lost: {exc}"))
        elif not self.used or self._headers_complete or self._headers:
            self._fail(ServerClosed("the server closed the connection"))
        else:
            self._fail(StaleConnection("the server closed an idle connection"))

    # httptools' side

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            if status != 101 or not self._may_switch:
                self._headers = []
                return
            self._switched = True
            if self.transport is not None:
                self.transport.pause_reading()  # until the connection is taken over
        self._headers_complete = True
        # A body whose length is known ends by itself; `connection_lost` must not take a cut one for whole.
        self._has_length = any(name in (b"transfer-encoding", b"content-length") for name, _ in self._headers)
        if self.stream is not None:
            self._finish()
            if self._without_body:
                self.stream.end(None)
        elif self._without_body:
            self.on_message_complete()
            self.close()

    def on_body(self, body: bytes) -> None:
        if self.stream is not None:
            self.stream.feed(body)
        else:
            self._body.append(body)
            self._body_bytes += len(body)
            if self.max_body_bytes and self._body_bytes > self.max_body_bytes:
                self._fail(MalformedResponse(f"the response has more than {self.max_body_bytes} bytes"))

    def on_message_complete(self) -> None:
        if not self._headers_complete or self._switched:
            return  # a 1xx response
        self.keeps_alive = self._parser.should_keep_alive()
        if self.stream is not None:
            self.stream.end(None)
        else:
            self._finish()

    # the user's side

    async def request(
        self, data: bytes, timeout_seconds: float | None = RESPONSE_TIMEOUT_SECONDS, *, without_body: bool = False
    ) -> HttpResponse:
        """Sends a whole request and waits for the whole response. `without_body`: the response to a HEAD.

        Raises: ConnectionError, TimeoutError.
        """
        status = await self._start(data, timeout_seconds, without_body)
        body = self._body
        response = HttpResponse(status, self._headers, body[0] if len(body) == 1 else b"".join(body))
        self._headers, self._body = [], []
        self._head_bytes = self._body_bytes = 0
        self._headers_complete = False
        self.used = True
        return response

    async def start_stream(
        self,
        data: bytes,
        timeout_seconds: float | None = RESPONSE_TIMEOUT_SECONDS,
        *,
        without_body: bool = False,
        may_switch: bool = False,
    ) -> ResponseStream:
        """Sends a request, or its head, and returns once the response's headers are there.

        With `may_switch` the response may be a 101, and its `take_over` gives the raw connection. Raises: as `request`.
        """
        self._may_switch = may_switch
        self.stream = ResponseStream(self)
        self.stream.status = await self._start(data, timeout_seconds, without_body)
        self.stream.headers = self._headers
        return self.stream

    async def write(self, data: bytes) -> None:
        """Sends a piece of the request's body; waits while the server does not read. Raises: ConnectionError."""
        if self.transport is None or self.transport.is_closing():
            raise ServerClosed("the server closed the connection")
        self.transport.write(data)
        if self._writable is not None:
            await self._writable.wait()

    async def _start(self, data: bytes, timeout_seconds: float | None, without_body: bool) -> int:
        if self.closed or self.transport is None:
            raise StaleConnection("the connection is closed")
        self._without_body = without_body
        self._done = self.loop.create_future()
        if timeout_seconds is not None:
            self._timer = self.loop.call_later(timeout_seconds, self._time_out, timeout_seconds)
        self.transport.write(data)
        try:
            return await self._done
        except BaseException:
            self.close()  # the next answer on this connection would belong to a request nobody waits for
            raise
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._done = None

    def take_over(self) -> RawConnection:
        """Hands over the raw connection behind a 101; HTTP ends here."""
        if self.transport is None or not self._switched:
            raise RuntimeError("the server has not switched protocols")
        raw = RawConnection(self.transport, self._early)
        self.transport.resume_reading()
        return raw

    def close(self) -> None:
        self.closed = True
        if self.transport is not None:
            self.transport.abort()

    def _time_out(self, timeout_seconds: float) -> None:
        self._fail(TimeoutError(f"no answer within {timeout_seconds:g}s"))

    def _finish(self) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(self._parser.get_status_code())

    def _fail(self, error: Exception) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(error)
        elif self.stream is not None:
            self.stream.end(error)
        self.close()


class ResponseStream:
    """A response whose body is read as it comes. Close it: that closes its connection."""

    def __init__(self, connection: ClientConnection) -> None:
        self.status = 0
        self.headers: list[Header] = []
        self._connection = connection
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._paused = False
        self._ended = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    def header(self, name: bytes) -> bytes:
        """Returns the first header of this lower-case name, or b""."""
        return first_header(self.headers, name)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yields chunks until the body ends. Raises: ConnectionError when the connection breaks before."""
        while True:
            chunk = await self.next_chunk()
            if not chunk:
                return
            yield chunk

    async def next_chunk(self) -> bytes:
        """Returns all bytes that have come, at least one; b"" at the end. Raises: ConnectionError."""
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self._ended:
                return b""
            self._waiter = self._connection.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._buffered = 0
        if self._paused and self._connection.transport is not None and not self._connection.closed:
            self._paused = False
            self._connection.transport.resume_reading()
        return data

    async def read(self) -> bytes:
        """Returns the rest of the body. Raises: ConnectionError."""
        return b"".join([chunk async for chunk in self])

    async def read_start(self, limit: int) -> bytes:
        """Returns the body up to `limit` bytes, or as much as comes before the connection breaks."""
        body = b""
        try:
            while len(body) < limit and (chunk := await self.next_chunk()):
                body += chunk
        except ConnectionError:
            pass
        return body[:limit]

    def take_over(self) -> RawConnection:
        """Hands over the raw connection behind a 101; the caller closes it."""
        return self._connection.take_over()

    def feed(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._buffered += len(chunk)
        if self._buffered > STREAM_BUFFER_BYTES and not self._paused and self._connection.transport is not None:
            self._paused = True
            self._connection.transport.pause_reading()
        self._wake()

    def end(self, error: Exception | None) -> None:
        if not self._ended:
            self._ended, self._error = True, error
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def close(self) -> None:
        self._connection.close()


async def connect(
    host: str,
    port: int = 0,
    *,
    tls: ssl.SSLContext | None = None,
    server_name: str = "",
    timeout_seconds: float | None = CONNECT_TIMEOUT_SECONDS,
) -> ClientConnection:
    """Opens one connection; a host that begins with "/" is the path of a Unix socket.

    Raises: OSError (ssl.SSLError and TimeoutError among them), UnicodeError for an impossible host name.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(timeout_seconds):
        if host.startswith("/"):
            transport, connection = await loop.create_unix_connection(lambda: ClientConnection(loop), host)
        else:
            transport, connection = await loop.create_connection(
                lambda: ClientConnection(loop),
                host,
                port,
                ssl=tls,
                server_hostname=(server_name or host) if tls is not None else None,
            )
    if peer := transport.get_extra_info("socket"):
        if peer.family in (socket.AF_INET, socket.AF_INET6):
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        notice_dead_peer(transport, probe_seconds=KEEPALIVE_PROBE_SECONDS, dead_after_seconds=DEAD_PEER_SECONDS)
    return connection
