"""Typed requests: what goes over the wire, and which error comes of which answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from apimachinery.errors import BadRequest, Conflict, Expired, NotFound, StatusError, TooManyRequests
from apimachinery.meta import ObjectMeta
from apimachinery.model import decode
from componentbase import tls
from componentbase.clock import Clock
from componentbase.net.http1_exchange import HttpExchange
from componentbase.net.http1_server import HttpServer as OurServer
from componentbase.net.http1_server import ServerLimits
from componentbase.tasks import alongside
from kubeapi.core.configmap import ConfigMap
from kubeclient.access.config import ClientConfig
from kubeclient.rest import RestClient
from tests.fakes.clock import FakeClock
from tests.fakes.http import CHUNKED, Handler, HttpServer, Request, answer, chunk, http_server
from tests.kits.eventually import eventually_async
from tests.kits.identity.certificates import write_certificates
from tests.kits.process import free_port

Connect = Callable[..., Awaitable[tuple[HttpServer, RestClient]]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Starts a server with the given handler, and gives it with a client of it."""
    async with AsyncExitStack() as stack, asyncio.timeout(20):

        async def connect(
            handler: Handler, token: str = "", clock: Clock | None = None
        ) -> tuple[HttpServer, RestClient]:
            server = await stack.enter_async_context(http_server(handler))
            config = ClientConfig(server=server.url, token=token)
            return server, await stack.enter_async_context(RestClient(config, user_agent="test/1", clock=clock))

        yield connect


def config_map(name: str, revision: str = "7", **data: str) -> bytes:
    metadata = {"name": name, "namespace": "default", "resourceVersion": revision}
    return orjson.dumps({"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": data})


def status(code: int, reason: str, message: str = "no") -> bytes:
    return orjson.dumps({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message})


def always(reply: bytes) -> Handler:
    async def handler(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)

    return handler


async def test_get_asks_for_the_path_of_the_kind_and_identifies_itself(connect: Connect) -> None:
    server, rest = await connect(always(answer(config_map("a", k="v"))), token="secret")
    found = await rest.get(ConfigMap, "a", "default")
    assert found.data == {"k": "v"}
    request = server.requests[0]
    assert (request.method, request.target) == ("GET", "/api/v1/namespaces/default/configmaps/a")
    assert request.headers["user-agent"] == "test/1"
    assert request.headers["authorization"] == "Bearer secret"
    assert request.headers["host"] == f"127.0.0.1:{server.port}"


async def test_create_puts_kind_and_version_in(connect: Connect) -> None:
    server, rest = await connect(always(answer(config_map("a"))))
    await rest.create(ConfigMap(metadata=ObjectMeta(name="a", namespace="default"), data={"x": "y"}))
    body = orjson.loads(server.requests[0].body)
    metadata = {"name": "a", "namespace": "default"}
    assert body == {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": {"x": "y"}}


async def test_a_name_typed_by_a_user_cannot_leave_its_path_segment(connect: Connect) -> None:
    server, rest = await connect(always(answer(config_map("a"))))
    await rest.get(ConfigMap, "a/../b?x\r\nevil: 1", "default")
    assert server.requests[0].target == "/api/v1/namespaces/default/configmaps/a%2F..%2Fb%3Fx%0D%0Aevil%3A%201"
    for name in ("", "..", "."):
        with pytest.raises(BadRequest):
            await rest.get(ConfigMap, name, "default")


async def test_list_follows_continue_and_fills_in_the_type_of_items(connect: Connect) -> None:
    async def pages(request: Request, writer: asyncio.StreamWriter) -> None:
        item = orjson.dumps({"metadata": {"name": "b" if "continue" in request.target else "a"}})
        more = b"" if "continue" in request.target else b',"continue":"next"'
        writer.write(answer(b'{"metadata":{"resourceVersion":"9"%s},"items":[%s]}' % (more, item)))

    server, rest = await connect(pages)
    listing = await rest.list(ConfigMap, "default", label_selector="app in (a,b)", limit=1)
    assert [item.name for item in listing.items] == ["a", "b"]
    assert {(item.kind, item.apiVersion) for item in listing.items} == {("ConfigMap", "v1")}
    assert listing.resource_version == "9"
    assert "labelSelector=app+in+%28a%2Cb%29" in server.requests[1].target


async def test_watch_gives_events_however_the_bytes_are_cut(connect: Connect) -> None:
    events = b"".join(
        b'{"type":"%s","object":%s}\n' % (kind, config_map("a", revision=str(number)))
        for number, kind in enumerate((b"ADDED", b"MODIFIED", b"BOOKMARK"))
    )

    async def cut(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        for start in range(0, len(events), 7):
            writer.write(chunk(events[start : start + 7]))
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(chunk(b""))

    server, rest = await connect(cut)
    found = [(e.type, e.object.metadata.resourceVersion)
             async for e in rest.watch(ConfigMap, "default", resource_version="5")]  # fmt: skip
    assert found == [("ADDED", "0"), ("MODIFIED", "1"), ("BOOKMARK", "2")]
    assert "resourceVersion=5" in server.requests[0].target
    assert "allowWatchBookmarks=true" in server.requests[0].target


async def test_an_error_event_ends_the_watch_with_that_error(connect: Connect) -> None:
    line = b'{"type":"ERROR","object":%s}\n' % status(410, "Expired", "too old")

    _server, rest = await connect(always(CHUNKED + chunk(line) + chunk(b"")))
    async with aclosing(rest.watch(ConfigMap, resource_version="1")) as events:
        with pytest.raises(Expired, match="too old"):
            await anext(events)


@pytest.mark.parametrize(
    ("code", "body", "error", "message"),
    [
        (404, status(404, "NotFound", 'configmaps "a" not found'), NotFound, 'configmaps "a" not found'),
        (409, status(409, "Conflict"), Conflict, "no"),
        (410, status(410, "Expired"), Expired, "no"),
        (404, b"404 page not found", NotFound, "404 page not found"),
        (502, b"", StatusError, "the server answered 502"),
    ],
)
async def test_failures_are_raised_as_their_status(
    connect: Connect, code: int, body: bytes, error: type[StatusError], message: str
) -> None:
    _server, rest = await connect(always(answer(body, f"{code} X")))
    with pytest.raises(error) as caught:
        await rest.get(ConfigMap, "a", "default")
    assert (caught.value.message, caught.value.code) == (message, code)


async def test_a_request_the_server_puts_off_is_sent_again(connect: Connect) -> None:
    async def busy_twice(request: Request, writer: asyncio.StreamWriter) -> None:
        busy = writer.__dict__.setdefault("busy", [1, 1])
        if busy:
            busy.pop()
            writer.write(answer(status(429, "TooManyRequests"), "429 X", "Retry-After: 0\r\n"))
        else:
            writer.write(answer(config_map("a")))

    server, rest = await connect(busy_twice)
    await rest.create(ConfigMap(metadata=ObjectMeta(name="a", namespace="default")))
    assert len(server.requests) == 3


async def test_requests_wait_for_their_turn_beyond_a_burst() -> None:
    clock = FakeClock()
    async with http_server(always(answer(config_map("a")))) as server, asyncio.timeout(20):
        config = ClientConfig(server=server.url)
        async with RestClient(config, user_agent="test/1", clock=clock, per_second=2, burst=3) as rest:
            for _ in range(3):
                await rest.get(ConfigMap, "a", "default")
            assert clock.now() == FakeClock().now()
            late = asyncio.create_task(rest.get(ConfigMap, "a", "default"))
            await asyncio.sleep(0.05)
            assert len(server.requests) == 3
            await clock.advance(0.5)
            await late
            assert len(server.requests) == 4


async def test_a_refusal_without_retry_after_is_final(connect: Connect) -> None:
    server, rest = await connect(always(answer(status(429, "TooManyRequests"), "429 X")))
    with pytest.raises(TooManyRequests):
        await rest.get(ConfigMap, "a", "default")
    assert len(server.requests) == 1


async def test_update_with_starts_over_on_a_fresh_read_after_a_conflict(connect: Connect) -> None:
    async def stale_once(request: Request, writer: asyncio.StreamWriter) -> None:
        revision = writer.__dict__.setdefault("revision", [7])
        if request.method == "GET":
            writer.write(answer(config_map("a", revision=str(revision[0]), n=str(revision[0]))))
        elif revision[0] == 7:
            revision[0] = 8
            writer.write(answer(status(409, "Conflict"), "409 X"))
        else:
            writer.write(answer(request.body))

    def change(current: ConfigMap) -> ConfigMap:
        current.data = {"n": (current.data or {})["n"] + "!"}
        return current

    _server, rest = await connect(stale_once)
    stored = await rest.update_with(ConfigMap, "a", "default", change)
    assert (stored.data, stored.metadata.resourceVersion) == ({"n": "8!"}, "8")


async def test_update_with_writes_nothing_when_there_is_nothing_to_change(connect: Connect) -> None:
    server, rest = await connect(always(answer(config_map("a"))))
    await rest.update_with(ConfigMap, "a", "default", lambda current: None)
    assert [request.method for request in server.requests] == ["GET"]


async def test_delete_sends_options_only_when_there_are_some(connect: Connect) -> None:
    server, rest = await connect(always(answer(status(200, ""))))
    await rest.delete(ConfigMap, "a", "default")
    await rest.delete(ConfigMap, "a", "default", grace_period_seconds=0, propagation_policy="Orphan", uid="u")
    assert server.requests[0].body == b""
    assert orjson.loads(server.requests[1].body) == {
        "kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0, "propagationPolicy": "Orphan",
        "preconditions": {"uid": "u"},
    }  # fmt: skip


async def test_warnings_reach_whoever_asked_for_them() -> None:
    seen: list[str] = []
    reply = answer(config_map("a"), headers='Warning: 299 - "careful with \\"x\\""\r\n')
    async with http_server(always(reply)) as server:
        config = ClientConfig(server=server.url)
        async with RestClient(config, user_agent="t", on_warning=seen.append) as rest:
            await rest.get(ConfigMap, "a", "default")
    assert seen == ['careful with "x"']


def test_what_was_read_can_be_sent_back() -> None:
    found = decode(ConfigMap, config_map("a", x="y"))
    assert found.clone() == found


async def test_the_server_must_have_the_name_that_the_configuration_gives(tmp_path: Path) -> None:
    def greet(exchange: HttpExchange) -> None:
        exchange.respond(200, b"", b"{}")

    cert, key = tls.self_signed(str(tmp_path), "server")
    port, started = free_port(), asyncio.Event()
    async with alongside(
        OurServer(greet, ServerLimits()).run("127.0.0.1", port, tls.server_context(cert, key), started=started.set)
    ):
        await started.wait()
        config = ClientConfig(server=f"https://127.0.0.1:{port}", ca_file=cert, tls_server_name="localhost")
        async with RestClient(config, user_agent="test/1") as rest:
            assert await rest.request("GET", "/") == b"{}"
        async with RestClient(replace(config, tls_server_name="elsewhere"), user_agent="test/1") as rest:
            with pytest.raises(ConnectionError, match="not trusted"):
                await rest.request("GET", "/")


async def test_a_server_that_asks_for_patience_gets_it_by_the_clients_clock(connect: Connect) -> None:
    async def busy_once(request: Request, writer: asyncio.StreamWriter) -> None:
        busy = answer(status(429, "TooManyRequests"), "429 X", "Retry-After: 30\r\n")
        writer.write(busy if len(server.requests) == 1 else answer(b"{}"))

    clock = FakeClock()
    server, rest = await connect(busy_once, clock=clock)
    async with alongside(rest.request("GET", "/")) as request:
        await eventually_async(lambda: clock._sleepers)
        await clock.advance(29)
        assert len(server.requests) == 1
        await clock.advance(8)
        assert await request == b"{}"
        assert len(server.requests) == 2


async def test_new_connections_show_a_renewed_certificate(tmp_path: Path) -> None:
    files = write_certificates(tmp_path)
    context = tls.server_context(str(files["server"]), str(files["server-key"]), str(files["ca"]))
    digests: list[str] = []

    async def note_certificate(exchange: HttpExchange) -> None:
        certificate = exchange.connection.certificate
        assert certificate is not None
        digests.append(certificate.digest)
        exchange.respond(200, b"content-type: application/json\r\n", config_map("a"))

    current = tmp_path / "current.pem"

    def issue(name: str) -> None:
        renewed = tmp_path / "renewed.pem"
        renewed.write_bytes(files[name].read_bytes() + files[f"{name}-key"].read_bytes())
        renewed.replace(current)

    issue("client")
    port = free_port()
    config = ClientConfig(
        server=f"https://127.0.0.1:{port}", ca_file=str(files["ca"]), cert_file=str(current), key_file=str(current)
    )
    started = asyncio.Event()
    server = OurServer(note_certificate, ServerLimits(max_connections=10))
    async with (
        asyncio.timeout(20),
        alongside(server.run("127.0.0.1", port, context, started=started.set)),
        RestClient(config, user_agent="test/1") as rest,
    ):
        await started.wait()
        await rest.get(ConfigMap, "a", "default")
        issue("server")  # which is a client's, too
        await rest.get(ConfigMap, "a", "default")  # over the connection that there is
        rest.renew_certificate()
        await rest.get(ConfigMap, "a", "default")
        current.write_bytes(b"cut off")
        rest.renew_certificate()
        await rest.get(ConfigMap, "a", "default")  # by the last one that could be read
    assert digests[0] == digests[1] != digests[2] == digests[3]
