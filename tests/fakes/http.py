"""A server on loopback that says exactly the bytes a test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Request:
    """One request as it came; `connection` counts connections from 1."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


Handler = Callable[[Request, asyncio.StreamWriter], Awaitable[bool | None]]
"""Writes the response; returns True to close the connection after it."""


@dataclass
class HttpServer:
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def http_server(handler: Handler) -> AsyncIterator[HttpServer]:
    """Serves until the block is left; what was asked is in `requests`."""
    state = HttpServer()
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state.connections += 1
        number = state.connections
        writers.add(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                request = await _read_request(reader, number)
                state.requests.append(request)
                if await handler(request, writer):
                    break
                await writer.drain()
        writer.close()
        writers.discard(writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        for writer in writers:
            writer.close()


async def _read_request(reader: asyncio.StreamReader, connection: int) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target, headers, body, connection)


def answer(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    """A whole response with its length."""
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{headers}\r\n".encode() + body


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body; of b"" its end."""
    return b"%x\r\n%s\r\n" % (len(data), data)


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
