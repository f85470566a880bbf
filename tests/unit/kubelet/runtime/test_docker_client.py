"""The engine's client: answers that last are read by the event loop from the SDK's own sockets."""

from __future__ import annotations

import asyncio
import fcntl
import json
import sys
import termios
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kubelet.runtime.docker.client import EngineClient, EngineConflict
from kubelet.runtime.docker.sessions import demultiplex
from kubelet.runtime.interface import EngineError, EngineNotFound, RuntimeUnavailable
from tests.fakes.clock import idle
from tests.kits.eventually import eventually_async


async def _chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.mark.parametrize("size", [1, 3, 7, 100])
async def test_frames_are_put_together_however_they_arrive(size: int) -> None:
    data = b"\x01\0\0\0\0\0\0\x03out" + b"\x02\0\0\0\0\0\0\x05error" + b"\x01\0\0\0\0\0\0\0"
    parts = [data[start : start + size] for start in range(0, len(data), size)]

    assert [item async for item in demultiplex(_chunks(*parts))] == [
        ("stdout", b"out"),
        ("stderr", b"error"),
        ("stdout", b""),
    ]


def unread_bytes(writer: asyncio.StreamWriter) -> int:
    """What the other end of a Unix socket has not read yet; 0 also when it has closed."""
    return int.from_bytes(fcntl.ioctl(writer.get_extra_info("socket"), termios.TIOCOUTQ, bytes(4)), sys.byteorder)


class Engine:
    """Answers each connection on a Unix socket with the same bytes, piece by piece."""

    def __init__(self, path: Path, *answer: bytes) -> None:
        self.path = str(path)
        self.answer = answer
        self.requests: list[bytes] = []

    async def __aenter__(self) -> EngineClient:
        self._server = await asyncio.start_unix_server(self._serve, self.path)
        self._client = EngineClient(f"unix://{self.path}")
        return self._client

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        for piece in self.answer:
            writer.write(piece)
            await writer.drain()
            await eventually_async(lambda: not unread_bytes(writer), "the client has read the piece")
        writer.close()


async def read(client: EngineClient, path: str = "/x", params: dict[str, str] | None = None) -> bytes:
    stream = await client.open("GET", path, params=params)
    try:
        return b"".join([part async for part in stream.chunks()])
    finally:
        await stream.close()


OK = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\n"
DOCUMENT = b'{"a": 1}'
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        (OK + b"Content-Length: 8\r\n\r\n" + DOCUMENT,),
        (OK + b"Content-Length: 8\r\n\r\n", DOCUMENT[:3], DOCUMENT[3:]),
        (OK + CHUNKED + b"3\r\n" + DOCUMENT[:3] + b"\r\n5;x=y\r\n" + DOCUMENT[3:] + b"\r\n0\r\n\r\n",),
        (OK + CHUNKED, b"3\r\n" + DOCUMENT[:3] + b"\r", b"\n5\r\n" + DOCUMENT[3:], b"\r\n0\r\n\r\n"),
        (OK + b"\r\n" + DOCUMENT,),
        (OK + b"\r\n", DOCUMENT),
        (b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n" + DOCUMENT[:2], DOCUMENT[2:]),
    ],
)
async def test_bodies_with_a_length_in_chunks_and_until_the_end(tmp_path: Path, answer: tuple[bytes, ...]) -> None:
    engine = Engine(tmp_path / "e.sock", *answer)
    async with engine as client:
        assert await read(client, "/x y", {"filters": '{"a":["b"]}'}) == DOCUMENT
    assert engine.requests[0].startswith(b"GET /v1.41/x%20y?filters=%7B%22a%22%3A%5B%22b%22%5D%7D HTTP/1.1\r\n")


@pytest.mark.parametrize(("oldest", "spoken"), [("1.12", b"1.41"), ("1.41", b"1.41"), ("1.44", b"1.44"), ("", b"1.41")])
async def test_an_engine_that_no_longer_speaks_our_version_hears_its_oldest(
    tmp_path: Path, oldest: str, spoken: bytes
) -> None:
    answer = json.dumps({"ApiVersion": "1.52", "MinAPIVersion": oldest}).encode()
    engine = Engine(tmp_path / "e.sock", OK + b"Content-Length: %d\r\n\r\n" % len(answer) + answer)
    async with engine as client:
        await client.negotiate()
        await read(client)
        await client.call(client.sdk.inspect_container, "c")
    paths = [request.split()[1] for request in engine.requests]
    assert paths == [b"/version", b"/v%b/x" % spoken, b"/v%b/containers/c/json" % spoken]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        OK + b"Content-Length: 9\r\n\r\nshort",
        OK + CHUNKED + b"5\r\nab",
        OK + CHUNKED,
        OK + CHUNKED + b"nonsense\r\n",
        b"nonsense\r\n\r\n",
    ],
)
async def test_an_answer_that_breaks_off_is_unavailable(tmp_path: Path, answer: bytes) -> None:
    async with Engine(tmp_path / "e.sock", answer) as client:
        with pytest.raises(RuntimeUnavailable):
            await read(client)


async def test_an_engine_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    client = EngineClient(f"unix://{tmp_path / 'nobody.sock'}")
    with pytest.raises(RuntimeUnavailable, match="cannot connect to the container runtime"):
        await read(client)
    with pytest.raises(RuntimeUnavailable, match="cannot connect to the container runtime"):
        await client.call(client.sdk.ping)
    await client.close()


@pytest.mark.parametrize(("status", "error"), [(404, EngineNotFound), (409, EngineConflict), (500, EngineError)])
async def test_refusals_carry_the_engines_message(tmp_path: Path, status: int, error: type[Exception]) -> None:
    body = json.dumps({"message": "no such thing"}).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    async with Engine(tmp_path / "e.sock", head + body) as client:
        with pytest.raises(error, match="no such thing"):
            await read(client)
        with pytest.raises(error, match="no such thing"):
            await client.call(client.sdk.inspect_container, "c")


async def test_documents_are_yielded_line_by_line(tmp_path: Path) -> None:
    async with Engine(tmp_path / "e.sock", OK + b'\r\n{"a":1}\n\n{"b"', b":2}") as client:
        documents = await client.documents("GET", "/events")
        assert [document async for document in documents] == [{"a": 1}, {"b": 2}]


async def test_a_call_that_is_cancelled_is_waited_out_and_leaves_no_socket(tmp_path: Path) -> None:
    answers = asyncio.Event()
    asked: list[bytes] = []
    ended: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        await answers.wait()
        writer.write(OK + b"\r\n")
        await reader.read()
        ended.append("the client's socket")
        writer.close()

    server = await asyncio.start_unix_server(serve, str(tmp_path / "e.sock"))
    async with server:
        client = EngineClient(f"unix://{tmp_path / 'e.sock'}")
        opening = asyncio.create_task(client.open("GET", "/events"))
        await eventually_async(lambda: asked)
        opening.cancel()
        await idle()
        assert not opening.done()
        answers.set()
        await asyncio.wait((opening,))
        assert opening.cancelled()
        await eventually_async(lambda: ended)
        await client.close()
