"""gRPC on Unix sockets."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

from kubelet.plugins.rpc import PluginServer
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
