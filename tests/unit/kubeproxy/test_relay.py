"""The node's own proxy, on loopback: nothing redirects there, so that its own address stands for the Service's."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop

from kubeproxy.flows.relay import Relay
from kubeproxy.topology import Balance, Endpoint, ServicePort
from tests.kits.eventually import eventually_async

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
MUCH = random.Random(1).randbytes(3_000_000)


async def answer_at_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    said = await reader.read()
    writer.write(said[::-1])
    await writer.drain()
    writer.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(10_000):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def relayed(*servers: Serve) -> AsyncIterator[Relay]:
    """A relay that leads to these servers, and to one that nobody listens on."""
    relay = Relay((4,))
    running = [await asyncio.start_server(serve, "127.0.0.1", 0) for serve in servers]
    ends = [Endpoint("127.0.0.1", server.sockets[0].getsockname()[1]) for server in running]
    port = ServicePort(
        "default", "web", "", "tcp", "127.0.0.1", relay.port, cluster_endpoints=(Endpoint("127.0.0.1", 1), *ends),
        balance=Balance.LEAST_CONNECTIONS, has_endpoints=True,
    )  # fmt: skip
    relay.update({"default/web": (port,)})
    serving = asyncio.get_running_loop().create_task(relay.run())
    try:
        yield relay
    finally:
        serving.cancel()
        for server in running:
            server.close()


async def ask(relay: Relay, said: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
    writer.write(said)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


def on_uvloop(main: Callable[[], Awaitable[None]]) -> None:
    """Runs as the daemon does: its loop reads a new connection whatever the protocol says."""

    async def run() -> None:
        await main()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


@pytest.mark.parametrize("said", [b"", b"early", MUCH], ids=["nothing", "little", "much"])
def test_nothing_is_lost_in_either_direction(said: bytes) -> None:
    async def play() -> None:
        async with relayed(answer_at_the_end) as relay:
            assert await asyncio.gather(*(ask(relay, said) for _ in range(8))) == [said[::-1]] * 8
            await eventually_async(lambda: not relay.open)

    on_uvloop(play)


def test_a_slow_reader_slows_the_sender() -> None:
    async def play() -> None:
        async with relayed(echo) as relay:
            reader, writer = await asyncio.open_connection("127.0.0.1", relay.port, limit=1000)
            writer.write(MUCH)
            writer.write_eof()
            received = b""
            while part := await reader.read(50_000):
                received += part
            assert received == MUCH
            writer.close()
            await eventually_async(lambda: not relay.open)

    on_uvloop(play)


def test_a_client_that_breaks_off_is_forgotten() -> None:
    async def play() -> None:
        async with relayed(echo) as relay:
            _, writer = await asyncio.open_connection("127.0.0.1", relay.port)
            await eventually_async(lambda: sum(relay.open.values()) == 1)
            writer.transport.abort()
            await eventually_async(lambda: not relay.open)

    on_uvloop(play)


def test_those_with_the_fewest_are_chosen() -> None:
    relay = Relay((4,))
    one, two, three = (Endpoint(f"10.0.0.{number}", 80) for number in (1, 2, 3))
    relay.open.update({one: 2, two: 1, three: 1})
    assert {relay.choose([one, two, three]) for _ in range(50)} == {two, three}
    assert relay.choose([one]) == one
