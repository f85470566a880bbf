"""A request to another server, a kubelet or what runs in a pod, whose answer is passed on as it comes."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

import httptools

CONNECT_SECONDS = 10.0
MAX_HEAD_BYTES = 64 * 1024
CHUNK_BYTES = 64 * 1024  # read at once; a slow client makes the other server wait
IDLE_SECONDS = 4 * 3600.0  # a stream that nobody reads, or that carries nothing, is ended after this
BODYLESS = frozenset({204, 304})


class Unreachable(Exception):
    """The other server can't be reached or does not speak HTTP; the text says why."""


class BrokenOff(Exception):
    """The connection broke in the middle of an answer."""


async def connect(
    host: str, port: int, context: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Raises: Unreachable."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return await asyncio.open_connection(host, port, ssl=context, limit=MAX_HEAD_BYTES)
    except TimeoutError:
        raise Unreachable("connection timed out") from None
    except OSError as error:  # refused, no route, a certificate that does not verify
        raise Unreachable(str(error)) from None


async def read_answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, seconds: float | None = None, head_only: bool = False
) -> BackendAnswer:
    """Returns once the head is there; answers that only announce the real one are passed over.

    `head_only` is for the answer to a HEAD. Raises: Unreachable, with the connection closed; TimeoutError likewise.
    """
    try:
        async with asyncio.timeout(seconds):
            while True:
                answer = BackendAnswer(await reader.readuntil(b"\r\n\r\n"), reader, writer, head_only=head_only)
                if answer.status >= 200 or answer.status == 101:
                    return answer
    except TimeoutError:
        writer.close()
        raise
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, httptools.HttpParserError) as error:
        writer.close()
        raise Unreachable(_reason(error)) from None
    except BaseException:
        writer.close()
        raise


def _reason(error: Exception) -> str:
    if isinstance(error, asyncio.IncompleteReadError):
        return "EOF"
    if isinstance(error, asyncio.LimitOverrunError):
        return "the head of its answer is too long"
    return str(error)


class BackendAnswer:
    """An answer whose body is read as it comes; close it."""

    def __init__(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, head_only: bool = False
    ) -> None:
        """Raises: httptools.HttpParserError."""
        self.head = head
        self.reader = reader
        self.writer = writer
        self.headers: list[tuple[bytes, bytes]] = []
        self._chunks: list[bytes] = []
        self._ended = False
        self._parser = httptools.HttpResponseParser(self)
        with contextlib.suppress(httptools.HttpParserUpgrade):
            self._parser.feed_data(head)
        self.status: int = self._parser.get_status_code()
        self._until_closed = not any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers)
        if head_only or self.status in BODYLESS:
            self._ended = True

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)

    def on_message_complete(self) -> None:
        self._ended = True

    def header(self, name: bytes) -> bytes:
        return next((value for key, value in self.headers if key == name), b"")

    async def next_chunk(self) -> bytes:
        """b"" at the end. Raises: BrokenOff when the connection ends before the answer does."""
        while not self._chunks:
            if self._ended:
                return b""
            try:
                data = await self.reader.read(CHUNK_BYTES)
                if data:
                    self._parser.feed_data(data)
                elif self._until_closed:
                    self._ended = True
                else:
                    raise BrokenOff
            except (OSError, httptools.HttpParserError):
                raise BrokenOff from None
        chunk = b"".join(self._chunks)
        self._chunks.clear()
        return chunk

    def __aiter__(self) -> BackendAnswer:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self.next_chunk()
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def text(self, limit: int) -> bytes:
        """The body, or as much of it as comes, up to about `limit`; closes the connection."""
        body = b""
        with contextlib.suppress(BrokenOff):
            while len(body) < limit and (chunk := await self.next_chunk()):
                body += chunk
        self.close()
        return body

    def close(self) -> None:
        self.writer.close()
