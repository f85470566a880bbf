"""gRPC calls against a scripted server on loopback: answers, failures, deadlines, reconnection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from componentbase.net import http2
from componentbase.net.http2 import frame
from etcdclient.channel import Channel, RpcError
from etcdclient.client import EtcdClient, EtcdConfig, EtcdUnavailable
from tests.kits.control_plane.http2 import HEAD, OK, Peer, answer, block, number, serving
from tests.kits.process import free_port

WHOLE = http2.END_HEADERS | http2.END_STREAM
LONG_SECONDS = 10.0


@asynccontextmanager
async def channel_to(address: str, **times: float) -> AsyncIterator[Channel]:
    channel = Channel(address, None, **times)
    try:
        yield channel
    finally:
        await channel.close()


async def call(channel: Channel, message: bytes = b"ask", seconds: float = LONG_SECONDS, wait: bool = False) -> bytes:
    return await channel.unary("/service/Method", message, timeout_seconds=seconds, wait_for_ready=wait)


async def echo(peer: Peer) -> None:
    await peer.begin()
    while True:
        stream, _, message = await peer.request()
        peer.send(answer(stream, message))


def only_answers(data: bytes) -> Any:
    """A script that gives this to its first call on stream 1, and nothing more."""

    async def script(peer: Peer) -> None:
        await peer.begin()
        await peer.request()
        peer.send(data)

    return script


async def test_a_call_and_its_answer() -> None:
    asked: list[dict[str, str]] = []

    async def script(peer: Peer) -> None:
        await peer.begin()
        for _ in range(2):
            stream, headers, message = await peer.request()
            asked.append(headers)
            peer.send(answer(stream, message * 2))

    async with serving(script) as address, channel_to(address) as channel:
        assert await call(channel, b"a", seconds=1.5) == b"aa"
        assert await call(channel, b"") == b""
        assert asked[0] == {
            ":method": "POST",
            ":scheme": "http",
            ":path": "/service/Method",
            ":authority": address,
            "te": "trailers",
            "content-type": "application/grpc",
            "user-agent": "mini-kubernetes",
            "grpc-timeout": "1500m",
        }


@pytest.mark.parametrize(
    ("data", "code", "details"),
    [
        (
            frame(
                http2.HEADERS,
                WHOLE,
                1,
                block((":status", "200"), ("grpc-status", "5"), ("grpc-message", "no%20%C3%A9")),
            ),
            "NOT_FOUND",
            "no é",
        ),
        (answer(1, b"half", end=block(("grpc-status", "8"), ("grpc-message", "full"))), "RESOURCE_EXHAUSTED", "full"),
        (answer(1, b"", end=block(("grpc-status", "99"))), "UNKNOWN", ""),
        (answer(1, b"", end=block(("other", "1"))), "UNKNOWN", "HTTP status missing and no gRPC status"),
        (
            frame(http2.HEADERS, WHOLE, 1, block((":status", "503"))),
            "UNAVAILABLE",
            "HTTP status 503 and no gRPC status",
        ),
        (
            frame(http2.HEADERS, http2.END_HEADERS, 1, HEAD) + frame(http2.DATA, http2.END_STREAM, 1, b"\0\0\0\0\1x"),
            "INTERNAL",
            "the answer has no status",
        ),
        (
            frame(http2.HEADERS, http2.END_HEADERS, 1, HEAD) + frame(http2.HEADERS, WHOLE, 1, OK),
            "INTERNAL",
            "the answer is not one plain message",
        ),
        (
            frame(http2.DATA, 0, 1, b"\1\0\0\0\1x") + frame(http2.HEADERS, WHOLE, 1, OK),
            "INTERNAL",
            "the answer is not one plain message",
        ),
        (
            frame(http2.DATA, 0, 1, b"\0\0\0\0\2x") + frame(http2.HEADERS, WHOLE, 1, OK),
            "INTERNAL",
            "the answer is not one plain message",
        ),
        (frame(http2.RST_STREAM, 0, 1, number(http2.CANCEL)), "UNAVAILABLE", "stream reset (8)"),
    ],
)
async def test_what_a_failed_call_is_told(data: bytes, code: str, details: str) -> None:
    async with serving(only_answers(data)) as address, channel_to(address) as channel:
        with pytest.raises(RpcError) as caught:
            await call(channel)
        assert (caught.value.code, caught.value.details) == (code, details)
        assert not caught.value.unsent


async def test_an_answer_that_is_too_late_is_called_off() -> None:
    called_off = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.begin()
        stream, _, _ = await peer.request()
        assert await peer.frame(http2.RST_STREAM) == (http2.RST_STREAM, 0, stream, number(http2.CANCEL))
        peer.send(answer(stream, b"late"))
        called_off.set()
        stream, _, message = await peer.request()
        peer.send(answer(stream, message))

    async with serving(script) as address, channel_to(address) as channel:
        with pytest.raises(RpcError, match="DEADLINE_EXCEEDED") as caught:
            await call(channel, seconds=0.05)
        assert not caught.value.unsent
        await called_off.wait()
        assert await call(channel, b"next") == b"next"


async def test_a_caller_that_gives_up_calls_off() -> None:
    async def script(peer: Peer) -> None:
        await peer.begin()
        stream, _, _ = await peer.request()
        asked.set()
        assert (await peer.frame(http2.RST_STREAM)).stream == stream
        gone.set()

    asked, gone = asyncio.Event(), asyncio.Event()

    async with serving(script) as address, channel_to(address) as channel:
        task = asyncio.ensure_future(call(channel))
        await asked.wait()
        task.cancel()
        await gone.wait()


async def test_calls_that_the_peer_never_looked_at_are_made_again_elsewhere() -> None:
    async def leaving(peer: Peer) -> None:
        await peer.begin()
        first, _, message = await peer.request()
        await peer.request()
        peer.send(frame(http2.GOAWAY, 0, 0, number(first) + number(0)) + answer(first, message + b" from the old"))

    async def staying(peer: Peer) -> None:
        await peer.begin()
        stream, _, message = await peer.request()
        peer.send(frame(http2.RST_STREAM, 0, stream, number(http2.REFUSED_STREAM)))
        stream, _, message = await peer.request()
        peer.send(answer(stream, message + b" from the new"))

    async with serving(leaving, staying) as address, channel_to(address) as channel:
        answers = await asyncio.gather(call(channel, b"1"), call(channel, b"2"))
        assert answers == [b"1 from the old", b"2 from the new"]


async def test_a_call_whose_connection_is_lost_is_not_made_again() -> None:
    calls = 0

    async def script(peer: Peer) -> None:
        nonlocal calls
        await peer.begin()
        await peer.request()
        calls += 1
        raise ConnectionResetError

    async with serving(script) as address, channel_to(address) as channel:
        for number_ in (1, 2):  # the next call makes a new connection
            with pytest.raises(RpcError, match="UNAVAILABLE") as caught:
                await call(channel)
            assert not caught.value.unsent
            assert calls == number_


async def test_without_a_server_a_call_fails_at_once_or_waits_for_one() -> None:
    async with channel_to(f"127.0.0.1:{free_port()}") as channel:
        with pytest.raises(RpcError, match="cannot connect") as caught:
            await call(channel)
        assert caught.value.unsent
        assert channel.down
        with pytest.raises(RpcError, match="DEADLINE_EXCEEDED") as caught:
            await call(channel, seconds=0.3, wait=True)
        assert caught.value.unsent
        waiting = [asyncio.ensure_future(call(channel, b"%d" % n, wait=True)) for n in range(3)]
        await asyncio.sleep(0)

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(asyncio.IncompleteReadError):
                await echo(Peer(reader, writer))

        server = await asyncio.start_server(accept, channel._host, channel._port)
        assert await asyncio.gather(*waiting) == [b"0", b"1", b"2"]
        server.close()


async def test_a_listener_that_says_nothing_is_no_connection() -> None:
    async def silent(peer: Peer) -> None:
        await peer.frame(http2.HEADERS)

    async with serving(silent) as address, channel_to(address, connect_seconds=0.1) as channel:
        with pytest.raises(RpcError, match="cannot connect"):
            await call(channel)


async def test_nothing_is_called_after_the_end() -> None:
    async with serving(echo) as address:
        channel = Channel(address, None)
        assert await call(channel, b"x") == b"x"
        await channel.close()
        with pytest.raises(RpcError, match="closed"):
            await call(channel, wait=True)


async def test_messages_of_a_stream_however_they_are_cut() -> None:
    messages = [b"one", b"", b"three" * 10_000, b"four"]

    async def script(peer: Peer) -> None:
        await peer.begin()
        stream, headers, message = await peer.request()
        assert (headers["hasleader"], message) == ("true", b"ask")
        assert "grpc-timeout" not in headers
        data = b"".join(b"\0" + number(len(m)) + m for m in messages)
        peer.send(frame(http2.HEADERS, http2.END_HEADERS, stream, HEAD))
        for at in range(0, len(data), 7_001):
            peer.send(frame(http2.DATA, 0, stream, data[at : at + 7_001]))
        peer.send(frame(http2.HEADERS, WHOLE, stream, block(("grpc-status", "14"), ("grpc-message", "leaving"))))

    async with serving(script) as address, channel_to(address) as channel:
        stream = await channel.stream(
            "/service/Method",
            b"ask",
            metadata=(("hasleader", "true"),),
            timeout_seconds=LONG_SECONDS,
            wait_for_ready=False,
        )
        assert [await stream.read() for _ in messages] == messages
        for _ in range(2):
            with pytest.raises(RpcError, match="UNAVAILABLE: leaving"):
                await stream.read()
        stream.close()


async def test_a_stream_that_is_closed_is_called_off() -> None:
    gone = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.begin()
        stream, _, _ = await peer.request()
        assert (await peer.frame(http2.RST_STREAM)).stream == stream
        gone.set()

    async with serving(script) as address, channel_to(address) as channel:
        stream = await channel.stream("/a/B", b"ask", timeout_seconds=LONG_SECONDS, wait_for_ready=False)
        stream.close()
        await gone.wait()


async def test_a_write_moves_on_only_from_an_endpoint_that_has_not_had_it() -> None:
    writes: list[str] = []

    def named(name: str, *, dies: bool) -> Any:
        async def script(peer: Peer) -> None:
            await peer.begin()
            while True:
                stream, _, _ = await peer.request()
                writes.append(name)
                if dies:
                    raise ConnectionResetError
                peer.send(answer(stream, b"\x0a\x02\x18\x07\x10\x01"))

        return script

    nothing = f"http://127.0.0.1:{free_port()}"
    async with serving(named("one", dies=True)) as one, serving(named("two", dies=False)) as two:
        client = EtcdClient(EtcdConfig([nothing, f"http://{one}", f"http://{two}"]))
        with pytest.raises(EtcdUnavailable):
            await client.put(b"key", b"value", 0)
        assert writes == ["one"]
        assert (await client.put(b"key", b"value", 0)).revision == 7
        assert writes == ["one", "two"]
        await client.close()
