"""The HTTP client: keep-alive, bounds, streams, and what a broken connection means."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from componentbase.net.http1_client import MAX_HEAD_BYTES, request_head
from componentbase.net.http1_pool import Http1Client
from tests.fakes.http import CHUNKED, Handler, HttpServer, Request, answer, chunk, http_server
from tests.kits.eventually import eventually_async

GET = b"GET /x HTTP/1.1\r\nhost: h\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nhi"


Connect = Callable[..., Awaitable[tuple[HttpServer, Http1Client]]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Starts a server with the given handler, and gives it with a client of it."""
    async with AsyncExitStack() as stack:

        async def connect(handler: Handler, **options: int) -> tuple[HttpServer, Http1Client]:
            server = await stack.enter_async_context(http_server(handler))
            client = Http1Client("127.0.0.1", server.port, **options)  # type: ignore[arg-type]
            stack.push_async_callback(client.aclose)
            return server, client

        yield connect


async def say_ok(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(answer(b"ok"))


async def test_requests_in_a_row_share_one_connection(connect: Connect) -> None:
    server, client = await connect(say_ok)
    for _ in range(3):
        response = await client.exchange(b"GET", GET)
        assert (response.status, response.body) == (200, b"ok")
    assert server.connections == 1


async def test_no_more_connections_than_allowed_and_everyone_is_served(connect: Connect) -> None:
    pair = asyncio.Barrier(2)

    async def both_at_work(request: Request, writer: asyncio.StreamWriter) -> None:
        await pair.wait()
        writer.write(answer(b"ok"))

    server, client = await connect(both_at_work, max_connections=2)
    responses = await asyncio.gather(*(client.exchange(b"POST", POST) for _ in range(20)))
    assert [response.body for response in responses] == [b"ok"] * 20
    assert server.connections == 2


async def test_a_waiter_that_gives_up_does_not_take_a_connection_with_it(connect: Connect) -> None:
    gate = asyncio.Event()

    async def gated(request: Request, writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        writer.write(answer(b"ok"))

    server, client = await connect(gated, max_connections=1)
    first = asyncio.ensure_future(client.exchange(b"GET", GET))
    second = asyncio.ensure_future(client.exchange(b"GET", GET))
    await eventually_async(lambda: server.requests)  # the first's, so the second has come to wait for its connection
    second.cancel()
    gate.set()
    assert (await first).body == b"ok"
    assert (await client.exchange(b"GET", GET)).body == b"ok"


async def test_a_cancelled_request_frees_its_place_and_closes_its_connection(connect: Connect) -> None:
    async def silent_once(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.connection > 1:
            writer.write(answer(b"ok"))

    server, client = await connect(silent_once, max_connections=1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.exchange(b"GET", GET)
    assert (await client.exchange(b"GET", GET)).body == b"ok"
    assert server.connections == 2


async def test_silence_is_a_timeout_error(connect: Connect) -> None:
    async def silent(request: Request, writer: asyncio.StreamWriter) -> None:
        pass

    _server, client = await connect(silent)
    with pytest.raises(TimeoutError, match="no answer within"):
        await client.exchange(b"GET", GET, 0.05)


async def close_after_first(request: Request, writer: asyncio.StreamWriter) -> bool:
    """Answers the first request of a connection as if to keep it alive, and closes at the second."""
    if getattr(writer, "answered", False):
        return True
    writer.answered = True  # type: ignore[attr-defined]
    writer.write(answer(b"ok"))
    return False


async def test_a_get_on_a_stale_connection_is_sent_again(connect: Connect) -> None:
    server, client = await connect(close_after_first)
    await client.exchange(b"GET", GET)
    assert (await client.exchange(b"GET", GET)).body == b"ok"
    assert [request.connection for request in server.requests] == [1, 1, 2]


async def test_a_post_on_a_stale_connection_is_not_sent_again(connect: Connect) -> None:
    server, client = await connect(close_after_first)
    await client.exchange(b"GET", GET)
    with pytest.raises(ConnectionError):
        await client.exchange(b"POST", POST)
    assert len(server.requests) == 2
    assert (await client.exchange(b"POST", POST)).body == b"ok"


async def test_a_connection_that_the_server_closes_is_not_used_again(connect: Connect) -> None:
    async def closing(request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(answer(b"ok", headers="connection: close\r\n"))
        return True

    server, client = await connect(closing)
    for _ in range(3):
        assert (await client.exchange(b"POST", POST)).body == b"ok"
    assert server.connections == 3


async def test_a_cut_body_is_a_connection_error(connect: Connect) -> None:
    async def cut(request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
        return True

    _server, client = await connect(cut)
    with pytest.raises(ConnectionError):
        await client.exchange(b"GET", GET)


async def test_a_body_without_length_ends_with_the_connection(connect: Connect) -> None:
    async def until_close(request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        return True

    _server, client = await connect(until_close)
    assert (await client.exchange(b"GET", GET)).body == b"all of it"


async def test_what_is_no_http_is_a_connection_error(connect: Connect) -> None:
    async def garbage(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n")

    _server, client = await connect(garbage)
    with pytest.raises(ConnectionError, match="malformed"):
        await client.exchange(b"GET", GET)


async def test_nobody_listening_is_a_refused_connection() -> None:
    async with http_server(say_ok) as server:
        port = server.port
    with pytest.raises(ConnectionRefusedError, match="refused"):
        await Http1Client("127.0.0.1", port).exchange(b"GET", GET)


async def test_a_stream_gives_chunks_as_they_come_and_ends(connect: Connect) -> None:
    gate = asyncio.Event()

    async def stream(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + chunk(b"one"))
        await gate.wait()
        writer.write(chunk(b"two") + chunk(b""))

    _server, client = await connect(stream)
    raw = await client.open_stream(GET)
    assert await raw.next_chunk() == b"one"
    gate.set()
    assert [part async for part in raw] == [b"two"]


async def test_a_stream_that_breaks_raises_after_what_had_come(connect: Connect) -> None:
    async def broken(request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(CHUNKED + chunk(b"one"))
        await writer.drain()
        return True

    _server, client = await connect(broken)
    raw = await client.open_stream(GET)
    assert await raw.next_chunk() == b"one"
    with pytest.raises(ConnectionError):
        await raw.next_chunk()


async def test_retired_connections_serve_no_other_request(connect: Connect) -> None:
    at_work, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(request: Request, writer: asyncio.StreamWriter) -> None:
        at_work.set()
        await go_on.wait()
        writer.write(answer(b"ok"))

    server, client = await connect(slowly)
    under_way = asyncio.ensure_future(client.exchange(b"GET", GET))
    await at_work.wait()
    client.retire()
    go_on.set()
    assert (await under_way).body == b"ok"
    await client.exchange(b"GET", GET)
    assert server.connections == 2
    client.retire()  # this time while it is idle
    await client.exchange(b"GET", GET)
    assert server.connections == 3


async def test_retiring_ends_streams(connect: Connect) -> None:
    async def endless(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + chunk(b"one"))
        await asyncio.Event().wait()

    _, client = await connect(endless)
    stream = await client.open_stream(GET)
    assert await stream.next_chunk() == b"one"
    client.retire()
    with pytest.raises(ConnectionError):
        await stream.next_chunk()


async def test_streams_do_not_count_against_the_bound(connect: Connect) -> None:
    async def stream_or_ok(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED if request.target == "/watch" else answer(b"ok"))

    _server, client = await connect(stream_or_ok, max_connections=1)
    streams = [await client.open_stream(b"GET /watch HTTP/1.1\r\nhost: h\r\n\r\n") for _ in range(5)]
    assert (await client.exchange(b"GET", GET)).body == b"ok"
    for stream in streams:
        stream.close()


async def test_a_slow_reader_stops_the_sender_and_loses_nothing(connect: Connect) -> None:
    part = b"x" * 65536
    sent = 0

    async def big(request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(CHUNKED)
        for _ in range(500):
            writer.write(chunk(part))
            await writer.drain()
            sent += 1
        writer.write(chunk(b""))

    async def sender_stands_still() -> bool:
        before = sent
        for _ in range(100):  # turns of the loop, in each of which it could have sent something
            await asyncio.sleep(0)
        return 0 < sent == before

    _server, client = await connect(big)
    raw = await client.open_stream(GET)
    await eventually_async(sender_stands_still)
    assert sent < 500
    total = 0
    while data := await raw.next_chunk():
        assert len(data) < 3 * 1024 * 1024
        total += len(data)
    assert total == 500 * len(part)


async def test_an_endless_head_is_a_connection_error(connect: Connect) -> None:
    async def endless(request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(3 * MAX_HEAD_BYTES // 1024):
            writer.write(b"x-%d: " % number + b"x" * 1024 + b"\r\n")
        await writer.drain()
        return False

    _server, client = await connect(endless)
    with pytest.raises(ConnectionError, match="too long"):
        await client.exchange(b"GET", GET)


async def test_an_upgraded_connection_is_handed_over_with_what_came_behind_the_head(connect: Connect) -> None:
    async def switch(request: Request, writer: asyncio.StreamWriter) -> None:
        assert request.headers["upgrade"] == "echo"
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: echo\r\n\r\nearly")

    _server, client = await connect(switch)
    headers = [(b"host", b"h"), (b"connection", b"Upgrade"), (b"upgrade", b"echo")]
    stream = await client.open_stream(request_head("GET", b"/x", headers), may_switch=True)
    assert (stream.status, stream.header(b"upgrade")) == (101, b"echo")
    raw = stream.take_over()
    assert await raw.read() == b"early"
    raw.close()


async def test_a_server_may_not_switch_unasked(connect: Connect) -> None:
    async def switch(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: echo\r\n\r\n")

    _server, client = await connect(switch)
    with pytest.raises(ConnectionError, match="unasked"):
        await client.open_stream(GET)


async def test_a_unix_socket_is_a_host_with_a_slash(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(b"ok"))

    async with await asyncio.start_unix_server(serve, tmp_path / "engine.sock"):
        client = Http1Client(str(tmp_path / "engine.sock"))
        assert (await client.exchange(b"GET", GET)).body == b"ok"
        await client.aclose()
