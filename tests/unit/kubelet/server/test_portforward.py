"""Port-forward on the kubelet in its three shapes, and exec and attach over SPDY and the older channel protocols."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from kubelet.server.stream.portforward import BadPorts, parse_ports
from kubelet.server.stream.spdy import frames as spdy
from kubelet.server.stream.spdy.connection import SpdyLimits
from tests.kits.identity.certificates import write_certificates
from tests.kits.net.backend import UVLOOP, Backend
from tests.kits.node.kubeletserver import RUNNING, Bench, SpdyClient, messages, server_bench, spdy_client

TUNNEL = "SPDY/3.1+portforward.k8s.io"
V4 = "v4.channel.k8s.io"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_certificates(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def anyio_backend() -> Backend:
    return UVLOOP


@pytest.fixture
async def bench(files: dict[str, Path]) -> AsyncIterator[Bench]:
    async with server_bench(files) as bench:
        yield bench


@asynccontextmanager
async def limited_client(files: dict[str, Path], limits: SpdyLimits) -> AsyncIterator[SpdyClient]:
    """A client of a server with these limits, where it may forward ports."""
    async with server_bench(files, limits) as bench:
        await bench.start(*RUNNING)
        async with spdy_client(bench, "/portForward/default/web") as (client, _):
            yield client


@asynccontextmanager
async def echo_server() -> AsyncIterator[int]:
    """Its port; it sends everything back, and ends its side when the client has."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write(b" bye")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def forward(client: SpdyClient, port: int, request: str) -> tuple[int, int]:
    """The error and data streams of a new connection."""
    error = await client.stream(fin=True, streamtype="error", port=str(port), requestid=request)
    return error, await client.stream(streamtype="data", port=str(port), requestid=request)


async def use(client: SpdyClient, port: int) -> None:
    """Several connections at once, one of them big, one to a port that nobody listens at."""
    pairs = [await forward(client, port, str(index)) for index in range(3)]
    dead = await forward(client, 1, "dead")
    big = bytes(range(256)) * 2000
    for index, (_, data) in enumerate(pairs):
        await client.send(data, f"hello {index} ".encode() + big, fin=True)
    for index, (error, data) in enumerate(pairs):
        assert await client.end_of(data) == f"hello {index} ".encode() + big + b" bye"
        assert await client.end_of(error) == b""
    said = (await client.end_of(dead[0])).decode()
    assert said.startswith("error forwarding port 1 to pod default/web, uid uid-1: failed to connect to localhost:1")
    await client.write(spdy.ping_frame(7))
    await client.until(lambda: spdy.Frame(spdy.PING, number=7) in client.frames)


async def test_ports_are_forwarded_over_spdy(bench: Bench) -> None:
    await bench.start(*RUNNING)
    async with echo_server() as port, spdy_client(bench, "/portForward/default/web", "portforward.k8s.io") as made:
        client, head = made
        assert head.startswith("HTTP/1.1 101 ")
        assert "X-Stream-Protocol-Version: portforward.k8s.io" in head
        await use(client, port)


async def test_ports_are_forwarded_through_a_websocket_tunnel(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    # Kubernetes' name has a slash, which this client takes for no token.
    monkeypatch.setattr("websockets.asyncio.client.validate_subprotocols", lambda names: None)
    monkeypatch.setattr("websockets.client.parse_subprotocol", lambda header: [header])

    await bench.start(*RUNNING)
    async with echo_server() as port, bench.socket("/portForward/default/web", protocol=TUNNEL) as socket:
        assert socket.subprotocol == TUNNEL

        async def read() -> bytes:
            data = await socket.recv()
            assert isinstance(data, bytes)
            return data

        async def write(data: bytes) -> None:
            for at in range(0, len(data), 50_000):  # cut anywhere
                await socket.send(data[at : at + 50_000])

        await use(SpdyClient(read, write), port)


async def test_a_websocket_with_channels_has_one_connection_for_each_port(bench: Bench) -> None:
    await bench.start(*RUNNING)
    async with echo_server() as port:
        path = f"/portForward/default/web?port={port},1&port={port}"
        async with bench.socket(path, protocol=V4) as socket:
            little = port.to_bytes(2, "little")
            first = [await socket.recv() for _ in range(6)]
            assert first[:4] == [b"\x00" + little, b"\x01" + little, b"\x02\x01\x00", b"\x03\x01\x00"]
            failure = await socket.recv()
            assert isinstance(failure, bytes)
            assert failure.startswith(b"\x03error forwarding port 1 to pod ")
            for channel in (0, 4):
                await socket.send(bytes([channel]) + b"hello")
                assert await socket.recv() == bytes([channel]) + b"hello"


async def test_a_request_that_is_not_complete_in_time_is_reset(files: dict[str, Path]) -> None:
    async with limited_client(files, SpdyLimits(pair_seconds=0.05)) as client:
        alone = await client.stream(streamtype="error", port="80", requestid="1")
        strange = await client.stream(streamtype="data", port="0", requestid="2")
        await client.until(lambda: len(client.frames) == 2)
        assert {frame.stream for frame in client.frames} == {alone, strange}
        assert all(frame.kind == spdy.RST_STREAM for frame in client.frames)


async def test_streams_are_limited_and_numbered_upwards(files: dict[str, Path]) -> None:
    async with limited_client(files, SpdyLimits(max_streams=2)) as client:
        for request in ("1", "2", "3"):
            last = await client.stream(streamtype="error", port="80", requestid=request)
        await client.until(lambda: bool(client.frames))
        assert client.frames == [spdy.Frame(spdy.RST_STREAM, last, number=spdy.REFUSED_STREAM)]
        client._next = 1
        await client.stream(streamtype="error", port="80", requestid="4")
        await client.until(lambda: len(client.frames) == 2)
        assert client.frames[1] == spdy.Frame(spdy.RST_STREAM, 1, number=spdy.PROTOCOL_ERROR)
        await client.write(b"\x80\x03\x00\x01\x00\x00\x00\x0c" + b"\xff" * 12)
        await client.until(lambda: len(client.frames) == 3)
        assert client.frames[2].kind == spdy.GOAWAY


async def test_a_client_that_leaves_closes_its_connections(bench: Bench) -> None:
    await bench.start(*RUNNING)
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hi")
        await reader.read()
        over.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, spdy_client(bench, "/portForward/default/web") as (client, _):
        _, data = await forward(client, server.sockets[0].getsockname()[1], "1")
        await client.until(lambda: client.received[data] == b"hi")
    await over.wait()


@pytest.mark.parametrize(
    ("query", "ports"),
    [({"port": ["80,443", "1"]}, [80, 443, 1]), ({"port": ["65535"]}, [65535])],
)
def test_ports_of_a_query(query: dict[str, list[str]], ports: list[int]) -> None:
    assert parse_ports(query) == ports


@pytest.mark.parametrize("port", ["", "0", "65536", "-1", "x", "80,", "٨٠", ",".join(["80"] * 200)])
def test_ports_that_are_none(port: str) -> None:
    with pytest.raises(BadPorts):
        parse_ports({"port": [port]})
    with pytest.raises(BadPorts):
        parse_ports({})


# --- exec and attach over SPDY


async def command(client: SpdyClient, *types: str) -> dict[str, int]:
    return {kind: await client.stream(streamtype=kind) for kind in types}


async def test_a_command_over_spdy(bench: Bench) -> None:
    await bench.start(*RUNNING)
    path = "/exec/default/web/app?command=sh&command=-c&command=echo+out;echo+err+>%262;exit+3&output=1&error=1"
    async with spdy_client(bench, path, "v9.channel.k8s.io", V4, "v3.channel.k8s.io") as (client, head):
        assert f"X-Stream-Protocol-Version: {V4}\r\n" in head
        streams = await command(client, "error", "stdout", "stderr")
        assert await client.end_of(streams["stdout"]) == b"out\n"
        assert await client.end_of(streams["stderr"]) == b"err\n"
        status = json.loads(await client.end_of(streams["error"]))
        assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]


async def test_stdin_and_sizes_over_spdy(bench: Bench) -> None:
    await bench.start(*RUNNING)
    path = "/exec/default/web/app?command=cat&input=1&output=1&tty=1"
    async with spdy_client(bench, path, V4) as (client, _):
        streams = await command(client, "error", "stdin", "stdout", "resize")
        await client.send(streams["resize"], b'{"Width":80,"Height":24}\n{"Width":81,')
        await client.send(streams["resize"], b'"Height":25}\n')
        big = b"x" * 1_000_000
        await client.send(streams["stdin"], big)
        await client.until(lambda: len(client.received[streams["stdout"]]) == len(big))
        await client.send(streams["stdin"], b"", fin=True)
        assert await client.end_of(streams["stdout"]) == big
        assert json.loads(await client.end_of(streams["error"]))["status"] == "Success"
    assert bench.runtime.sizes == [(80, 24), (81, 25)]


@pytest.mark.parametrize("protocols", [(), ("v2.channel.k8s.io",), ("channel.k8s.io", "v3.channel.k8s.io")])
async def test_older_protocols_tell_a_failure_as_text(bench: Bench, protocols: tuple[str, ...]) -> None:
    await bench.start(*RUNNING)
    path = "/exec/default/web/app?command=sh&command=-c&command=exit+3&output=1"
    async with spdy_client(bench, path, *protocols) as (client, _):
        streams = await command(client, "error", "stdout")
        assert (await client.end_of(streams["error"])).endswith(b"command terminated with exit code 3")


async def test_a_spdy_client_that_leaves_ends_the_session(bench: Bench) -> None:
    await bench.start("cat", stdin=True)
    sessions = []
    attach = bench.runtime.attach

    async def noted(*args: Any, **kwargs: Any) -> Any:
        sessions.append(await attach(*args, **kwargs))
        return sessions[-1]

    bench.runtime.attach = noted  # type: ignore[method-assign]
    for opened in (("error",), ("error", "stdin", "stdout")):  # while streams are awaited, and after
        async with spdy_client(bench, "/attach/default/web/app?input=1&output=1", V4) as (client, _):
            streams = await command(client, *opened)
            if len(opened) > 1:
                await client.send(streams["stdin"], b"line\n")
                await client.until(lambda number=streams["stdout"]: client.received[number] == b"line\n")
    for session in sessions:
        await asyncio.wait_for(session.closed.wait(), 5)
    assert len(sessions) == 2


@pytest.mark.parametrize(
    ("path", "protocol", "status"),
    [
        ("/exec/default/web/app?command=true&output=1", "v9.channel.k8s.io", 403),
        ("/portForward/default/web", "v9.k8s.io", 403),
        ("/exec/default/web/none?command=true&output=1", V4, 404),
        ("/exec/default/web/app?command=true", V4, 400),
        ("/portForward/default/none", "portforward.k8s.io", 404),
        ("/portForward/default", "portforward.k8s.io", 404),
    ],
)
async def test_spdy_requests_that_cannot_be_are_refused(bench: Bench, path: str, protocol: str, status: int) -> None:
    await bench.start(*RUNNING)
    async with spdy_client(bench, path, protocol) as (_, head):
        assert head.startswith(f"HTTP/1.1 {status} ")


async def test_a_request_without_an_upgrade_says_what_is_missing(bench: Bench) -> None:
    await bench.start(*RUNNING)
    answer = await bench.get("/exec/default/web/app?command=true&output=1")
    assert (answer.status_code, answer.text) == (400, "unable to upgrade: want a WebSocket or SPDY/3.1")
    assert (await bench.get("/portForward/default/web", certificate=False)).status_code == 401


# --- older WebSocket protocols


async def test_base64_channels(bench: Bench) -> None:
    await bench.start(*RUNNING)
    path = "/exec/default/web/app?command=cat&stdin=1&stdout=1"
    async with bench.socket(path, protocol="base64.channel.k8s.io") as socket:
        assert await socket.recv() == "1"
        await socket.send("0" + base64.b64encode(b"hello").decode())
        assert await socket.recv() == "1" + base64.b64encode(b"hello").decode()
        await socket.send("0!")
        with pytest.raises(ConnectionClosed):
            await socket.recv()


async def test_the_first_protocol_says_nothing_about_success(bench: Bench) -> None:
    await bench.start(*RUNNING)
    for code, last in ((0, (1, b"")), (3, (3, b"command terminated with exit code 3"))):
        path = f"/exec/default/web/app?command=sh&command=-c&command=exit+{code}&stdout=1"
        async with bench.socket(path, protocol="channel.k8s.io") as socket:
            channel, text = (await messages(socket))[-1]
            assert (channel, text[-len(last[1]) :] if last[1] else text) == last
