"""Docker's long answers over its Unix socket: logs, events, pulls, exec and attach, without a thread waiting on each.

The SDK blocks, so a followed log would hold a thread for as long as someone reads. This speaks just enough HTTP/1.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from kubelet.runtime.interface import EngineError, NotFound, RuntimeUnavailable, StreamName

API_VERSION = "v1.41"
READ_SIZE = 64 * 1024  # bytes; also what a connection buffers before the engine has to wait
MAX_ANSWER_BYTES = 16 * 1024 * 1024  # of an answer that is read whole
MAX_ERROR_BYTES = 64 * 1024
CONNECT_SECONDS = 10.0
CLOSE_SECONDS = 1.0

_STREAMS: Mapping[int, StreamName] = {0: "stdout", 1: "stdout", 2: "stderr"}
_BROKEN = (OSError, EOFError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError)


class Answer:
    """An answer whose head has arrived. Close it in a `finally`."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: int, headers: Mapping[str, str]
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.status = status
        self._headers = headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises: RuntimeUnavailable when the connection breaks before its end."""
        try:
            if self.status == 101 or "tcp" in self._headers.get("upgrade", ""):
                read = self._rest
            elif self._headers.get("transfer-encoding") == "chunked":
                read = self._chunked
            else:
                read = self._sized if "content-length" in self._headers else self._rest
            async for data in read():
                yield data
        except _BROKEN as error:
            raise RuntimeUnavailable(f"connection to the container runtime broke: {error}") from None

    async def _rest(self) -> AsyncIterator[bytes]:
        while data := await self.reader.read(READ_SIZE):
            yield data

    async def _sized(self) -> AsyncIterator[bytes]:
        left = int(self._headers["content-length"])
        while left:
            data = await self.reader.read(min(left, READ_SIZE))
            if not data:
                raise EOFError("the answer is cut short")
            left -= len(data)
            yield data

    async def _chunked(self) -> AsyncIterator[bytes]:
        while size := await self._chunk_size():
            while size:
                data = await self.reader.read(min(size, READ_SIZE))
                if not data:
                    raise EOFError("the answer is cut short")
                size -= len(data)
                yield data
            await self.reader.readexactly(2)
        await self.reader.readline()

    async def _chunk_size(self) -> int:
        line = await self.reader.readline()
        if not line:
            raise EOFError("closed by the other side")
        return int(line.split(b";")[0], 16)

    async def whole(self, limit: int = MAX_ANSWER_BYTES) -> bytes:
        """The body; raises EngineError when it is longer than `limit`."""
        body = bytearray()
        async for data in self.chunks():
            body += data
            if len(body) > limit:
                raise EngineError("the container runtime's answer is too long")
        return bytes(body)

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(self.writer.wait_closed(), CLOSE_SECONDS)


class EngineStreams:
    """One connection per request, to the engine at a Unix socket."""

    def __init__(self, socket_path: str) -> None:
        self._socket_path = socket_path

    async def open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        upgrade: bool = False,
    ) -> Answer:
        """Sends a request and reads the answer's head.

        Raises: NotFound for 404, RuntimeUnavailable, else EngineError with the engine's message.
        """
        head, data = _request(method, path, query, body, headers, upgrade)
        writer = None
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await asyncio.open_unix_connection(self._socket_path, limit=READ_SIZE)
            if _is_lost(writer):
                raise ConnectionResetError("closed by the other side")
            writer.write(head + data)
            await writer.drain()
            status, answer_headers = await _read_head(reader)
        except (*_BROKEN, TimeoutError) as error:
            if writer is not None:
                writer.close()
            raise RuntimeUnavailable(f"cannot connect to the container runtime: {error}") from None
        except BaseException:
            if writer is not None:
                writer.close()
            raise
        answer = Answer(reader, writer, status, answer_headers)
        if status < 400:
            return answer
        try:
            message = _error_message(await answer.whole(MAX_ERROR_BYTES))
        finally:
            await answer.close()
        raise (NotFound if status == 404 else EngineError)(message or f"the container runtime answered {status}")

    async def json(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> Any:
        """A short answer, decoded; None without a body."""
        answer = await self.open(method, path, query, body)
        try:
            text = await answer.whole()
        finally:
            await answer.close()
        return _decoded(text) if text.strip() else None

    async def json_lines(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Any]:
        """Connected on return; then yields each document as it comes."""
        return _read_documents(await self.open(method, path, query, headers=headers))


async def _read_documents(answer: Answer) -> AsyncIterator[Any]:
    rest = b""
    try:
        async for data in answer.chunks():
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if line.strip():
                    yield _decoded(line)
            if len(rest) > MAX_ANSWER_BYTES:
                raise EngineError("a line of the container runtime's answer is too long")
        if rest.strip():
            yield _decoded(rest)
    finally:
        await answer.close()


def _decoded(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise EngineError(f"the container runtime's answer is no JSON: {error}") from None


def _request(
    method: str,
    path: str,
    query: Mapping[str, str] | None,
    body: Mapping[str, Any] | None,
    headers: Mapping[str, str] | None,
    upgrade: bool,
) -> tuple[bytes, bytes]:
    data = json.dumps(body).encode() if body is not None else b""
    fields = {"Host": "docker", "Content-Length": str(len(data)), **(headers or {})}
    if body is not None:
        fields["Content-Type"] = "application/json"
    fields |= {"Connection": "Upgrade", "Upgrade": "tcp"} if upgrade else {"Connection": "close"}
    target = f"/{API_VERSION}{quote(path)}" + (f"?{urlencode(query)}" if query else "")
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode(), data


async def _read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """Status and headers, lower case. Raises: what is in _BROKEN."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status_line, *lines = head.strip().split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip().lower() for name, _, value in pairs}
    return int(status_line.partition(" ")[2].partition(" ")[0]), headers


def _is_lost(writer: asyncio.StreamWriter) -> bool:
    """Whether to write now would be an error that is no OSError: uvloop takes it for one of the program's."""
    return writer.transport.is_closing()


def _error_message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip()


async def demultiplex(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[StreamName, bytes]]:
    """Splits the engine's frames (stream, three zeros, length, data) of containers without a tty."""
    buffer = bytearray()
    async for data in chunks:
        buffer += data
        while len(buffer) >= 8:
            size = int.from_bytes(buffer[4:8], "big")
            if len(buffer) < 8 + size:
                break
            yield _STREAMS.get(buffer[0], "stderr"), bytes(buffer[8 : 8 + size])
            del buffer[: 8 + size]


async def as_stdout(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[StreamName, bytes]]:
    """With a tty there are no frames and only one stream."""
    async for data in chunks:
        yield "stdout", data


class HijackedSession:
    """An exec or attach: after the head, the connection carries the process' streams."""

    def __init__(
        self,
        answer: Answer,
        *,
        tty: bool,
        resize: Callable[[int, int], Awaitable[None]],
        exit_code: Callable[[], Awaitable[int | None]],
        ends_stdin: bool = True,
    ) -> None:
        self._answer = answer
        self._ends_stdin = ends_stdin
        self._tty = tty
        self._resize = resize
        self._exit_code = exit_code

    async def write(self, data: bytes) -> None:
        writer = self._answer.writer
        with contextlib.suppress(OSError):
            if not _is_lost(writer):
                writer.write(data)
                await writer.drain()

    async def close_stdin(self) -> None:
        writer = self._answer.writer
        with contextlib.suppress(OSError):
            if self._ends_stdin and not _is_lost(writer):
                writer.write_eof()

    async def output(self) -> AsyncIterator[tuple[StreamName, bytes]]:
        split = as_stdout if self._tty else demultiplex
        async for item in split(self._answer.chunks()):
            yield item

    async def resize(self, width: int, height: int) -> None:
        await self._resize(width, height)

    async def exit_code(self) -> int | None:
        return await self._exit_code()

    async def close(self) -> None:
        await self._answer.close()
