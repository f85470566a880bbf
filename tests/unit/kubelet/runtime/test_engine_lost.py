"""A container engine that goes away under a connection, on the event loop that the kubelet has."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kubelet.node.pleg import Pleg
from kubelet.runtime.configs import PodRef, SandboxConfig
from kubelet.runtime.docker import sessions
from kubelet.runtime.docker.client import EngineClient
from kubelet.runtime.docker.sessions import HijackedSession
from kubelet.runtime.interface import EngineError
from tests.fakes.clock import FakeClock, idle
from tests.fakes.runtime import FakeRuntime
from tests.kits.net.backend import UVLOOP

UPGRADED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"


async def no_size(width: int, height: int) -> None:
    return


async def no_code() -> int | None:
    return None


on_uvloop = pytest.mark.parametrize("anyio_backend", [UVLOOP])


@on_uvloop
async def test_input_for_a_process_that_is_gone_is_dropped(tmp_path: Path) -> None:
    async def end_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(UPGRADED)
        writer.close()

    server = await asyncio.start_unix_server(end_at_once, str(tmp_path / "socket"))
    async with server:
        client = EngineClient(f"unix://{tmp_path / 'socket'}")
        stream = await client.open("POST", "/exec/1/start", upgrade=True)
        session = HijackedSession(stream, tty=True, resize=no_size, exit_code=no_code)
        assert [item async for item in session.output()] == []
        for _ in range(3):
            await session.write(b"anybody there?\n")
        await session.close_stdin()
        await session.close()
        await client.close()


@on_uvloop
async def test_an_attach_that_came_after_its_containers_end_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine holds such a connection open until the container is started again."""
    monkeypatch.setattr(sessions, "ATTACH_END_SECONDS", 0.01)

    async def tell_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(UPGRADED + b"last")
        await reader.read()
        writer.close()

    async def ended() -> None:
        return

    server = await asyncio.start_unix_server(tell_nothing, str(tmp_path / "socket"))
    async with server, asyncio.timeout(10):
        client = EngineClient(f"unix://{tmp_path / 'socket'}")
        stream = await client.open("POST", "/containers/1/attach", upgrade=True)
        session = HijackedSession(stream, tty=True, resize=no_size, exit_code=no_code, container_end=ended)
        assert b"".join([data async for _, data in session.output()]) == b"last"
        await session.close()
        await client.close()


async def test_an_engine_that_refuses_its_events_is_asked_again() -> None:
    """One that is about to stop answers 500."""

    clock, woken = FakeClock(), list[str]()
    runtime = FakeRuntime(clock.now, clock.sleep)
    runtime.fail_next("events", EngineError("the container runtime answered 500"), times=2)
    pleg = Pleg(runtime, woken.append, clock)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(pleg.run())
        for _ in range(5):
            await clock.advance(1)
        await runtime.create_sandbox(SandboxConfig(PodRef("uid-1", "default", "web")))
        await idle()
        assert woken == ["uid-1"]  # by an event: nothing is listed before the clock moves
        running.cancel()
