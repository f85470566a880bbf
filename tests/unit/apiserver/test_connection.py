"""A connection whose client sends its head slowly, without end, or badly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn

from apiserver.http import server
from apiserver.http.server import MAX_HEAD_BYTES, ApiProtocol, ApiServerState


class FakeTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.ended = ""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += bytes(data)

    def close(self) -> None:
        self.ended = self.ended or "closed"

    def abort(self) -> None:
        self.ended = "aborted"

    def is_closing(self) -> bool:
        return bool(self.ended)

    def resume_reading(self) -> None: ...

    def pause_reading(self) -> None: ...


def connected(test: Callable[[ApiProtocol, FakeTransport], None]) -> None:
    async def run() -> None:
        app: Any = None
        config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", http=ApiProtocol)
        config.load()
        transport = FakeTransport()
        protocol = ApiProtocol(config, ApiServerState(app), {}, asyncio.get_running_loop())
        protocol.connection_made(transport)
        test(protocol, transport)
        await asyncio.sleep(0)

    asyncio.run(run())


def test_a_head_may_not_be_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    def test(protocol: ApiProtocol, transport: FakeTransport) -> None:
        protocol.data_received(b"GET / HTTP/1.1\r\nX: ")
        protocol.close_if_idle(before=-1.0)
        assert transport.ended == ""
        monkeypatch.setattr(server, "HEAD_SECONDS", -1.0)
        protocol.close_if_idle(before=-1.0)
        assert transport.ended == "aborted"

    connected(test)


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nX: "])
def test_a_head_may_not_be_endless(monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
    monkeypatch.setattr(server, "LINGER_SECONDS", 0)

    def test(protocol: ApiProtocol, transport: FakeTransport) -> None:
        protocol.data_received(start)
        for _ in range(MAX_HEAD_BYTES // 65536 + 1):
            protocol.data_received(b"a" * 65536)
        head, _, body = transport.sent.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 431 ")
        assert json.loads(body)["code"] == 431
        for _ in range(10):
            protocol.data_received(b"a" * 65536)
        assert transport.sent.count(b"HTTP/1.1") == 1
        assert (
            len(protocol.url) + sum(len(name) + len(value) for name, value in protocol.headers)
            <= MAX_HEAD_BYTES + 65536
        )

    connected(test)
