"""One request and its answer on a connection of our HTTP/1.1 server.

The answer of a request is one write of one joined buffer. An answer in pieces is written piece by piece, as fast as the
client reads; `blocked` and `drain` tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol, cast

from componentbase import logs
from componentbase.net.raw import RawConnection

JOINED_BYTES = 256 * 1024  # a larger body is written by itself: copying it to its head would cost more than a write
STALL_SECONDS = 60.0  # a client that takes nothing of a stream for so long is cut off
UNREAD_BODY_BYTES = 64 * 1024  # of a request, not read by its handler; beyond, the client waits

Header = tuple[bytes, bytes]

BODYLESS = frozenset({204, 304})
"""Statuses of answers without a body."""

log = logs.logger(__name__)

STATUS_LINES = {code: f"HTTP/1.1 {code} {HTTPStatus(code).phrase}\r\n".encode() for code in map(int, HTTPStatus)}


def status_line(code: int) -> bytes:
    """Returns the first line of an answer, for codes without a name too."""
    return STATUS_LINES.get(code) or b"HTTP/1.1 %d \r\n" % code


def response_head(code: int, headers: Iterable[Header]) -> bytes:
    """Encodes the head of an answer to an upgrade."""
    return status_line(code) + b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n"


class ClientDisconnected(Exception):
    """The client went away while its request was being read or answered; nobody waits for an answer."""


class BodyTooLarge(Exception):
    """The request's body is longer than `limit` bytes; its connection ends with the answer."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"Request entity too large: limit is {limit}")
        self.limit = limit


class Handler(Protocol):
    """Answers the requests of a server."""

    def __call__(self, exchange: HttpExchange) -> Awaitable[None] | None:
        """Answers the request at once, or returns what has to be awaited for its answer: that gets a task.

        The task may raise ClientDisconnected; anything else is a bug: a 500.
        """
        ...


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """A client's certificate, which the handshake has verified."""

    subject: tuple[tuple[tuple[str, str], ...], ...]
    digest: str
    """SHA-256 of its DER form, in hexadecimal."""
    authority: str = ""
    """The same of the trusted certificate that it leads to; "" where that is not known."""


class ServerConnection(Protocol):
    """The part of a connection that its exchanges use."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    client: tuple[str, int] | None
    """Address and port of the other end."""
    identity: Any
    """The user whom the handler has found behind this connection; None at first."""
    writable: asyncio.Event | None
    """Set when the client has read enough; None while it reads as fast as we write."""
    max_body_bytes: int
    tasks: set[asyncio.Task[None]]

    @property
    def certificate(self) -> PeerCertificate | None:
        """The client's certificate, None without one. A handshake with a bad one has failed."""

    def date(self) -> bytes: ...

    def chunk(self, piece: bytes) -> bytes: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def on_response_complete(self) -> None: ...

    def linger(self) -> None: ...

    def take_over(self) -> RawConnection: ...


class HttpExchange:
    """One request and its answer. Headers have lower-case names."""

    def __init__(
        self,
        connection: ServerConnection,
        method: str,
        target: bytes,
        path: str,
        query_string: bytes,
        headers: list[Header],
        *,
        waiting_for_100: bool,
        keep_alive: bool,
        has_body: bool = True,
    ) -> None:
        self.connection = connection
        self.method = method
        self.target = target
        """Path and query as the client has encoded them."""
        self.path = path
        self.query_string = query_string
        self.headers = headers
        self.keep_alive = keep_alive
        self.task: asyncio.Task[None] | None = None
        self.on_gone: Callable[[], None] | None = None
        """Called when the client leaves before the answer is complete."""
        self.disconnected = False
        self.more_body = has_body
        """Not all of the request's body has come yet."""
        self.response_started = False
        self._complete = False
        self._chunked = False
        self._body = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._waiting_for_100 = waiting_for_100

    @property
    def response_complete(self) -> bool:
        return self._complete

    def header(self, name: bytes) -> bytes:
        """Returns the first value of a header, by its lower-case name; b"" when absent."""
        for key, value in self.headers:
            if key == name:
                return value
        return b""

    # Request

    async def read_body(self) -> bytes:
        """Returns the whole body. Raises: BodyTooLarge, ClientDisconnected."""
        limit = self.connection.max_body_bytes
        while self.more_body and len(self._body) <= limit:
            if not await self.receive_more():
                raise ClientDisconnected
        if len(self._body) > limit:
            self.keep_alive = False
            raise BodyTooLarge(limit)
        return bytes(self._body)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yields the body as it comes, however long. Raises: ClientDisconnected."""
        while True:
            if piece := self.take():
                yield piece
            elif not self.more_body:
                return
            elif not await self.receive_more():
                raise ClientDisconnected

    def take(self) -> bytes:
        """Returns the part of the body that has come and was not taken yet; b"" when there is none now."""
        piece = bytes(self._body)
        self._body.clear()
        return piece

    async def receive_more(self) -> bool:
        """Waits until more of the body is there; False when the client has left or has got the whole answer."""
        connection = self.connection
        if self._waiting_for_100 and not connection.transport.is_closing():
            connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._waiting_for_100 = False
        if self.disconnected or self._complete:
            return False
        if self.more_body:
            connection.resume_reading()
        self._waiter = connection.loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        return not (self.disconnected or self._complete)

    async def wait_closed(self) -> None:
        """Returns when the client has left, or the answer is complete."""
        while await self.receive_more():
            self._body.clear()

    def feed(self, data: bytes) -> None:
        """Takes a piece of the body from the connection."""
        self._body += data
        if len(self._body) > UNREAD_BODY_BYTES:
            self.connection.pause_reading()
        self._wake()

    def end_of_body(self) -> None:
        """Learns from the connection that the body is complete."""
        self.more_body = False
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # Answer

    def respond(self, status: int, headers: bytes, body: bytes) -> None:
        """Sends a whole answer. `headers` are complete lines, beside content-length and date.

        Does not wait for the client to read it: see `drain`. Where an answer has begun already the connection is
        cut: a second head would be taken for a part of the first one's body.
        """
        if self.disconnected:
            return
        connection = self.connection
        if self.response_started:
            self.abort()
            return
        closing = b"" if self.keep_alive else b"connection: close\r\n"
        head = b"%bdate: %b\r\n%b%bcontent-length: %d\r\n\r\n" % (
            status_line(status),
            connection.date(),
            headers,
            closing,
            len(body),
        )
        self.response_started = True
        if self.method == "HEAD":
            connection.transport.write(head)
        elif len(body) <= JOINED_BYTES:
            connection.transport.write(head + body)
        else:
            connection.transport.write(head)
            connection.transport.write(body)
        self._finish()

    def begin(self, status: int, headers: bytes, length: int | None) -> None:
        """Starts an answer in pieces: of `length` bytes in all, or chunked."""
        framing = b"" if length is None else b"content-length: %d\r\n" % length
        self.begin_with(status_line(status), headers + framing, chunked=length is None)

    def begin_with(self, first_line: bytes, headers: bytes, *, chunked: bool) -> None:
        """Starts an answer whose headers are all there but for `date` and those of the connection."""
        self._chunked = chunked
        framing = b"transfer-encoding: chunked\r\n" if chunked else b""
        closing = b"" if self.keep_alive else b"connection: close\r\n"
        date = self.connection.date()
        self.response_started = True
        if not self.disconnected:
            head = b"%bdate: %b\r\n%b%b%b\r\n" % (first_line, date, headers, closing, framing)
            self.connection.transport.write(head)

    def write(self, piece: bytes) -> None:
        """Sends one piece; check `blocked` and `drain` in between."""
        if not self.disconnected and piece and self.method != "HEAD":
            connection = self.connection
            connection.transport.write(connection.chunk(piece) if self._chunked else piece)

    def end(self) -> None:
        if not self.disconnected:
            if self._chunked and self.method != "HEAD":
                self.connection.transport.write(b"0\r\n\r\n")
            self._finish()

    @property
    def blocked(self) -> bool:
        """The client does not read as fast as we write: `drain` before writing more."""
        return self.connection.writable is not None

    async def drain(self, seconds: float = STALL_SECONDS) -> None:
        """Waits until the client has read enough. Raises: ClientDisconnected when it does not in so many seconds."""
        connection = self.connection
        try:
            async with asyncio.timeout(seconds):
                if connection.writable is not None:
                    await connection.writable.wait()
        except TimeoutError:
            self.abort()
            raise ClientDisconnected from None

    def abort(self) -> None:
        """Cuts the connection: nothing more would make sense to the client."""
        self.disconnected = True
        self.connection.transport.abort()

    @property
    def can_switch(self) -> bool:
        """Whether the connection may be taken over for another protocol."""
        return True

    def take_over(self) -> RawConnection:
        """Hands over the raw connection behind an upgrade request; HTTP ends here, and the caller closes it."""
        self.response_started = self._complete = True
        return self.connection.take_over()

    def _finish(self) -> None:
        self._complete = True
        self.on_gone = None
        self._wake()
        connection = self.connection
        if not self.keep_alive:
            if self.more_body and not self._waiting_for_100:
                connection.linger()
            else:
                connection.transport.close()
        connection.on_response_complete()

    def gone(self) -> None:
        """Learns from the connection that it is lost."""
        if not self._complete:
            self.disconnected = True
            if self.on_gone is not None:
                self.on_gone()
        self._wake()

    def fail(self, error: Exception) -> None:
        """Logs a bug of the handler and answers 500; cuts the connection where an answer has begun."""
        log.exception("request failed", error, method=self.method, path=self.path)
        if not self.response_started:
            self.keep_alive = False
            self.respond(500, b"content-type: text/plain; charset=utf-8\r\n", b"Internal Server Error")
        elif not self._complete:
            self.connection.transport.close()

    async def run(self, answering: Awaitable[None]) -> None:
        """Awaits what the handler has left to do, in the task of the request."""
        try:
            await answering
        except ClientDisconnected:
            return
        except Exception as error:
            self.fail(error)
        finally:
            self.connection.tasks.discard(cast(Any, self.task))
            if not self._complete and not self.disconnected:
                self.connection.transport.close()  # the answer broke off: only so the client knows
