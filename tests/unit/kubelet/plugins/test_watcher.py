"""Plugins that come, go, come again and are refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from componentbase.clock import Clock
from kubelet.plugins.watcher import PluginInfo, PluginRefused, PluginWatcher
from tests.kits.eventually import eventually_async
from tests.kits.plugins.registrar import Registrar
from tests.kits.tasks import Tasks


class Handler:
    def __init__(self) -> None:
        self.registered: dict[str, str] = {}
        self.log: list[str] = []
        self.refusals = 0

    async def register(self, info: PluginInfo, socket_path: str) -> None:
        if self.refusals:
            self.refusals -= 1
            raise PluginRefused("not today")
        self.registered[info.name] = socket_path
        self.log.append(f"+{info.name}")

    async def deregister(self, name: str, socket_path: str) -> None:
        if self.registered.get(name) == socket_path:
            del self.registered[name]
        self.log.append(f"-{name}")


@pytest.fixture
async def handler(tmp_path: Path) -> AsyncIterator[Handler]:
    handler, tasks = Handler(), Tasks()
    tasks.create_task(PluginWatcher(str(tmp_path / "registry"), {"CSIPlugin": handler}, Clock()).run())
    await eventually_async((tmp_path / "registry").exists)
    yield handler
    await tasks.end()


async def test_a_plugin_is_taken_told_and_forgotten(handler: Handler, tmp_path: Path) -> None:
    plugin = Registrar(tmp_path / "registry", "CSIPlugin", "d.example.com", "/run/csi.sock", ["1.0.0"])
    await asyncio.to_thread(plugin.start)
    await eventually_async(lambda: plugin.told == [""])
    assert handler.registered == {"d.example.com": "/run/csi.sock"}
    await asyncio.to_thread(plugin.stop)
    await eventually_async(lambda: handler.registered == {})


async def test_one_that_starts_again_registers_again(handler: Handler, tmp_path: Path) -> None:
    plugin = Registrar(tmp_path / "registry", "CSIPlugin", "d", "/run/csi.sock", ["1.0.0"])
    await asyncio.to_thread(plugin.start)
    await eventually_async(lambda: plugin.told == [""])
    await asyncio.to_thread(plugin.stop)
    await asyncio.to_thread(plugin.start)
    await eventually_async(lambda: plugin.told == ["", ""])
    assert handler.log == ["+d", "-d", "+d"]
    await asyncio.to_thread(plugin.stop)


async def test_a_refused_one_is_told_why_and_tried_again(handler: Handler, tmp_path: Path) -> None:
    handler.refusals = 1
    plugin = Registrar(tmp_path / "registry", "CSIPlugin", "d", "", ["1.0.0"])
    await asyncio.to_thread(plugin.start)
    await eventually_async(lambda: plugin.told == ["not today", ""])
    assert handler.registered == {"d": str(plugin.path)}  # no endpoint: it serves where it registers
    await asyncio.to_thread(plugin.stop)


async def test_an_unknown_type_and_a_socket_without_a_plugin_harm_nobody(handler: Handler, tmp_path: Path) -> None:
    (tmp_path / "registry" / "file").write_text("")
    odd = Registrar(tmp_path / "registry", "OddPlugin", "odd", "", [])
    dead = Registrar(tmp_path / "registry", "CSIPlugin", "dead", "", [])
    await asyncio.to_thread(dead.start)
    await asyncio.to_thread(dead._server.stop)
    await asyncio.to_thread(odd.start)
    good = Registrar(tmp_path / "registry", "CSIPlugin", "good", "", [])
    await asyncio.to_thread(good.start)
    await eventually_async(lambda: good.told == [""] and odd.told)
    assert odd.told[0].startswith("no handler registered for plugin type: OddPlugin at socket")
    for plugin in (odd, good):
        await asyncio.to_thread(plugin.stop)
