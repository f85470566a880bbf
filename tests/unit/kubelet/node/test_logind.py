"""What systemd-logind is asked for, and says, when the host is switched off. The answers are a real bus'."""

from __future__ import annotations

import asyncio
import os
import socket
from base64 import b64decode
from pathlib import Path

import pytest

from kubelet.node.logind import follow_logind
from tests.fakes.clock import FakeClock

GREETING = b"OK ebfd75c77fd23e328ac198df6b0c42c4\r\nAGREE_UNIX_FD\r\n"
HELLO = b64decode(
    "bAIBAQkAAAABAAAAPQAAAAYBcwAEAAAAOjEuMQAAAAAFAXUAAQAAAAgBZwABcwAABwFzABQAAABvcmcuZnJlZWRlc2t0b3AuREJ1cwAAAAAE"
    "AAAAOjEuMQA="
)
DELAY = b64decode(
    "bAIAARAAAAAEAAAALQAAAAUBdQADAAAABgFzAAQAAAA6MS4xAAAAAAgBZwABdgAABwFzAAQAAAA6MS4wAAAAAAF0AAAAAAAAQEtMAAAAAAA="
)
LOCK = b64decode(
    "bAIAAQQAAAAFAAAANQAAAAUBdQAEAAAABgFzAAQAAAA6MS4xAAAAAAgBZwABaAAACQF1AAEAAAAHAXMABAAAADoxLjAAAAAAAAAAAA=="
)
SHUTDOWN = b64decode(
    "bAQAAQQAAAAGAAAAfQAAAAEBbwAXAAAAL29yZy9mcmVlZGVza3RvcC9sb2dpbjEAAgFzAB4AAABvcmcuZnJlZWRlc2t0b3AubG9naW4xLk1hbmFn"
    "ZXIAAAMBcwASAAAAUHJlcGFyZUZvclNodXRkb3duAAAAAAAACAFnAAFiAAAHAXMABAAAADoxLjAAAAAAAQAAAA=="
)
NO_SHUTDOWN = SHUTDOWN[:-4] + bytes(4)
UNKNOWN = (
    b"l\x03\x01\x01K\x00\x00\x00\x04\x00\x00\x00u\x00\x00\x00\x06\x01s\x00\x04\x00\x00\x00:1.2\x00\x00\x00\x00"
    b"\x04\x01s\x00)\x00\x00\x00org.freedesktop.DBus.Error.ServiceUnknown\x00\x00\x00\x00\x00\x00\x00"
    b"\x05\x01u\x00\x03\x00\x00\x00\x08\x01g\x00\x01s\x00\x00\x07\x01s\x00\x14\x00\x00\x00org.freedesktop.DBus\x00\x00\x00\x00"
    b"F\x00\x00\x00The name org.freedesktop.login1 was not provided by any .service files\x00"
)


class Bus:
    """Greets, and sends what a test has it say, in pieces of a few bytes."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.listener.setblocking(False)

    async def accept(self) -> bytes:
        """Returns what the client asks for."""
        loop = asyncio.get_running_loop()
        self.client, _ = await loop.sock_accept(self.listener)
        asked = b""
        while not asked.endswith(b"delay\0"):
            asked += await loop.sock_recv(self.client, 4096)
        return asked

    async def say(self, *messages: bytes) -> None:
        data = b"".join(messages)
        for begin in range(0, len(data), 7):
            await asyncio.get_running_loop().sock_sendall(self.client, data[begin : begin + 7])
            await asyncio.sleep(0)

    def close(self) -> None:
        self.client.close()


async def test_the_shutdown_waits_until_the_kubelet_ends(tmp_path: Path) -> None:
    bus, begins = Bus(tmp_path / "bus"), asyncio.Event()
    following = asyncio.create_task(follow_logind(begins, 30, FakeClock(), bus.path))
    asked = await bus.accept()
    assert asked.startswith(b"\0AUTH EXTERNAL %s\r\n" % str(os.getuid()).encode().hex().encode())
    for text in (b"member='PrepareForShutdown'", b"InhibitDelayMaxUSec", b"Inhibit\0", b"\0shutdown\0", b"kubelet\0"):
        assert text in asked
    await bus.say(GREETING, HELLO, DELAY)
    read, write = os.pipe()
    os.set_blocking(read, False)
    socket.send_fds(bus.client, [LOCK], [write])
    os.close(write)
    await bus.say(NO_SHUTDOWN)
    assert not begins.is_set()
    await bus.say(SHUTDOWN)
    await asyncio.wait_for(begins.wait(), 10)
    with pytest.raises(BlockingIOError):
        os.read(read, 1)  # the lock is held
    following.cancel()
    await asyncio.wait((following,))
    assert os.read(read, 1) == b"", "the lock is given back"
    os.close(read)
    bus.close()


async def test_a_bus_without_logind_or_that_goes_away_is_asked_again(tmp_path: Path) -> None:
    bus, clock = Bus(tmp_path / "bus"), FakeClock()
    following = asyncio.create_task(follow_logind(asyncio.Event(), 30, clock, bus.path))
    for answers in ((GREETING, HELLO, UNKNOWN), (GREETING,), (GREETING, HELLO)):
        accepted = asyncio.create_task(bus.accept())

        while not accepted.done():
            await clock.advance(1)
        await bus.say(*answers)
        bus.close()
    following.cancel()
    await asyncio.wait((following,))


async def test_a_host_without_a_bus_has_no_logind(tmp_path: Path) -> None:
    await follow_logind(asyncio.Event(), 30, FakeClock(), str(tmp_path / "none"))
