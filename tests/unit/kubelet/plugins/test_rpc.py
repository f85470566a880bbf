"""gRPC on Unix sockets."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import pytest
from grpclib.const import Cardinality, Handler
from grpclib.encoding.base import CodecBase
from grpclib.server import Server

from kubelet.plugins.message import Empty
from kubelet.plugins.rpc import PluginClient, PluginServer, RpcError
from tests.kits.eventually import eventually_async


async def test_a_socket_may_be_deeper_than_the_kernel_takes_paths(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    serving = asyncio.create_task(PluginServer(str(folder / "kubelet.sock"), {}).run())

    async def private_socket() -> bool:
        return [stat.filemode(file.stat().st_mode) for file in folder.iterdir()] == ["srw-------"]

    await eventually_async(private_socket)
    serving.cancel()
    await asyncio.wait((serving,))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "answer",
    [b"\1\0\0\0\0", b"\0\0\0\0\x09too", b"\0\0", b"\0\0\0\0\1\xff", b"\0\0\0\0\5\x0a\xff\xff\xff\x0f"],
    ids=["compressed", "shorter than it says", "without a length", "not a message", "a field longer than all"],
)
async def test_an_answer_that_is_none_is_an_error_of_the_plugin(tmp_path: Path, answer: bytes) -> None:
    async def lie(stream: Any) -> None:
        await stream.recv_message()
        await stream.send_initial_metadata()
        await stream._stream.send_data(answer, end_stream=True)

    class Plugin:
        def __mapping__(self) -> dict[str, Handler]:
            return {"/p.P/Lie": Handler(lie, Cardinality.UNARY_STREAM, Raw, Raw)}

    path = str(tmp_path / "plugin.sock")
    server, client = Server([Plugin()], codec=RawCodec()), PluginClient(path)
    await server.start(path=path)
    try:
        with pytest.raises(RpcError):
            await client.call("/p.P/Lie", Empty(), Empty)
        with pytest.raises(RpcError):
            async for _ in client.stream("/p.P/Lie", Empty(), Empty):
                pass
    finally:
        client.close()
        server.close()
        await server.wait_closed()


async def test_a_cancellation_in_the_moment_the_connection_breaks_is_not_lost(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def silent(stream: Any) -> None:
        asked.set()
        await asyncio.Event().wait()

    class Plugin:
        def __mapping__(self) -> dict[str, Handler]:
            return {"/p.P/Ask": Handler(silent, Cardinality.UNARY_UNARY, Raw, Raw)}

    path = str(tmp_path / "plugin.sock")
    server, client = Server([Plugin()], codec=RawCodec()), PluginClient(path)
    await server.start(path=path)
    calling = asyncio.create_task(client.call("/p.P/Ask", Empty(), Empty))
    try:
        await asked.wait()
        calling.cancel()
        client.close()
        await asyncio.wait((calling,))
        assert calling.cancelled()
    finally:
        server.close()
        await server.wait_closed()


class Raw(bytes):
    """A message as it comes."""


class RawCodec(CodecBase):
    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        return bytes(message)

    def decode(self, data: bytes, message_type: Any) -> Raw:
        return Raw(data)
