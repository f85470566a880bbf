"""The pipeline's own failures, on connections without a socket."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

from apiserver.auth.authorization.authorizer import AlwaysAllow
from apiserver.http.server import http_server
from apiserver.pipeline.inflight import InFlight
from apiserver.pipeline.metrics import RequestMetrics
from apiserver.pipeline.pipeline import Pipeline
from apiserver.pipeline.routes import Route
from apiserver.proxy.forward import Backend, forward
from apiserver.request.message import Answer, Request, Stream
from apiserver.request.user import ANONYMOUS, User
from componentbase.net.http1_server import HttpConnection
from tests.unit.componentbase.test_http1_server import FakeTransport, turns

GET_POD = b"GET /api/v1/namespaces/default/pods/web HTTP/1.1\r\nhost: h\r\n\r\n"


class Identity:
    def __init__(self, bug: Exception | None = None) -> None:
        self._bug = bug

    def authenticate(self, headers: object, user: object) -> User:
        if self._bug is not None:
            raise self._bug
        return ANONYMOUS


class OneRoute:
    def __init__(self, route: Route) -> None:
        self._route = route

    def find(self, info: object) -> Route:
        return self._route


def connected(route: Route, identity: Identity) -> tuple[HttpConnection, FakeTransport]:
    limits, transport = InFlight(10, 10, 60), FakeTransport()
    services: list[Any] = [identity, AlwaysAllow(), OneRoute(route), None, limits, RequestMetrics(limits)]
    server = http_server(Pipeline(*services))
    connection = HttpConnection(server, asyncio.get_running_loop())
    connection.connection_made(transport)
    return connection, transport


async def test_a_bug_before_the_handler_is_a_status_of_500() -> None:
    connection, transport = connected(Route(cast(Any, None)), Identity(KeyError("a bug")))
    connection.data_received(GET_POD)
    await turns()
    assert transport.sent.startswith(b"HTTP/1.1 500 ")
    assert b'"reason":"InternalError"' in transport.sent


async def test_a_watch_ends_whose_client_left_before_its_first_event() -> None:
    ready, closed = asyncio.Event(), asyncio.Event()

    async def events() -> AsyncIterator[bytes]:
        await closed.wait()
        yield b""

    async def watch(request: Request) -> Stream:
        await ready.wait()
        return Stream(events(), close=closed.set)

    connection, transport = connected(Route(watch, long_running=True), Identity())
    connection.data_received(GET_POD)
    await turns()
    connection.connection_lost(None)
    ready.set()
    await turns()
    assert closed.is_set()
    assert not connection.tasks
    assert transport.sent == b""


async def test_nothing_is_proxied_for_a_client_that_left_during_the_connect() -> None:
    ready, seen = asyncio.Event(), asyncio.Queue[bytes]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.put_nowait(await reader.read(100))
        writer.close()

    async def proxy(request: Request) -> Answer:
        await ready.wait()
        return await forward(request, Backend("127.0.0.1", port, "/"))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        connection, _ = connected(Route(proxy, long_running=True), Identity())
        connection.data_received(GET_POD)
        await turns()
        connection.connection_lost(None)
        ready.set()
        async with asyncio.timeout(5):
            assert await seen.get() == b""
