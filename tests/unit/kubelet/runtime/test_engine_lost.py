"""A container engine that goes away under a connection, on the event loop that the kubelet has."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kubelet.node.pleg import Pleg
from kubelet.runtime.docker import streams as docker_streams
from kubelet.runtime.docker.streams import EngineStreams, HijackedSession
from kubelet.runtime.interface import EngineError, PodRef, RuntimeUnavailable, SandboxConfig
from tests.fakes.clock import FakeClock, idle
from tests.fakes.runtime import FakeRuntime
from tests.kits.backend import UVLOOP

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
        answer = await EngineStreams(str(tmp_path / "socket")).open("POST", "/exec/1/start", upgrade=True)
        session = HijackedSession(answer, tty=True, resize=no_size, exit_code=no_code)
        assert [item async for item in session.output()] == []
        for _ in range(3):
            await session.write(b"anybody there?\n")
        await session.close_stdin()
        await session.close()


@on_uvloop
async def test_a_connection_that_is_lost_before_the_request_is_no_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = asyncio.open_unix_connection

    async def connect_and_lose(*arguments: Any, **options: Any) -> Any:
        reader, writer = await connect(*arguments, **options)
        writer.transport.abort()
        await asyncio.sleep(0)
        return reader, writer

    server = await asyncio.start_unix_server(lambda reader, writer: writer.close(), str(tmp_path / "socket"))
    async with server:
        monkeypatch.setattr(docker_streams.asyncio, "open_unix_connection", connect_and_lose)
        with pytest.raises(RuntimeUnavailable, match="closed by the other side"):
            await EngineStreams(str(tmp_path / "socket")).open("GET", "/events")


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
