"""gRPC over HTTP/2 to one address: unary calls, server streams, reconnection.

Nothing runs in the background: the first caller makes the connection, and the others wait for it.
Source: gRPC over HTTP2 (the protocol's description), status codes of gRPC.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Mapping, Sequence
from functools import lru_cache
from urllib.parse import unquote

from componentbase.net.http2 import DEFAULT_LIMITS, Http2Connection, Http2Error, Http2Limits, Http2Stream, header_block

MESSAGE_BYTES = 2**31 - 1  # etcd's own limit for one message; a call whose answer is longer fails
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.1, 1.0  # between attempts to connect; doubled from one to the next
CLOSE_SECONDS = 1.0  # for an orderly end of the connection
UNSENT_RETRIES = 2  # for a call that the peer certainly has not acted on

_STATUS = [  # by number
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
]
_HTTP_STATUS = {
    "400": "INTERNAL",
    "401": "UNAUTHENTICATED",
    "403": "PERMISSION_DENIED",
    "404": "UNIMPLEMENTED",
    "429": "UNAVAILABLE",
    "502": "UNAVAILABLE",
    "503": "UNAVAILABLE",
    "504": "UNAVAILABLE",
}
_PREFIX_BYTES = 5  # before each message: whether it is compressed, and its length

Metadata = tuple[tuple[str, str], ...]


class RpcError(Exception):
    """A call failed. `code` is gRPC's name of the status; `unsent`: the peer has certainly not acted on it."""

    def __init__(self, code: str, details: str, *, unsent: bool = False) -> None:
        super().__init__(f"{code}: {details}")
        self.code = code
        self.details = details
        self.unsent = unsent


class Channel:
    """One address, one connection at a time; a connection that drains lives on beside its successor."""

    def __init__(
        self,
        address: str,
        tls: ssl.SSLContext | None,
        *,
        connect_seconds: float = 5.0,
        limits: Http2Limits = DEFAULT_LIMITS,
    ) -> None:
        """`address` is "host:port" ("[::1]:2379"); `tls` must offer "h2" by ALPN.

        `connect_seconds`: for TCP, TLS and the peer's first word.
        """
        host, _, port = address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._tls = tls
        self._connect_seconds = connect_seconds
        self._limits = limits
        self._address = address
        self._connections: list[Http2Connection] = []  # not lost yet; calls take the last one
        self._connecting = asyncio.Lock()
        self._retry_at = 0.0
        self._retry_seconds = FIRST_RETRY_SECONDS
        self._closed = False

    @property
    def down(self) -> bool:
        """Tells whether the last attempt to connect failed a moment ago."""
        return asyncio.get_running_loop().time() < self._retry_at

    async def close(self) -> None:
        """Ends the connections; calls under way fail."""
        self._closed = True
        for connection in self._connections:
            await connection.close(CLOSE_SECONDS)

    async def unary(self, path: str, message: bytes, *, timeout_seconds: float, wait_for_ready: bool) -> bytes:
        """Returns the answer to one message. With `wait_for_ready` it tries to connect until the deadline.

        Raises: RpcError.
        """
        loop = asyncio.get_running_loop()
        block = self._block(path, timeout_seconds, ())
        deadline = loop.time() + timeout_seconds
        for retries_left in range(UNSENT_RETRIES, -1, -1):
            connection = self._usable() or await self._connect(deadline, wait_for_ready)
            call = _UnaryCall(loop)
            timer = loop.call_at(deadline, call.expire)
            try:
                connection.open(call, block, framed(message))
                return await call.answer
            except Http2Error as error:
                if not (error.unprocessed and retries_left):
                    raise RpcError("UNAVAILABLE", str(error), unsent=error.unprocessed) from error
            finally:
                timer.cancel()
                connection.cancel(call)
        raise AssertionError("unreachable")

    async def stream(
        self, path: str, message: bytes, *, metadata: Metadata = (), timeout_seconds: float, wait_for_ready: bool
    ) -> ServerStream:
        """Sends one message and leaves the stream open for answers; `close` it. The timeout is for connecting only.

        Raises: RpcError.
        """
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        connection = self._usable() or await self._connect(deadline, wait_for_ready)
        call = ServerStream(connection)
        try:
            connection.open(call, self._block(path, 0.0, metadata), framed(message), ends=False)
        except Http2Error as error:
            raise RpcError("UNAVAILABLE", str(error), unsent=True) from error
        return call

    def _block(self, path: str, timeout_seconds: float, metadata: Metadata) -> bytes:
        return _request_headers("https" if self._tls else "http", self._address, path, timeout_seconds, metadata)

    def _usable(self) -> Http2Connection | None:
        if self._connections and self._connections[-1].usable:
            return self._connections[-1]
        return None

    async def _connect(self, deadline: float, wait_for_ready: bool) -> Http2Connection:
        """Returns the connection, which the first caller makes."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(deadline), self._connecting:
                while True:
                    if self._closed:
                        raise RpcError("UNAVAILABLE", "the channel is closed", unsent=True)
                    if connection := self._usable():
                        return connection
                    if self.down and not wait_for_ready:
                        raise RpcError("UNAVAILABLE", f"no connection to {self._address}", unsent=True)
                    if wait_for_ready:
                        await asyncio.sleep(self._retry_at - loop.time())
                    try:
                        return await self._attempt()
                    except (OSError, Http2Error) as error:
                        self._retry_at = loop.time() + self._retry_seconds
                        self._retry_seconds = min(2 * self._retry_seconds, LAST_RETRY_SECONDS)
                        if not wait_for_ready:
                            details = f"cannot connect to {self._address}: {error or type(error).__name__}"
                            raise RpcError("UNAVAILABLE", details, unsent=True) from error
        except TimeoutError as error:
            raise RpcError("DEADLINE_EXCEEDED", f"no connection to {self._address}", unsent=True) from error

    async def _attempt(self) -> Http2Connection:
        """Raises: OSError (with it ssl.SSLError and TimeoutError), Http2Error."""
        loop = asyncio.get_running_loop()
        connection = Http2Connection(self._limits)
        connected = False
        try:
            async with asyncio.timeout(self._connect_seconds):
                transport, _ = await loop.create_connection(lambda: connection, self._host, self._port, ssl=self._tls)
                tls = transport.get_extra_info("ssl_object")
                if tls is not None and tls.selected_alpn_protocol() != "h2":
                    raise Http2Error("the peer does not speak HTTP/2")
                await connection.ready
            connected = True
        finally:
            if not connected:
                connection.ready.cancel()
                connection.abort()
        self._connections = [other for other in self._connections if not other.lost.done()]
        self._connections.append(connection)
        self._retry_at, self._retry_seconds = 0.0, FIRST_RETRY_SECONDS
        return connection


class _UnaryCall(Http2Stream):
    __slots__ = ("_pieces", "_size", "answer")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.answer: asyncio.Future[bytes] = loop.create_future()
        self._pieces: list[bytes] = []
        self._size = 0

    def expire(self) -> None:
        self._end(RpcError("DEADLINE_EXCEEDED", "no answer in time", unsent=not self.id))

    def on_headers(self, headers: Mapping[str, str], last: bool) -> None:
        error = _failure(headers, last)
        if error is not None:
            self._end(error)
        elif last:
            self._end(None)

    def on_data(self, data: bytes, last: bool) -> None:
        self._size += len(data)
        if self._size > MESSAGE_BYTES:
            self._pieces.clear()
            self._end(RpcError("RESOURCE_EXHAUSTED", "the answer is too long"))
            return
        self._pieces.append(data)
        if last:
            self._end(RpcError("INTERNAL", "the answer has no status"))

    def on_failure(self, error: Http2Error) -> None:
        self._end(error)

    def _end(self, error: Exception | None) -> None:
        if self.answer.done():
            return
        if error is None:
            pieces = self._pieces
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            size = int.from_bytes(data[1:_PREFIX_BYTES], "big")
            if len(data) == _PREFIX_BYTES + size and not data[0]:
                self.answer.set_result(data[_PREFIX_BYTES:])
                return
            error = RpcError("INTERNAL", "the answer is not one plain message")
        self.answer.set_exception(error)


class ServerStream(Http2Stream):
    """Messages as they come. Those not read yet take room in the stream's window: a slow reader slows the peer."""

    __slots__ = ("_connection", "_end", "_messages", "_part", "_reader")

    def __init__(self, connection: Http2Connection) -> None:
        super().__init__()
        self._connection = connection
        self._messages: deque[bytes] = deque()
        self._part = bytearray()
        self._reader: asyncio.Future[None] | None = None
        self._end: RpcError | None = None

    async def read(self) -> bytes:
        """Returns the next message. Raises: RpcError; code OK when the peer ended the stream in order."""
        while not self._messages:
            if self._end is not None:
                raise self._end
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        message = self._messages.popleft()
        self._connection.release(self, _PREFIX_BYTES + len(message))
        return message

    def close(self) -> None:
        self._connection.cancel(self)

    def on_headers(self, headers: Mapping[str, str], last: bool) -> None:
        error = _failure(headers, last)
        if error is not None or last:
            self._finish(error or RpcError("OK", "the peer ended the stream"))

    def on_data(self, data: bytes, last: bool) -> None:
        part = self._part
        part += data
        at, end = 0, len(part)
        while end - at >= _PREFIX_BYTES:
            size = int.from_bytes(part[at + 1 : at + _PREFIX_BYTES], "big")
            if part[at] or size > MESSAGE_BYTES:
                self._finish(RpcError("INTERNAL", "a message is compressed or too long"))
                self._connection.cancel(self)
                return
            stop = at + _PREFIX_BYTES + size
            if stop > end:
                break
            self._messages.append(bytes(part[at + _PREFIX_BYTES : stop]))
            self.held += stop - at
            at = stop
        if at:
            del part[:at]
            self._wake()
        if last:
            self._finish(RpcError("INTERNAL", "the stream ended without a status"))

    def on_failure(self, error: Http2Error) -> None:
        self._finish(RpcError("UNAVAILABLE", str(error), unsent=error.unprocessed))

    def _finish(self, error: RpcError) -> None:
        if self._end is None:
            self._end = error
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


def framed(message: bytes) -> bytes:
    """Returns the message with its prefix, not compressed."""
    return b"\0" + len(message).to_bytes(4, "big") + message


@lru_cache(maxsize=64)
def _request_headers(scheme: str, authority: str, path: str, timeout_seconds: float, metadata: Metadata) -> bytes:
    headers: Sequence[tuple[str, str]] = (
        (":method", "POST"),
        (":scheme", scheme),
        (":path", path),
        (":authority", authority),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", "mini-kubernetes"),
        *((("grpc-timeout", f"{round(timeout_seconds * 1000)}m"),) if timeout_seconds else ()),
        *metadata,
    )
    return header_block(headers)


def _failure(headers: Mapping[str, str], last: bool) -> RpcError | None:
    """Returns the failure that the head (or, when `last`, the end) of an answer tells, or None."""
    status = headers.get("grpc-status")
    if status is None:
        http = headers.get(":status", "")
        if http == "200" and not last:
            return None
        return RpcError(_HTTP_STATUS.get(http, "UNKNOWN"), f"HTTP status {http or 'missing'} and no gRPC status")
    if status == "0":
        return None
    code = _STATUS[int(status)] if status.isdecimal() and int(status) < len(_STATUS) else "UNKNOWN"
    return RpcError(code, unquote(headers.get("grpc-message", "")))
