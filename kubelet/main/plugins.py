"""Puts together what the kubelet does with plugins of all kinds, and the folder that they register in."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any

from componentbase.clock import Clock
from componentbase.daemon import FatalError
from kubeclient.rest import RestClient
from kubelet.container.events import Events
from kubelet.devices.manager import DeviceManager
from kubelet.dra.claims import ClaimManager
from kubelet.dra.drivers import DraDrivers
from kubelet.plugins.watcher import PluginHandler, PluginWatcher
from kubelet.volume.csi.drivers import CsiDrivers, OwnNode
from kubelet.volume.csi.volumes import CsiVolumes
from kubelet.volume.tokens import TokenManager


class NodePlugins:
    """`on_change` is called when the Node's status may have to tell something else."""

    def __init__(
        self,
        root_dir: str,
        rest: RestClient,
        node: OwnNode,
        tokens: TokenManager,
        wake: Callable[[str], None],
        on_change: Callable[[], None],
        events: Events,
        clock: Clock,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self.devices = DeviceManager(root_dir, on_change, tasks)
        self._drivers = CsiDrivers(rest, node, clock, tasks)
        self.storage = CsiVolumes(root_dir, rest, self._drivers, node, tokens, wake, on_change, events)
        self._dra_drivers = DraDrivers(rest, node, clock, tasks)
        self.claims = ClaimManager(root_dir, rest, self._dra_drivers, wake)
        handlers: dict[str, PluginHandler] = {
            "CSIPlugin": self._drivers,
            "DevicePlugin": self.devices,
            "DRAPlugin": self._dra_drivers,
        }
        self._watcher = PluginWatcher(os.path.join(root_dir, "plugins_registry"), handlers, clock)

    def load(self) -> None:
        """Recalls what pods have of plugins, before any pod is looked at. Raises: FatalError."""
        try:
            self.devices.load()
        except (OSError, ValueError, KeyError) as error:
            raise FatalError(f"{error}: end the pods of this node that use devices, and remove the file") from None
        try:
            self.claims.load()
        except (OSError, ValueError, KeyError) as error:
            raise FatalError(f"{error}: end the pods of this node that use claims, and remove the file") from None
        try:
            self.storage.load()
        except (OSError, ValueError, KeyError) as error:
            raise FatalError(f"what pods have mounted can't be read: {error}") from None

    def loops(self) -> list[Coroutine[Any, Any, None]]:
        return [self.devices.run(), self._drivers.run(), self._dra_drivers.run(), self._watcher.run()]
