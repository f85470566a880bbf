"""Registers the plugins whose sockets appear in `--root-dir`/plugins_registry, and forgets those whose sockets leave.

A socket that is made anew is a plugin that has started again, and registers again. What went wrong is told to the
plugin, and tried again with backoff while its socket is there.
Source: Kubernetes, pluginregistration/v1.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from componentbase import logs
from componentbase.clock import Clock
from componentbase.host.inotify import FolderWatcher
from kubeclient.backoff import Backoff
from kubelet.plugins.message import Empty, Message
from kubelet.plugins.rpc import PluginClient, RpcError

INFO_SECONDS = 10.0
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.5, 120.0

log = logs.logger(__name__)


class PluginInfo(Message):
    """`endpoint` is the socket of its service; "" where that is the socket that it registers by."""

    type: str = ""
    name: str = ""
    endpoint: str = ""
    supported_versions: tuple[str, ...] = ()


class RegistrationStatus(Message):
    """Tells a plugin whether the kubelet has taken it."""

    plugin_registered: bool = False
    error: str = ""


class PluginRefused(Exception):
    """The kubelet does not take the plugin; the plugin is told this text."""


class PluginHandler(Protocol):
    """Takes the plugins of one type."""

    async def register(self, info: PluginInfo, socket_path: str) -> None:
        """Raises: PluginRefused; RpcError; StatusError; OSError."""

    async def deregister(self, name: str, socket_path: str) -> None:
        """Forgets the plugin, unless one of its name has registered since by another socket."""


@dataclass(slots=True)
class _Served:
    """A socket: what tells it from its successor at the same path, and the plugin, once it is registered."""

    identity: tuple[int, int]
    task: asyncio.Task[None] | None = None
    info: PluginInfo | None = None
    endpoint: str = ""


class PluginWatcher:
    """`handlers` by the type that a plugin calls itself: "CSIPlugin", "DevicePlugin"."""

    def __init__(self, folder: str, handlers: Mapping[str, PluginHandler], clock: Clock) -> None:
        self._folder = Path(folder)
        self._handlers = handlers
        self._clock = clock

    async def run(self) -> None:
        """Follows the folder until cancelled; plugins stay registered then. Raises: OSError."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        watcher, served = FolderWatcher(), dict[Path, _Served]()
        try:
            with watcher.watching(self._folder) as changed:
                async with asyncio.TaskGroup() as tasks:
                    while True:
                        changed.clear()
                        await self._follow(served, tasks)
                        await changed.wait()
        finally:
            watcher.close()

    async def _follow(self, served: dict[Path, _Served], tasks: asyncio.TaskGroup) -> None:
        """Ends what has left the folder, and serves what has come."""
        sockets = _sockets(self._folder)
        for path, plugin in list(served.items()):
            if sockets.get(path) != plugin.identity:
                del served[path]
                await self._end(plugin)
        for path, identity in sockets.items():
            if path not in served:
                plugin = served[path] = _Served(identity)
                plugin.task = tasks.create_task(self._serve(str(path), plugin))

    async def _end(self, plugin: _Served) -> None:
        if plugin.task is not None:
            plugin.task.cancel()
            await asyncio.wait((plugin.task,))
        if plugin.info is not None:
            log.info("plugin gone", type=plugin.info.type, name=plugin.info.name)
            await self._handlers[plugin.info.type].deregister(plugin.info.name, plugin.endpoint)

    async def _serve(self, socket_path: str, plugin: _Served) -> None:
        """Registers one plugin, however often that takes."""
        client, backoff = PluginClient(socket_path), Backoff(FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS)
        try:
            while plugin.info is None:
                try:
                    await self._register(client, plugin)
                except Exception as error:
                    log.warning("plugin not registered, will retry", socket=socket_path, error=str(error))
                    await self._clock.sleep(backoff.next_seconds())
        finally:
            client.close()

    async def _register(self, client: PluginClient, plugin: _Served) -> None:
        info = await client.call(f"{_SERVICE}/GetInfo", Empty(), PluginInfo, timeout_seconds=INFO_SECONDS)
        endpoint = info.endpoint or client.socket_path
        try:
            handler = self._handlers.get(info.type)
            if handler is None:
                raise PluginRefused(
                    f"no handler registered for plugin type: {info.type} at socket {client.socket_path}"
                )
            await handler.register(info, endpoint)
        except Exception as error:
            await self._notify(client, RegistrationStatus(False, str(error)))
            raise
        plugin.info, plugin.endpoint = info, endpoint
        log.info("plugin registered", type=info.type, name=info.name, endpoint=endpoint)
        await self._notify(client, RegistrationStatus(True))

    async def _notify(self, client: PluginClient, status: RegistrationStatus) -> None:
        """A plugin that does not listen is registered all the same, as upstream."""
        try:
            await client.call(f"{_SERVICE}/NotifyRegistrationStatus", status, Empty)
        except RpcError as error:
            log.warning("plugin not told of its registration", socket=client.socket_path, error=str(error))


_SERVICE = "/pluginregistration.Registration"


def _sockets(folder: Path) -> dict[Path, tuple[int, int]]:
    """Lists the sockets, but hidden ones, with what tells one from its successor at the same path."""
    found = {}
    for entry in os.scandir(folder):
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        if stat.S_ISSOCK(status.st_mode) and not entry.name.startswith("."):
            found[Path(entry.path)] = status.st_ino, status.st_ctime_ns
    return found
