"""HTTP/1.1 over asyncio protocols and httptools: what httpx does with httpcore and h11, at a fifth of the CPU time.

`Transport` serves httpx (`httpx.AsyncClient(transport=Transport(...))`) and, without building httpx's objects, the REST
client, which calls `exchange` and `open_stream` with prepared headers.

Exchanges share a pool of kept-alive connections. A stream has a connection to itself, outside the pool's bound: watches
live for minutes and must not starve the rest.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections import deque
from collections.abc import AsyncIterator
from typing import cast

import httptools

# httpx imports its command line when it can: rich and pygments would cost every daemon 6 MB that it never uses.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
import httpx  # noqa: E402

CONNECT_TIMEOUT_SECONDS = 10.0
RESPONSE_TIMEOUT_SECONDS = 60.0
"""Until a response has begun (streams) or is complete (exchanges)."""
IDLE_SECONDS = 300.0
"""A connection unused for longer is not trusted: firewalls forget it silently."""
SPARE_SECONDS = 20.0
"""Connections that a burst needed are closed after this long without use; the last one stays."""
STREAM_BUFFER_BYTES = 1024 * 1024
"""Unread bytes of one stream; beyond, reading stops and the sender waits."""
KEEPALIVE_PROBE_SECONDS = 15
DEAD_PEER_SECONDS = 30
"""A peer that acknowledges nothing for this long is gone, and its streams fail."""

Headers = list[tuple[bytes, bytes]]

_RETRIED = frozenset((b"GET", b"HEAD", b"OPTIONS"))
"""Methods sent again when a kept-alive connection turns out to be closed: nothing happens twice."""


class StaleConnection(ConnectionError):
    """A reused connection was closed before a byte of the response came."""


class RawResponse:
    """A response as the wire gave it. `headers` keep their order; names are in lower case."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def header(self, name: bytes) -> str:
        """The first header of this lower-case name, or ""."""
        return next((value.decode("latin-1") for key, value in self.headers if key == name), "")


class _Connection(asyncio.Protocol):
    """One connection, one request at a time. The parser calls the `on_…` methods."""

    __slots__ = (
        "_body",
        "_done",
        "_headers",
        "_headers_complete",
        "_length_known",
        "_parser",
        "_timer",
        "_without_body",
        "closed",
        "idle_since",
        "keeps_alive",
        "loop",
        "stream",
        "transport",
        "used",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.transport: asyncio.Transport | None = None
        self.closed = False
        self.used = False
        self.keeps_alive = False
        self.idle_since = 0.0
        self.stream: RawStream | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._done: asyncio.Future[int] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._headers: Headers = []
        self._body: list[bytes] = []
        self._headers_complete = False
        self._length_known = False
        self._without_body = False

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own class is none of asyncio's

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(ConnectionError("the server switched protocols unasked"))
        except httptools.HttpParserError as error:
            self._fail(ConnectionError(f"malformed HTTP response: {error}"))

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._headers_complete and not self._length_known and exc is None:
            self.on_message_complete()  # without a length, the end of the connection is the end of the body
        elif not self.used or self._headers_complete or self._headers:
            self._fail(ConnectionError(f"connection lost: {exc}" if exc else "the server closed the connection"))
        else:
            self._fail(StaleConnection("the server closed an idle connection"))

    # httptools' side

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self._parser.get_status_code() < 200:
            self._headers = []
            return
        self._headers_complete = True
        # A body whose length is known ends by itself; `connection_lost` must not take a cut one for whole.
        self._length_known = any(name in (b"transfer-encoding", b"content-length") for name, _ in self._headers)
        if self.stream is not None:
            self._finish()
        elif self._without_body:
            self.on_message_complete()
            self.close()

    def on_body(self, body: bytes) -> None:
        if self.stream is not None:
            self.stream.feed(body)
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if not self._headers_complete:
            return  # a 1xx response
        self.keeps_alive = self._parser.should_keep_alive()
        if self.stream is not None:
            self.stream.end(None)
        else:
            self._finish()

    # the pool's side

    async def request(self, data: bytes, timeout_seconds: float, without_body: bool = False) -> RawResponse:
        """Sends a whole request and waits for the whole response."""
        status = await self._start(data, timeout_seconds, without_body)
        body = self._body
        response = RawResponse(status, self._headers, body[0] if len(body) == 1 else b"".join(body))
        self._headers, self._body = [], []
        self._headers_complete = False
        self.used = True
        return response

    async def start_stream(self, data: bytes, timeout_seconds: float) -> RawStream:
        """Sends a whole request and waits for the response's headers alone."""
        self.stream = RawStream(self)
        self.stream.status = await self._start(data, timeout_seconds)
        self.stream.headers = self._headers
        return self.stream

    async def _start(self, data: bytes, timeout_seconds: float, without_body: bool = False) -> int:
        if self.closed or self.transport is None:
            raise StaleConnection("the connection is closed")
        self._without_body = without_body
        self._done = self.loop.create_future()
        self._timer = self.loop.call_later(timeout_seconds, self._time_out, timeout_seconds)
        self.transport.write(data)
        try:
            return await self._done
        except BaseException:
            self.close()  # what comes next on this connection would belong to a request nobody waits for
            raise
        finally:
            self._timer.cancel()
            self._timer = self._done = None

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


class RawStream(httpx.AsyncByteStream):
    """A response whose body is read as it comes. Close it: that closes its connection."""

    def __init__(self, connection: _Connection) -> None:
        self.status = 0
        self.headers: Headers = []
        self._connection = connection
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._paused = False
        self._ended = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Chunks until the body ends. Raises: ConnectionError when the connection breaks before."""
        while True:
            chunk = await self.next_chunk()
            if not chunk:
                return
            yield chunk

    async def next_chunk(self) -> bytes:
        """All bytes that have come, at least one; b"" at the end. Raises: ConnectionError."""
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
        """The rest of the body."""
        return b"".join([chunk async for chunk in self])

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

    async def aclose(self) -> None:
        self.close()


class Transport(httpx.AsyncBaseTransport):
    """Connections to one server. Failures to reach it are ConnectionError, silence is TimeoutError."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        context: ssl.SSLContext | None = None,
        server_name: str = "",
        max_connections: int = 64,
    ) -> None:
        self._host, self._port = host, port
        self._context = context
        self._server_name = server_name or host
        self._max = max_connections
        self._open = 0
        self._idle: list[_Connection] = []
        self._waiters: deque[asyncio.Future[_Connection | None]] = deque()
        self._closed = False

    async def exchange(
        self,
        method: bytes,
        data: bytes,
        timeout_seconds: float = RESPONSE_TIMEOUT_SECONDS,
    ) -> RawResponse:
        """Sends `data`, a whole request (head and body), and returns the whole response.

        Raises: ConnectionError, TimeoutError.
        """
        without_body = method == b"HEAD"
        connection = self._take_idle() or await self._acquire()
        try:
            return await connection.request(data, timeout_seconds, without_body)
        except StaleConnection:
            if method not in _RETRIED:
                raise
        finally:
            self._release(connection)
        connection = await self._acquire(fresh=True)
        try:
            return await connection.request(data, timeout_seconds, without_body)
        finally:
            self._release(connection)

    async def open_stream(self, data: bytes, timeout_seconds: float = RESPONSE_TIMEOUT_SECONDS) -> RawStream:
        """Sends a whole request and returns once the response's headers are there. Raises: as `exchange`."""
        connection = await self._connect()
        try:
            return await connection.start_stream(data, timeout_seconds)
        except BaseException:
            connection.close()
            raise

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """httpx's entry: the response is streamed."""
        body = await request.aread()
        head = [request.method.encode(), b" ", request.url.raw_path, b" HTTP/1.1\r\n"]
        for name, value in request.headers.raw:
            if name.lower() not in (b"transfer-encoding", b"content-length", b"connection"):
                head += [name, b": ", value, b"\r\n"]
        head.append(b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body))
        timeout = (request.extensions.get("timeout") or {}).get("read") or RESPONSE_TIMEOUT_SECONDS
        try:
            stream = await self.open_stream(b"".join([*head, body]), timeout)
        except TimeoutError as error:
            raise httpx.ReadTimeout(str(error), request=request) from error
        except ConnectionError as error:
            raise httpx.ConnectError(str(error), request=request) from error
        return httpx.Response(stream.status, headers=stream.headers, stream=stream, request=request)

    async def aclose(self) -> None:
        """Closes the idle connections, and the others as they come back."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _take_idle(self) -> _Connection | None:
        oldest = asyncio.get_running_loop().time() - IDLE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and connection.idle_since > oldest:
                return connection
            connection.close()
            self._open -= 1
        return None

    async def _acquire(self, fresh: bool = False) -> _Connection:
        """An idle connection, a new one, or, at the bound, the next that is given back."""
        while True:
            if fresh:
                while self._idle and self._open >= self._max:
                    self._idle.pop().close()
                    self._open -= 1
            else:
                idle = self._take_idle()
                if idle is not None:
                    return idle
            if self._open < self._max:
                self._open += 1
                try:
                    return await self._connect()
                except BaseException:
                    self._open -= 1
                    self._wake_one(None)
                    raise
            waiter: asyncio.Future[_Connection | None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                given = await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._give_back(waiter.result())
                raise
            if given is not None:
                if not given.closed and not fresh:
                    return given
                given.close()
                self._open -= 1

    def _release(self, connection: _Connection) -> None:
        if self._closed or connection.closed or not connection.keeps_alive:
            connection.close()
            self._open -= 1
            self._wake_one(None)
            return
        connection.idle_since = connection.loop.time()
        self._give_back(connection)
        # The list is a stack: at its bottom are those that were not needed for longest.
        while len(self._idle) > 1 and self._idle[0].idle_since < connection.idle_since - SPARE_SECONDS:
            self._idle.pop(0).close()
            self._open -= 1

    def _give_back(self, connection: _Connection | None) -> None:
        if not self._wake_one(connection) and connection is not None:
            self._idle.append(connection)

    def _wake_one(self, connection: _Connection | None) -> bool:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return True
        return False

    async def _connect(self) -> _Connection:
        if self._closed:
            raise ConnectionError("the client is closed")
        loop = asyncio.get_running_loop()
        where = f"{self._host}:{self._port}"
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                transport, connection = await loop.create_connection(
                    lambda: _Connection(loop),
                    self._host,
                    self._port,
                    ssl=self._context,
                    server_hostname=self._server_name if self._context is not None else None,
                )
        except TimeoutError:
            raise TimeoutError(f"no connection to {where} within {CONNECT_TIMEOUT_SECONDS:g}s") from None
        except ssl.SSLCertVerificationError as error:
            raise ConnectionError(f"the certificate of {where} is not trusted: {error.verify_message}") from error
        except ConnectionRefusedError:
            raise ConnectionRefusedError(f"the connection to {where} was refused") from None
        except OSError as error:  # resolving, routing, a failed handshake
            raise ConnectionError(f"no connection to {where}: {error}") from error
        _watch_peer(transport)
        return connection


def _watch_peer(transport: asyncio.BaseTransport) -> None:
    """Lets the kernel notice a peer that vanished without closing."""
    peer = transport.get_extra_info("socket")
    if peer is None or peer.family not in (socket.AF_INET, socket.AF_INET6):
        return
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_PROBE_SECONDS)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_PROBE_SECONDS // 3)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_SECONDS * 1000)
