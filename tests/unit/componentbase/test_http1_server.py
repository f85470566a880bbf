"""The HTTP server's connections: slow, endless and malformed heads, pipelining, bodies, and certificates."""

import asyncio
import json
from collections.abc import Awaitable
from typing import Any

import pytest

from apiserver.http.server import error_as_status
from componentbase.net.http1_exchange import BodyTooLarge, HttpExchange
from componentbase.net.http1_server import MAX_HEAD_BYTES, HttpConnection, HttpServer, ServerLimits
from tests.kits.eventually import eventually_async
from tests.kits.process import free_port

GET = b"GET /%d HTTP/1.1\r\nhost: h\r\n\r\n"


class FakeTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.ended = ""
        self.paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += bytes(data)

    def close(self) -> None:
        self.ended = self.ended or "closed"

    def abort(self) -> None:
        self.ended = "aborted"

    def is_closing(self) -> bool:
        return bool(self.ended)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None: ...

    def resume_reading(self) -> None:
        self.paused = False

    def pause_reading(self) -> None:
        self.paused = True


class Waiting:
    """Answers requests when the test says so; `/now` at once."""

    def __init__(self) -> None:
        self.exchanges: list[HttpExchange] = []
        self.goes_on = asyncio.Event()

    def __call__(self, exchange: HttpExchange) -> Awaitable[None] | None:
        if exchange.path == "/now":
            exchange.respond(200, b"", b"now")
            return None
        return self._answer(exchange)

    async def _answer(self, exchange: HttpExchange) -> None:
        self.exchanges.append(exchange)
        await self.goes_on.wait()
        exchange.respond(200, b"", exchange.path.encode())


def connected(handler: Any = None, limits: ServerLimits | None = None) -> tuple[HttpConnection, FakeTransport]:
    server = HttpServer(handler or Waiting(), limits or ServerLimits(), error_as_status)
    transport = FakeTransport()
    connection = HttpConnection(server, asyncio.get_running_loop())
    connection.connection_made(transport)
    return connection, transport


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_head_may_not_be_slow() -> None:
    connection, transport = connected()
    connection.data_received(b"GET / HTTP/1.1\r\nX: ")
    connection.close_if_idle(before=-1.0)
    assert transport.ended == ""
    connection, transport = connected(limits=ServerLimits(head_seconds=-1.0))
    connection.data_received(b"GET / HTTP/1.1\r\nX: ")
    connection.close_if_idle(before=-1.0)
    assert transport.ended == "aborted"


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nX: "])
async def test_a_head_may_not_be_endless(start: bytes) -> None:
    connection, transport = connected(limits=ServerLimits(linger_seconds=0))
    connection.data_received(start)
    for _ in range(MAX_HEAD_BYTES // 65536 + 1):
        connection.data_received(b"a" * 65536)
    head, _, body = transport.sent.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert json.loads(body)["code"] == 431
    for _ in range(10):
        connection.data_received(b"a" * 65536)
    assert transport.sent.count(b"HTTP/1.1") == 1
    kept = len(connection.url) + sum(len(name) + len(value) for name, value in connection.headers)
    assert kept <= MAX_HEAD_BYTES + 65536


async def test_a_chunk_is_framed_once_for_all_that_share_it() -> None:
    server = connected()[0].server
    piece = b"x" * 300
    assert server.chunk(piece) == b"12c\r\n" + piece + b"\r\n"
    assert server.chunk(piece) is server.chunk(piece)
    assert server.chunk(b"y") == b"1\r\ny\r\n"


async def test_pipelined_requests_are_answered_in_order_and_reading_waits() -> None:
    handler = Waiting()
    connection, transport = connected(handler)
    connection.data_received(GET % 1 + GET % 2 + b"GET /now HTTP/1.1\r\nhost: h\r\n\r\n")
    await turns()
    assert [exchange.path for exchange in handler.exchanges] == ["/1"]
    assert transport.paused
    handler.goes_on.set()
    await turns()
    assert [part.rpartition(b"\r\n\r\n")[2] for part in transport.sent.split(b"HTTP/1.1 200 OK\r\n")[1:]] == [
        b"/1",
        b"/2",
        b"now",
    ]
    assert not transport.paused


async def test_all_pipelined_requests_learn_that_the_client_has_left() -> None:
    handler = Waiting()
    connection, _ = connected(handler)
    connection.data_received(GET % 1 + GET % 2)
    await turns()
    connection.connection_lost(None)
    assert handler.exchanges[0].disconnected
    handler.goes_on.set()
    await turns()
    assert len(handler.exchanges) == 1


async def test_what_is_malformed_behind_a_begun_answer_cuts_the_connection() -> None:
    handler = Waiting()
    connection, transport = connected(handler)
    connection.data_received(GET % 1)
    await turns()
    handler.exchanges[0].begin(200, b"", None)
    connection.data_received(b"no HTTP\r\n\r\n")
    assert transport.sent.count(b"HTTP/1.1") == 1
    assert transport.ended == "aborted"


async def test_a_second_answer_is_never_sent() -> None:
    handler = Waiting()
    connection, transport = connected(handler)
    connection.data_received(GET % 1)
    await turns()
    handler.exchanges[0].begin(200, b"", 1000)
    handler.exchanges[0].respond(504, b"", b"late")
    assert b"504" not in transport.sent
    assert transport.ended == "aborted"


async def test_too_long_a_body_is_an_error_of_its_reader() -> None:
    handler = Waiting()
    connection, transport = connected(handler, ServerLimits(max_body_bytes=10))
    connection.data_received(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 70_000)
    await turns()
    assert transport.paused
    with pytest.raises(BodyTooLarge):
        await handler.exchanges[0].read_body()
    assert not handler.exchanges[0].keep_alive


async def test_more_connections_than_allowed_get_a_503() -> None:
    connection, transport = connected(limits=ServerLimits(max_connections=1))
    connection.data_received(GET % 1)
    assert transport.sent.startswith(b"HTTP/1.1 503 ")
    assert b"connection: close\r\n" in transport.sent
    assert transport.ended == "closed"


async def test_bytes_behind_an_upgrade_go_to_whoever_takes_the_connection_over() -> None:
    handler = Waiting()
    connection, transport = connected(handler)
    connection.data_received(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: Upgrade\r\nupgrade: echo\r\n\r\nearly")
    connection.data_received(b" bytes")
    await turns()
    raw = handler.exchanges[0].take_over()
    assert await raw.read() == b"early bytes"
    assert transport.sent == b""


async def test_a_bug_in_a_handler_is_logged_and_answered(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Waiting):
        async def __call__(self, exchange: HttpExchange) -> None:
            raise KeyError("bug")

    connection, transport = connected(Broken())
    connection.data_received(GET % 1)
    await turns()
    assert transport.sent.startswith(b"HTTP/1.1 500 ")
    assert transport.ended == "closed"
    assert "request failed" in caplog.text


async def test_a_bug_in_the_part_of_a_handler_that_does_not_wait_is_not_the_clients_fault() -> None:
    def handler(exchange: HttpExchange) -> None:
        if exchange.path == "/begun":
            exchange.begin(200, b"", None)
        raise KeyError("a bug")

    connection, transport = connected(handler)
    connection.data_received(GET % 1)
    assert transport.sent.startswith(b"HTTP/1.1 500 ")
    connection, transport = connected(handler)
    connection.data_received(b"GET /begun HTTP/1.1\r\nhost: h\r\n\r\n")
    assert transport.sent.startswith(b"HTTP/1.1 200 ")
    assert transport.sent.count(b"HTTP/1.1") == 1
    assert transport.ended == "closed"


async def test_a_bug_of_a_pipelined_request_leaves_the_answer_before_it_whole() -> None:
    waiting = Waiting()

    def handler(exchange: HttpExchange) -> Awaitable[None] | None:
        if exchange.path == "/2":
            raise KeyError("a bug")
        return waiting(exchange)

    connection, transport = connected(handler)
    connection.data_received(GET % 1 + GET % 2)
    waiting.goes_on.set()
    await turns()
    assert transport.sent.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 500 " in transport.sent


async def test_a_server_that_leaves_goes_on_serving_and_then_lets_requests_finish() -> None:
    handler, may_end, left = Waiting(), asyncio.Event(), asyncio.Event()
    server = HttpServer(handler, ServerLimits(drain_seconds=60), error_as_status)
    started = asyncio.Event()

    async def leave() -> None:
        left.set()
        await may_end.wait()

    port = free_port()
    running = asyncio.create_task(server.run("127.0.0.1", port, None, started=started.set, leaving=leave))
    await started.wait()
    running.cancel()
    await left.wait()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET % 1)
    await eventually_async(lambda: handler.exchanges)
    may_end.set()
    await eventually_async(lambda: refuses(port))
    assert not running.done()
    handler.goes_on.set()
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close\r\n" in answer
    assert answer.endswith(b"/1")
    await asyncio.wait({running})
    writer.close()


async def refuses(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return True
    writer.close()
    return False
