"""A real HAProxy with small backends on loopback."""

from __future__ import annotations

import asyncio
import base64
import shutil
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from grpclib.client import Channel, StreamStreamMethod
from grpclib.const import Cardinality, Handler
from grpclib.encoding.base import CodecBase
from grpclib.server import Server
from grpclib.server import Stream as GrpcStream
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from ingress.annotations import _READERS
from ingress.configuration import render
from ingress.owncertificate import make_certificate
from ingress.proxy import Proxy
from tests.kits.eventually import eventually_async
from tests.kits.ingressworld import Cluster, backend, place
from tests.kits.process import free_port

pytestmark = pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed")
# `htpasswd -nbB ann secret`
BOB = "bob:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/"
LONG = "a password of more than sixteen bytes: é"
JOE = "joe:$apr1$xy$.Ji48nbU.7SpUJ85Pd9Od."
ANN = "ann:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"


class Served:
    """A proxy that serves `cluster`, and what reaches it."""

    def __init__(self, folder: Path, proxy: Proxy) -> None:
        self.cluster, self.proxy = Cluster(), proxy
        self.place = place(str(folder), free_port(), free_port())
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.place.http_port}", trust_env=False)

    async def apply(self) -> None:
        plan = self.cluster.plan()
        await self.proxy.apply(render(plan, self.place))

    async def get(self, host: str, path: str, **headers: str) -> str:
        """Returns the status, and what the backend says: its name and the path that it got."""
        answer = await self.http.get(path, headers={"host": host, **headers})
        return f"{answer.status_code} {answer.text}"


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    proxy = Proxy(tmp_path)
    running = asyncio.create_task(proxy.run())
    served = Served(tmp_path, proxy)
    try:
        yield served
    finally:
        await served.http.aclose()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


Answer = Callable[[str, dict[str, str]], str]


@asynccontextmanager
async def answering(name: str, answer: Answer | None = None) -> AsyncIterator[str]:
    """Runs an HTTP server, and yields its address."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.strip().split("\r\n")
                headers = {key.lower(): value for key, _, value in (line.partition(": ") for line in lines)}
                await reader.readexactly(int(headers.get("content-length", "0")))
                text = (answer(first, headers) if answer else f"{name} {first.split()[1]}").encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(text), text))
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_hosts_and_paths_choose_the_service(served: Served) -> None:
    async with AsyncExitStack() as stack:
        for name in ("a", "b", "c", "d", "e", "f"):
            served.cluster.service(name, await stack.enter_async_context(answering(name)))
        served.cluster.ingress(
            "one", ("foo.com/", "a"), ("foo.com/deep", "b"), ("*.foo.com/", "c"), ("/any", "d"), defaultBackend=None
        )
        served.cluster.ingress("two", ("foo.com/deep", "e"), ("foo.com/other/", "e"), path_type="Exact")
        await served.apply()
        expected = {
            ("foo.com", "/"): "200 a /",
            ("FOO.com:80", "/x?y=/deep"): "200 a /x?y=/deep",
            ("foo.com", "/deep"): "200 e /deep",
            ("foo.com", "/deep/"): "200 b /deep/",
            ("foo.com", "/deep/er"): "200 b /deep/er",
            ("foo.com", "/deeper"): "200 a /deeper",
            ("foo.com", "/other"): "200 a /other",
            ("foo.com", "/other/"): "200 e /other/",
            ("foo.com", "/Deep"): "200 a /Deep",
            ("x.foo.com", "/"): "200 c /",
            ("y.x.foo.com", "/"): "404 default backend - 404",
            ("bar.com", "/any/thing"): "200 d /any/thing",
            ("foo.com", "/x/%2e%2e/deep//er"): "200 b /x/%2e%2e/deep//er",
        }
        for (host, path), answer in expected.items():
            assert await served.get(host, path) == answer, (host, path)
        served.cluster.ingress("three", defaultBackend=backend("f"))
        await served.apply()

        async def served_by_default() -> bool:  # the last request of a connection is that of the old workers
            return await served.get("y.x.foo.com", "/z") == "200 f /z"

        await eventually_async(served_by_default)


async def test_paths_are_rewritten_with_the_groups_of_expressions(served: Served) -> None:
    async with answering("a") as address:
        served.cluster.service("a", address)
        served.cluster.ingress(
            "one",
            ("foo.com/something(/|$)(.*)", "a"),
            path_type="ImplementationSpecific",
            annotations={"rewrite-target": "/$2", "use-regex": "true"},
        )
        served.cluster.ingress("two", ("foo.com/plain", "a"), annotations={"rewrite-target": "/new"})
        await served.apply()
        assert await served.get("foo.com", "/something/x/y?z=1") == "200 a /x/y?z=1"
        assert await served.get("foo.com", "/something") == "200 a /"
        assert await served.get("foo.com", "/SOMEthing/../something/q") == "200 a /q"
        assert await served.get("foo.com", "/plain/x") == "200 a /new"
        assert (await served.get("foo.com", "/else")).startswith("404")


async def test_annotations_limit_redirect_and_keep_out(served: Served) -> None:
    async with answering("a", lambda first, headers: headers.get("cookie", "")) as address:
        served.cluster.service("a", address)
        served.cluster.secret("users", auth=f"{ANN}\n{BOB}\n{JOE}\n")
        served.cluster.ingress("size", ("size.com/", "a"), annotations={"proxy-body-size": "1k"})
        served.cluster.ingress(
            "auth",
            ("auth.com/", "a"),
            annotations={"auth-type": "basic", "auth-secret": "users", "auth-realm": "Who's"},
        )
        served.cluster.ingress(
            "auth2",
            ("auth2.com/", "a"),
            annotations={"auth-type": "basic", "auth-secret": "users", "auth-realm": "Staff only"},
        )
        served.cluster.ingress("closed", ("closed.com/", "a"), annotations={"auth-url": "http://else.com"})
        served.cluster.ingress("far", ("far.com/", "a"), annotations={"whitelist-source-range": "10.1.0.0/16,::1/128"})
        served.cluster.ingress("near", ("near.com/", "a"), annotations={"whitelist-source-range": "127.0.0.1"})
        served.cluster.ingress("tls", ("tls.com/", "a"), annotations={"force-ssl-redirect": "true"})
        served.cluster.ingress("sticky", ("sticky.com/", "a"), annotations={"affinity": "cookie"})
        await served.apply()

        async def status(host: str, content: bytes = b"", **headers: str) -> int:
            answer = await served.http.post("/x?y", content=content, headers={"host": host, **headers})
            return answer.status_code

        assert (await status("size.com", b"x" * 1024), await status("size.com", b"x" * 1025)) == (200, 413)
        reader, writer = await asyncio.open_connection("127.0.0.1", served.place.http_port)
        writer.write(b"POST / HTTP/1.1\r\nhost: size.com\r\ntransfer-encoding: chunked\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 411 ")
        writer.close()
        right, wrong = (base64.b64encode(text).decode() for text in (b"ann:secret", b"ann:other"))
        assert await status("auth.com", authorization=f"Basic {right}") == 503  # its realm was not understood
        assert await status("auth2.com") == 401
        assert await status("auth2.com", authorization=f"Basic {wrong}") == 401
        assert await status("auth2.com", authorization=f"Basic {right}") == 200
        for name, password, expected in (
            ("bob", "secret", 200),
            ("bob", "other", 401),
            ("joe", LONG, 200),
            ("a", "", 401),
        ):
            words = base64.b64encode(f"{name}:{password}".encode()).decode()
            for _ in range(2):  # the second time by what the proxy remembers
                assert await status("auth2.com", authorization=f"Basic {words}") == expected
        assert (await status("closed.com"), await status("far.com"), await status("near.com")) == (503, 403, 200)
        answer = await served.http.post("/x?y", headers={"host": "tls.com:1"})
        assert (answer.status_code, answer.headers["location"]) == (
            308,
            f"https://tls.com:{served.place.https_port}/x?y",
        )
        assert "INGRESSCOOKIE=" in (await served.http.get("/", headers={"host": "sticky.com"})).headers["set-cookie"]


async def test_backends_learn_who_the_client_is_and_from_the_proxy_alone(served: Served) -> None:
    names = ("x-forwarded-for", "x-real-ip", "x-forwarded-proto", "x-forwarded-host")
    async with answering("a", lambda first, headers: ",".join(headers.get(name, "") for name in names)) as address:
        served.cluster.service("a", address)
        served.cluster.ingress("one", ("foo.com/", "a"))
        await served.apply()
        lies = {"x-forwarded-for": "1.2.3.4", "x-forwarded-proto": "https"}
        assert await served.get("foo.com", "/", **lies) == "200 127.0.0.1,127.0.0.1,http,foo.com"


async def test_the_name_of_the_server_chooses_the_certificate(served: Served) -> None:
    pem = {name: make_certificate() for name in ("one", "two")}
    async with answering("a") as address:
        served.cluster.service("a", address)
        for name, text in pem.items():
            end = text.index("-----BEGIN PRIVATE")
            served.cluster.secret(name, tls_crt=text[:end], tls_key=text[end:])
        served.cluster.ingress(
            "one",
            ("foo.com/", "a"),
            ("a.bar.com/", "a"),
            tls=[{"hosts": ["foo.com"], "secretName": "one"}, {"hosts": ["*.bar.com"], "secretName": "two"}],
        )
        await served.apply()

        async def certificate(name: str) -> str:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_alpn_protocols(["h2", "http/1.1"])
            _, writer = await asyncio.open_connection(
                "127.0.0.1", served.place.https_port, ssl=context, server_hostname=name
            )
            tls = writer.get_extra_info("ssl_object")
            assert tls.selected_alpn_protocol() == "h2"
            writer.close()
            return ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True))

        def first(text: str) -> str:
            return ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(text[: text.index("-----BEGIN PRIVATE")]))

        assert await certificate("foo.com") == first(pem["one"])
        assert await certificate("a.bar.com") == first(pem["two"])
        assert await certificate("b.a.bar.com") == await certificate("else.com") == first(served.place.own_certificate)
        answer = await served.http.get("/", headers={"host": "foo.com"})
        assert answer.status_code == 308


async def test_no_request_is_lost_while_everything_changes(served: Served) -> None:
    done = asyncio.Event()
    counts: dict[str, int] = {}

    async def load(host: str) -> None:
        while not done.is_set():
            answer = await served.get(host, "/")
            counts[answer] = counts.get(answer, 0) + 1
            assert answer.startswith("200 "), answer

    async with AsyncExitStack() as stack:
        addresses = [await stack.enter_async_context(answering(name)) for name in ("a", "b", "c")]
        served.cluster.service("web", addresses[0])
        served.cluster.ingress("web", ("foo.com/", "web"))
        await served.apply()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(4):
                tasks.create_task(load("foo.com"))
            for turn in range(6):  # a rolling update, whose pods serve until they are taken out
                served.cluster.service("web", addresses[turn % 3], addresses[(turn + 1) % 3])
                await served.apply()
                await asyncio.sleep(0.02)
            assert served.proxy.reloads == 0
            for turn in range(3):  # others come with new backends
                served.cluster.ingress(
                    f"other-{turn}", (f"other-{turn}.com/", "web"), annotations={"proxy-body-size": f"{turn + 1}m"}
                )
                await served.apply()
            assert served.proxy.reloads == 3
            done.set()
    assert set(counts) == {"200 a /", "200 b /", "200 c /"}
    served.cluster.service("web", "-" + addresses[0])
    await served.apply()
    assert (await served.get("foo.com", "/")).startswith("503")


async def test_websockets_outlive_new_workers(served: Served) -> None:
    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with serve(echo, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        served.cluster.service("ws", f"127.0.0.1:{port}")
        served.cluster.ingress("ws", ("foo.com/", "ws"))
        await served.apply()
        async with connect("ws://foo.com/", host="127.0.0.1", port=served.place.http_port) as socket:
            await socket.send("before")
            assert await socket.recv() == "before"
            served.cluster.ingress("new", ("new.com/", "ws"), annotations={"proxy-body-size": "1m"})
            await served.apply()
            assert served.proxy.reloads == 1
            await socket.send("after")
            assert await socket.recv() == "after"


class Plain(CodecBase):
    """Sends bytes as they are."""

    __content_subtype__ = "proto"

    def encode(self, message: bytes, message_type: type[bytes]) -> bytes:
        return message

    def decode(self, data: bytes, message_type: type[bytes]) -> bytes:
        return data


class Echo:
    """Sends each message back at once."""

    async def _echo(self, stream: GrpcStream[bytes, bytes]) -> None:
        async for message in stream:
            await stream.send_message(message)

    def __mapping__(self) -> dict[str, Handler]:
        return {"/test.Echo/Echo": Handler(self._echo, Cardinality.STREAM_STREAM, bytes, bytes)}


async def test_grpc_streams_in_both_directions(served: Served) -> None:
    server, port = Server([Echo()], codec=Plain()), free_port()
    await server.start("127.0.0.1", port)
    served.cluster.service("echo", f"127.0.0.1:{port}")
    served.cluster.ingress("echo", ("/test.Echo", "echo"), annotations={"backend-protocol": "GRPC"})
    await served.apply()
    async with Channel("127.0.0.1", served.place.http_port, codec=Plain()) as channel:
        async with StreamStreamMethod(channel, "/test.Echo/Echo", bytes, bytes).open() as stream:
            for text in (b"one", b"two"):
                await stream.send_message(text)
                assert await stream.recv_message() == text
            await stream.end()
            assert await stream.recv_message() is None
    server.close()
    await server.wait_closed()


NASTY = (
    *("x'\n  server evil 1.2.3.4:80\n", '"', "\\", "%[env(HOME)]", "a #b", "/ {", "/(a|b)(.*)", "/[", "/a{2,1}", "/$1"),
    *(
        "(/|$)(.*)",
        "[[:alpha:]]+",
        "\\d{1,3}x*?",
        "a**",
        "(?:a|b)+$",
        "[^/]*[]]",
        "{,3}",
        "a]b}c",
        "a{1,2}{3}",
        "\u0663",
    ),
)


async def test_no_value_keeps_the_proxy_from_others(served: Served) -> None:
    """What checks expressions is not the proxy's own library, so the proxy has the last word here."""
    regex = {"use-regex": "true", "rewrite-target": "/"}
    async with answering("a") as address:
        served.cluster.service("a", address)
        for index, text in enumerate(NASTY):
            for name in sorted(_READERS):
                host = f"{name}-{index}"
                served.cluster.ingress(host, (f"{host}.com/", "a"), annotations={name: text})
            rule = (f"path.com/{text}", "a")
            served.cluster.ingress(f"path-{index}", rule, annotations=regex, path_type="ImplementationSpecific")
        served.cluster.ingress("good", ("good.com/", "a"))
        await served.apply()
        assert await served.get("good.com", "/") == "200 a /"
