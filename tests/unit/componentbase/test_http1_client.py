"""The HTTP transport: keep-alive, bounds, streams, and what a broken connection means."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from componentbase.net.http1_client import Transport
from tests.fakes.http import CHUNKED, Handler, HttpServer, Request, answer, chunk, http_server

GET = b"GET /x HTTP/1.1\r\nhost: h\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nhi"


def with_server(handler: Handler, test: Callable[[HttpServer, Transport], Awaitable[None]], **options: int) -> None:
    async def main() -> None:
        async with http_server(handler) as server:
            transport = Transport("127.0.0.1", server.port, **options)  # type: ignore[arg-type]
            async with asyncio.timeout(20):
                await test(server, transport)
            await transport.aclose()

    asyncio.run(main())


async def say_ok(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(answer(b"ok"))


def test_requests_in_a_row_share_one_connection() -> None:
    async def test(server: HttpServer, transport: Transport) -> None:
        for _ in range(3):
            response = await transport.exchange(b"GET", GET)
            assert (response.status, response.body) == (200, b"ok")
        assert server.connections == 1

    with_server(say_ok, test)


def test_no_more_connections_than_allowed_and_everyone_is_served() -> None:
    async def test(server: HttpServer, transport: Transport) -> None:
        responses = await asyncio.gather(*(transport.exchange(b"POST", POST) for _ in range(20)))
        assert [response.body for response in responses] == [b"ok"] * 20
        assert server.connections <= 2

    async def slow(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.002)
        writer.write(answer(b"ok"))

    with_server(slow, test, max_connections=2)


def test_a_waiter_that_gives_up_does_not_take_a_connection_with_it() -> None:
    gate = asyncio.Event()

    async def gated(request: Request, writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        writer.write(answer(b"ok"))

    async def test(server: HttpServer, transport: Transport) -> None:
        first = asyncio.ensure_future(transport.exchange(b"GET", GET))
        second = asyncio.ensure_future(transport.exchange(b"GET", GET))
        await asyncio.sleep(0.01)
        second.cancel()
        gate.set()
        assert (await first).body == b"ok"
        assert (await transport.exchange(b"GET", GET)).body == b"ok"

    with_server(gated, test, max_connections=1)


def test_a_cancelled_request_frees_its_place_and_closes_its_connection() -> None:
    async def silent_once(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.connection > 1:
            writer.write(answer(b"ok"))

    async def test(server: HttpServer, transport: Transport) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await transport.exchange(b"GET", GET)
        assert (await transport.exchange(b"GET", GET)).body == b"ok"
        assert server.connections == 2

    with_server(silent_once, test, max_connections=1)


def test_silence_is_a_timeout_error() -> None:
    async def silent(request: Request, writer: asyncio.StreamWriter) -> None:
        pass

    async def test(server: HttpServer, transport: Transport) -> None:
        with pytest.raises(TimeoutError, match="no answer within"):
            await transport.exchange(b"GET", GET, 0.05)

    with_server(silent, test)


async def close_after_first(request: Request, writer: asyncio.StreamWriter) -> bool:
    """Answers the first request of a connection as if to keep it alive, and closes at the second."""
    if getattr(writer, "answered", False):
        return True
    writer.answered = True  # type: ignore[attr-defined]
    writer.write(answer(b"ok"))
    return False


def test_a_get_on_a_stale_connection_is_sent_again() -> None:
    async def test(server: HttpServer, transport: Transport) -> None:
        await transport.exchange(b"GET", GET)
        assert (await transport.exchange(b"GET", GET)).body == b"ok"
        assert [request.connection for request in server.requests] == [1, 1, 2]

    with_server(close_after_first, test)


def test_a_post_on_a_stale_connection_is_not_sent_again() -> None:
    async def test(server: HttpServer, transport: Transport) -> None:
        await transport.exchange(b"GET", GET)
        with pytest.raises(ConnectionError):
            await transport.exchange(b"POST", POST)
        assert len(server.requests) == 2
        assert (await transport.exchange(b"POST", POST)).body == b"ok"

    with_server(close_after_first, test)


def test_a_connection_that_the_server_closes_is_not_used_again() -> None:
    async def closing(request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(answer(b"ok", headers="connection: close\r\n"))
        return True

    async def test(server: HttpServer, transport: Transport) -> None:
        for _ in range(3):
            assert (await transport.exchange(b"POST", POST)).body == b"ok"
        assert server.connections == 3

    with_server(closing, test)


def test_a_cut_body_is_a_connection_error() -> None:
    async def cut(request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
        return True

    async def test(server: HttpServer, transport: Transport) -> None:
        with pytest.raises(ConnectionError):
            await transport.exchange(b"GET", GET)

    with_server(cut, test)


def test_a_body_without_length_ends_with_the_connection() -> None:
    async def until_close(request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        return True

    async def test(server: HttpServer, transport: Transport) -> None:
        assert (await transport.exchange(b"GET", GET)).body == b"all of it"

    with_server(until_close, test)


def test_what_is_no_http_is_a_connection_error() -> None:
    async def garbage(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n")

    async def test(server: HttpServer, transport: Transport) -> None:
        with pytest.raises(ConnectionError, match="malformed"):
            await transport.exchange(b"GET", GET)

    with_server(garbage, test)


def test_nobody_listening_is_a_refused_connection() -> None:
    async def main() -> None:
        async with http_server(say_ok) as server:
            port = server.port
        with pytest.raises(ConnectionRefusedError, match="refused"):
            await Transport("127.0.0.1", port).exchange(b"GET", GET)

    asyncio.run(main())


def test_a_stream_gives_chunks_as_they_come_and_ends() -> None:
    gate = asyncio.Event()

    async def stream(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + chunk(b"one"))
        await gate.wait()
        writer.write(chunk(b"two") + chunk(b""))

    async def test(server: HttpServer, transport: Transport) -> None:
        raw = await transport.open_stream(GET)
        assert await raw.next_chunk() == b"one"
        gate.set()
        assert [part async for part in raw] == [b"two"]

    with_server(stream, test)


def test_a_stream_that_breaks_raises_after_what_had_come() -> None:
    async def broken(request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(CHUNKED + chunk(b"one"))
        await writer.drain()
        return True

    async def test(server: HttpServer, transport: Transport) -> None:
        raw = await transport.open_stream(GET)
        assert await raw.next_chunk() == b"one"
        with pytest.raises(ConnectionError):
            await raw.next_chunk()

    with_server(broken, test)


def test_streams_do_not_count_against_the_bound() -> None:
    async def stream_or_ok(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED if request.target == "/watch" else answer(b"ok"))

    async def test(server: HttpServer, transport: Transport) -> None:
        streams = [await transport.open_stream(b"GET /watch HTTP/1.1\r\nhost: h\r\n\r\n") for _ in range(5)]
        assert (await transport.exchange(b"GET", GET)).body == b"ok"
        for stream in streams:
            stream.close()

    with_server(stream_or_ok, test, max_connections=1)


def test_a_slow_reader_stops_the_sender_and_loses_nothing() -> None:
    part = b"x" * 65536

    async def big(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        for _ in range(100):
            writer.write(chunk(part))
            await writer.drain()
        writer.write(chunk(b""))

    async def test(server: HttpServer, transport: Transport) -> None:
        raw = await transport.open_stream(GET)
        total = 0
        while data := await raw.next_chunk():
            assert len(data) < 3 * 1024 * 1024
            total += len(data)
            await asyncio.sleep(0.001)
        assert total == 100 * len(part)

    with_server(big, test)


def test_it_serves_httpx_clients() -> None:
    async def echo(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(request.method.encode() + b" " + request.target.encode() + b" " + request.body))

    async def test(server: HttpServer, transport: Transport) -> None:
        async with httpx.AsyncClient(transport=transport, base_url=server.url) as client:
            response = await client.put("/a", params={"b": "c"}, content=b"body")
            assert response.text == "PUT /a?b=c body"

    with_server(echo, test)
