"""The drivers of dynamic resources on this node, and what becomes of the devices that they offer when they are gone.

Source: upstream: a driver has 30 s to come back before its ResourceSlices of this node are removed; a kubelet that
starts removes those of all drivers, which publish them again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from apimachinery.errors import StatusError
from componentbase import logs
from componentbase.clock import Clock
from kubeapi.resource.resourceslice import ResourceSlice
from kubeclient.backoff import Backoff
from kubeclient.rest import RestClient
from kubelet.dra.messages import SERVICES, ClaimsRequest, PrepareResponse, UnprepareResponse
from kubelet.plugins.rpc import PluginClient, RpcError
from kubelet.plugins.watcher import PluginInfo, PluginRefused
from kubelet.volume.csi.drivers import OwnNode

CALL_SECONDS = 45.0
GRACE_SECONDS = 30.0
FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS = 0.5, 30.0

log = logs.logger(__name__)


class DriverMissing(Exception):
    """No driver of the name is registered: the text for events."""


@dataclass(slots=True)
class DraDriver:
    """One instance of a driver; during an update of the driver there are two."""

    name: str
    client: PluginClient
    service: str
    connected: bool = False
    following: asyncio.Task[None] | None = None

    async def prepare(self, request: ClaimsRequest) -> PrepareResponse:
        """Raises: RpcError."""
        path = f"{self.service}/NodePrepareResources"
        return await self.client.call(path, request, PrepareResponse, timeout_seconds=CALL_SECONDS)

    async def unprepare(self, request: ClaimsRequest) -> UnprepareResponse:
        """Raises: RpcError."""
        path = f"{self.service}/NodeUnprepareResources"
        return await self.client.call(path, request, UnprepareResponse, timeout_seconds=CALL_SECONDS)


@dataclass(slots=True)
class _Instances:
    """The instances of one driver, the latest last. `removal` waits to remove its slices."""

    drivers: list[DraDriver] = field(default_factory=list)
    removal: asyncio.Task[None] | None = None


class DraDrivers:
    """Implements `PluginHandler`."""

    def __init__(self, rest: RestClient, node: OwnNode, clock: Clock, tasks: asyncio.TaskGroup) -> None:
        self._rest, self._node, self._clock, self._tasks = rest, node, clock, tasks
        self._by_name: dict[str, _Instances] = {}
        self.on_registered: Callable[[str], None] = lambda name: None
        """Called with the name of each driver that has registered."""

    def get(self, name: str) -> DraDriver:
        """Returns the latest instance, and one that is connected rather than another. Raises: DriverMissing."""
        instances = self._by_name.get(name, _Instances()).drivers
        if not instances:
            raise DriverMissing(f"DRA driver {name} is not registered")
        return next((item for item in reversed(instances) if item.connected), instances[-1])

    async def run(self) -> None:
        """Removes what drivers offered before this kubelet started: they may never come back."""
        await self._node.wait_until(lambda node: bool(node.metadata.uid))
        await self._remove_slices("")

    async def register(self, info: PluginInfo, socket_path: str) -> None:
        """Raises: PluginRefused."""
        service = next((path for name, path in SERVICES.items() if name in info.supported_versions), None)
        if service is None:
            raise PluginRefused(
                f"invalid supported gRPC versions of DRA driver plugin {info.name} at endpoint {socket_path}: "
                f"none of {list(info.supported_versions)} is among {list(SERVICES)}"
            )
        instances = self._by_name.setdefault(info.name, _Instances())
        if any(item.client.socket_path == socket_path for item in instances.drivers):
            raise PluginRefused(f"endpoint {socket_path} already registered for DRA driver plugin {info.name}")
        driver = DraDriver(info.name, PluginClient(socket_path), service)
        instances.drivers.append(driver)
        driver.following = self._tasks.create_task(self._follow(driver))
        self.on_registered(info.name)

    async def deregister(self, name: str, socket_path: str) -> None:
        instances = self._by_name.get(name, _Instances())
        for driver in [item for item in instances.drivers if item.client.socket_path == socket_path]:
            instances.drivers.remove(driver)
            if driver.following is not None:
                driver.following.cancel()
            driver.client.close()
        self._reconsider_slices(name)

    async def _follow(self, driver: DraDriver) -> None:
        """Notices when the driver dies without a word, and when it is back at the same socket."""
        backoff = Backoff(FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS)
        while True:
            try:
                lost = await driver.client.connect()
            except RpcError:
                self._reconsider_slices(driver.name)
                await self._clock.sleep(backoff.next_seconds())
                continue
            backoff.reset()
            driver.connected = True
            self._reconsider_slices(driver.name)
            await lost.wait()
            driver.connected = False
            log.info("driver lost", driver=driver.name, socket=driver.client.socket_path)
            self._reconsider_slices(driver.name)

    def _reconsider_slices(self, name: str) -> None:
        """Has the driver's slices removed in a while, unless an instance of it is there by then."""
        instances = self._by_name.get(name)
        if instances is None:
            return
        if any(item.connected for item in instances.drivers):
            if instances.removal is not None:
                instances.removal.cancel()
                instances.removal = None
        elif instances.removal is None:
            instances.removal = self._tasks.create_task(self._remove_later(name))

    async def _remove_later(self, name: str) -> None:
        await self._clock.sleep(GRACE_SECONDS)
        await self._remove_slices(name)
        if not self._by_name[name].drivers:
            del self._by_name[name]

    async def _remove_slices(self, driver: str) -> None:
        """Removes the slices of this node, of one driver or of all."""
        selector = f"spec.nodeName={self._node.current().name}" + (f",spec.driver={driver}" if driver else "")
        backoff = Backoff(FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS)
        while True:
            try:
                await self._rest.delete_collection(ResourceSlice, field_selector=selector)
                return
            except (StatusError, OSError) as error:
                log.warning("ResourceSlices not removed, will retry", selector=selector, error=str(error))
                await self._clock.sleep(backoff.next_seconds())
