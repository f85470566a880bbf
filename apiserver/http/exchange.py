"""One request and its answer on a connection: what the API needs of the HTTP server, and ASGI for the rest.

ASGI sends an answer in two messages with headers one by one. Here the answer of an API request is one write of one
joined buffer, and a chunk that a thousand watchers get is framed once; FastAPI's routes go through uvicorn's own ASGI.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from apiserver.http.types import MAX_BODY_BYTES, ClientDisconnected, Header, Scope, body_too_large

if TYPE_CHECKING:
    from apiserver.http.server import ApiProtocol

JOINED_BYTES = 256 * 1024  # a larger body is written by itself: copying it to its head would cost more than a write

STALL_SECONDS = 60.0  # a client that takes nothing of a stream for so long is cut off

STATUS_LINES = {code: f"HTTP/1.1 {code} {HTTPStatus(code).phrase}\r\n".encode() for code in map(int, HTTPStatus)}


class App(Protocol):
    """What the server serves."""

    def __call__(self, exchange: Exchange) -> Awaitable[None]:
        """Answers the request; raises nothing."""
        ...

    def answer_now(self, exchange: Exchange) -> bool:
        """Answers at once what needs no waiting, without a task; False leaves it to the call."""
        ...


class Exchange(RequestResponseCycle):
    """uvicorn's cycle, made without a scope: that is only built for those who want ASGI."""

    def __init__(
        self, connection: ApiProtocol, method: str, target: bytes, path: str, query_string: bytes, headers: list[Header]
    ) -> None:
        self.connection = connection
        self.method = method
        self.target = target
        """Path and query as the client has encoded them."""
        self.path = path
        self.query_string = query_string
        self.headers = headers
        self.task: asyncio.Task[None] | None = None
        self.on_gone: Callable[[], None] | None = None
        """Called when the client leaves before the answer is complete."""
        super().__init__(
            scope=None,  # type: ignore[arg-type]
            transport=connection.transport,
            flow=connection.flow,
            logger=connection.logger,
            access_logger=connection.logger,
            access_log=False,
            default_headers=[],
            message_event=asyncio.Event(),
            expect_100_continue=connection.expect_100_continue,
            keep_alive=True,
            on_response=connection.on_response_complete,
        )

    @property
    def tls(self) -> dict[str, Any]:
        """The connection's `tls` extension, which stays with it: what is put there is there for its next request."""
        return self.connection.tls

    # Request

    async def read_body(self) -> bytes:
        """The whole body. Raises: RequestEntityTooLarge above MAX_BODY_BYTES, ClientDisconnected."""
        while self.more_body and len(self.body) <= MAX_BODY_BYTES:
            message = await self.receive_more()
            if not message:
                raise ClientDisconnected
        if len(self.body) > MAX_BODY_BYTES:
            self.keep_alive = False
            raise body_too_large()
        return bytes(self.body)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises: ClientDisconnected."""
        while True:
            if self.body:
                piece = bytes(self.body)
                self.body.clear()
                yield piece
            elif not self.more_body:
                return
            elif not await self.receive_more():
                raise ClientDisconnected

    async def receive_more(self) -> bool:
        """Waits until more of the body is there; False when the client has left."""
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        if self.disconnected:
            return False
        self.flow.resume_reading()
        await self.message_event.wait()
        self.message_event.clear()
        return not self.disconnected

    def asgi_scope(self) -> Scope:
        """For an ASGI app, which then uses `receive` and `send`."""
        connection = self.connection
        self.default_headers = [(b"date", connection.date())]
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": connection.server,
            "client": connection.client,
            "scheme": "https",
            "root_path": "",
            "method": self.method,
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": self.query_string,
            "headers": self.headers,
            "state": {},
            "extensions": {"tls": self.tls},
        }
        self.scope = cast(Any, scope)
        return scope

    # Answer

    def respond(self, status: int, headers: bytes, body: bytes) -> None:
        """Sends a whole answer. `headers` are complete lines, beside content-length and date.

        Does not wait for the client to read it: see `drain`.
        """
        if self.disconnected:
            return
        closing = b"" if self.keep_alive else b"connection: close\r\n"
        head = b"%bdate: %b\r\n%b%bcontent-length: %d\r\n\r\n" % (
            STATUS_LINES[status],
            self.connection.date(),
            headers,
            closing,
            len(body),
        )
        self.response_started = True
        if self.method == "HEAD":
            self.transport.write(head)
        elif len(body) <= JOINED_BYTES:
            self.transport.write(head + body)
        else:
            self.transport.write(head)
            self.transport.write(body)
        self._finish()

    def begin(self, status: int, headers: bytes, length: int | None) -> None:
        """Starts an answer in pieces: of `length` bytes in all, or chunked."""
        framing = b"" if length is None else b"content-length: %d\r\n" % length
        self.begin_with(STATUS_LINES[status], headers + framing, chunked=length is None)

    def begin_with(self, status_line: bytes, headers: bytes, *, chunked: bool) -> None:
        """Starts an answer whose headers are all there but for `date` and those of the connection."""
        self.chunked_encoding = chunked
        framing = b"transfer-encoding: chunked\r\n" if chunked else b""
        closing = b"" if self.keep_alive else b"connection: close\r\n"
        date = self.connection.date()
        head = b"%bdate: %b\r\n%b%b%b\r\n" % (status_line, date, headers, closing, framing)
        self.response_started = True
        if not self.disconnected:
            self.transport.write(head)

    def write(self, piece: bytes) -> None:
        """One piece; check `blocked` and `drain` in between."""
        if not self.disconnected and piece and self.method != "HEAD":
            self.transport.write(framed(piece) if self.chunked_encoding else piece)

    def end(self) -> None:
        if not self.disconnected:
            if self.chunked_encoding and self.method != "HEAD":
                self.transport.write(b"0\r\n\r\n")
            self._finish()

    @property
    def blocked(self) -> bool:
        """The client does not read as fast as we write: `drain` before writing more."""
        return self.flow.write_paused

    async def drain(self, seconds: float = STALL_SECONDS) -> None:
        """Waits until the client has read enough. Raises: ClientDisconnected when it does not in so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self.flow.drain()
        except TimeoutError:
            self.abort()
            raise ClientDisconnected from None

    def abort(self) -> None:
        """Cuts the connection: nothing that could still be sent would make sense to the client."""
        self.disconnected = True
        self.transport.abort()

    def _finish(self) -> None:
        self.response_complete = True
        self.on_gone = None
        if not self.keep_alive:
            if self.more_body and not self.waiting_for_100_continue:
                self.connection.linger()
            else:
                self.transport.close()
        self.on_response()

    def gone(self) -> None:
        """The connection is lost."""
        if not self.response_complete:
            self.disconnected = True
            if self.on_gone is not None:
                self.on_gone()

    async def run(self, app: App) -> None:
        """The task of a request."""
        try:
            if self.blocked:  # the client has not read the answers to what it asked before
                await self.drain()
            await app(self)
        except ClientDisconnected:
            return
        finally:
            self.connection.tasks.discard(cast(Any, self.task))
            if not self.response_complete and not self.disconnected:
                self.transport.close()  # the answer broke off: only so the client knows


_last_piece: tuple[bytes, bytes] = (b"", b"")


def framed(piece: bytes) -> bytes:
    """A chunk of chunked encoding. Watchers of one feed get the very same bytes: those are framed once."""
    global _last_piece
    known, chunk = _last_piece
    if known is piece:
        return chunk
    chunk = b"%x\r\n%b\r\n" % (len(piece), piece)
    _last_piece = piece, chunk
    return chunk
