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

    def authenticate(self, *credentials: object) -> User:
        if self._bug is not None:
            raise self._bug
        return ANONYMOUS


class OneRoute:
    def __init__(self, route: Route) -> None:
        self._route = route

    def find(self, info: object) -> Route:
        return self._route


def connected(route: Route, identity: Identity) -> tuple[HttpConnection, FakeTransport]:
    return connected_to(pipeline(route, identity))


def pipeline(route: Route, identity: Identity) -> Pipeline:
    limits = InFlight(10, 10, 60)
    services: list[Any] = [identity, AlwaysAllow(), OneRoute(route), None, limits, RequestMetrics(limits)]
    return Pipeline(*services)


def connected_to(handler: Pipeline) -> tuple[HttpConnection, FakeTransport]:
    server, transport = http_server(handler, drain_seconds=10), FakeTransport()
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


class Watch:
    """A watch without events, whose answer begins when the test says so."""

    def __init__(self) -> None:
        self.begins = asyncio.Event()
        self.closed = asyncio.Event()

    async def __call__(self, request: Request) -> Stream:
        await self.begins.wait()
        return Stream(self._events(), close=self.closed.set)

    async def _events(self) -> AsyncIterator[bytes]:
        await self.closed.wait()
        return
        yield b""


async def test_the_end_of_the_server_ends_watches_and_completes_their_answers() -> None:
    watch = Watch()
    watch.begins.set()
    served = pipeline(Route(watch, long_running=True), Identity())
    connection, transport = connected_to(served)
    connection.data_received(GET_POD)
    await turns()
    assert not watch.closed.is_set()
    await served.end_long_running(0)
    await turns()
    assert transport.sent.endswith(b"0\r\n\r\n")
    assert not connection.tasks


async def test_a_watch_that_begins_after_the_end_of_the_others_ends_at_once() -> None:
    watch = Watch()
    served = pipeline(Route(watch, long_running=True), Identity())
    connection, transport = connected_to(served)
    connection.data_received(GET_POD)
    await turns()
    await served.end_long_running(0)
    watch.begins.set()
    await turns()
    assert transport.sent.startswith(b"HTTP/1.1 200 ")
    assert transport.sent.endswith(b"0\r\n\r\n")


async def test_the_ends_of_watches_are_spread_over_the_grace_period() -> None:
    watches = [Watch() for _ in range(3)]
    for watch in watches:
        watch.begins.set()
    waiting = iter(watches)

    async def handle(request: Request) -> Answer:
        return await next(waiting)(request)

    served = pipeline(Route(handle, long_running=True), Identity())
    for _ in watches:
        connected_to(served)[0].data_received(GET_POD)
    await turns()
    ending = asyncio.create_task(served.end_long_running(600))
    await turns()
    assert [watch.closed.is_set() for watch in watches].count(True) == 1  # the next one's time is in 200 s
    ending.cancel()
