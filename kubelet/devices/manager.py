"""Takes device plugins in, follows their devices, and gives devices to containers.

Source: Kubernetes documentation, "Device Plugins".
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from apimachinery.quantity import parse_quantity
from componentbase import logs
from kubeapi.core.pod.lifecycle import is_sidecar
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container, all_containers
from kubeapi.core.pod.validation.resources import is_extended
from kubelet.devices.allocation import Allocations, Choice, DeviceError, Held, Holder, choose
from kubelet.devices.messages import (
    HEALTHY,
    REGISTER,
    SERVICE,
    VERSION,
    AllocateRequest,
    AllocateResponse,
    ContainerAllocateRequest,
    ContainerAllocateResponse,
    ContainerPreferredAllocationRequest,
    DevicePluginOptions,
    ListAndWatchResponse,
    PreferredAllocationRequest,
    PreferredAllocationResponse,
    PreStartContainerRequest,
    RegisterRequest,
    TopologyInfo,
)
from kubelet.plugins.message import Empty
from kubelet.plugins.rpc import PluginClient, PluginServer, RpcError
from kubelet.plugins.watcher import PluginInfo, PluginRefused

FOLDER = "device-plugins"
SOCKET = "kubelet.sock"
CHECKPOINT = "kubelet_internal_checkpoint"
GRACE_SECONDS = 300.0  # for a plugin that has stopped to come back; then the node no longer has its resource
PRE_START_SECONDS = 30.0

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class DeviceCount:
    """The figures of one resource for the Node's status."""

    capacity: int
    allocatable: int


@dataclass(slots=True)
class _Plugin:
    """`client` is None while the plugin has stopped: its devices are unhealthy then, and later forgotten."""

    resource: str
    options: DevicePluginOptions = field(default_factory=DevicePluginOptions)
    client: PluginClient | None = None
    healthy: frozenset[str] = frozenset()
    unhealthy: frozenset[str] = frozenset()
    topologies: dict[str, TopologyInfo] = field(default_factory=dict)
    watching: asyncio.Task[None] | None = None
    forgetting: asyncio.TimerHandle | None = None

    @property
    def devices(self) -> frozenset[str]:
        return self.healthy | self.unhealthy


class DeviceManager:
    """Implements `PluginHandler`. `on_change` is called when the Node's figures may have changed."""

    def __init__(self, root_dir: str, on_change: Callable[[], None], tasks: asyncio.TaskGroup) -> None:
        self._folder = Path(root_dir, FOLDER)
        self._on_change = on_change
        self._tasks = tasks
        self._plugins: dict[str, _Plugin] = {}
        self._allocations = Allocations(self._folder / CHECKPOINT)
        self._allocating = asyncio.Lock()

    def load(self) -> None:
        """Recalls the devices in use, before any pod is admitted. Raises: OSError; ValueError."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        self._allocations.load()
        for resource, ids in self._allocations.registered.items():
            plugin = self._plugins[resource] = _Plugin(resource, unhealthy=frozenset(ids))
            self._expect_back(plugin)

    async def run(self) -> None:
        """Serves registrations until cancelled. Plugins register again when it removes their sockets."""
        for path in self._folder.iterdir():
            if path.is_socket():
                path.unlink(missing_ok=True)
        await PluginServer(str(self._folder / SOCKET), {REGISTER: (RegisterRequest, Empty, self._on_register)}).run()

    def counts(self) -> Mapping[str, DeviceCount]:
        """Returns the figures by resource; one that is gone counts 0."""
        return {
            resource: DeviceCount(len(plugin.devices), len(plugin.healthy))
            for resource, plugin in self._plugins.items()
        }

    def healthy(self) -> Mapping[str, frozenset[str]]:
        """Returns the devices that may be given to containers, by resource."""
        return {resource: plugin.healthy for resource, plugin in self._plugins.items()}

    def held(self, pod_uid: str, container: str) -> Mapping[str, tuple[str, ...]]:
        """Returns the devices of a container, by resource."""
        return {resource: held.devices for resource, held in self._allocations.of(pod_uid, container).items()}

    def topology(self, resource: str, device: str) -> TopologyInfo | None:
        """Returns what the plugin said last about a device's place; None where it said nothing."""
        plugin = self._plugins.get(resource)
        return plugin.topologies.get(device) if plugin is not None else None

    # Plugins

    async def _on_register(self, request: RegisterRequest) -> Empty:
        """Raises: RpcError."""
        endpoint = os.path.basename(request.endpoint)
        try:
            self._take(request.version, request.resource_name, str(self._folder / endpoint), request.options)
        except PluginRefused as error:
            raise RpcError("Unknown", str(error)) from None
        return Empty()

    async def register(self, info: PluginInfo, socket_path: str) -> None:
        """Takes a plugin of the registry's folder. Raises: PluginRefused; RpcError."""
        version = VERSION if VERSION in info.supported_versions else ",".join(info.supported_versions)
        client = PluginClient(socket_path)
        try:
            options = await client.call(f"{SERVICE}/GetDevicePluginOptions", Empty(), DevicePluginOptions)
        finally:
            client.close()
        self._take(version, info.name, socket_path, options)

    async def deregister(self, name: str, socket_path: str) -> None:
        plugin = self._plugins.get(name)
        if plugin is not None and plugin.client is not None and plugin.client.socket_path == socket_path:
            self._stop(plugin)

    def _take(self, version: str, resource: str, socket_path: str, options: DevicePluginOptions | None) -> None:
        """Raises: PluginRefused."""
        if version != VERSION:
            raise PluginRefused(
                f"requested API version {version!r} is not supported by kubelet. Supported version is {VERSION!r}"
            )
        if not is_extended(resource):
            raise PluginRefused(f"the ResourceName {resource!r} is invalid")
        plugin = self._plugins.setdefault(resource, _Plugin(resource))
        self._stop(plugin)
        plugin.options = options or DevicePluginOptions()
        plugin.client = PluginClient(socket_path)
        plugin.watching = self._tasks.create_task(self._follow(plugin, plugin.client))
        log.info("device plugin registered", resource=resource, socket=socket_path)

    async def _follow(self, plugin: _Plugin, client: PluginClient) -> None:
        """Takes what the plugin says about its devices, until it stops."""
        try:
            async for answer in client.stream(f"{SERVICE}/ListAndWatch", Empty(), ListAndWatchResponse):
                plugin.healthy = frozenset(device.ID for device in answer.devices if device.health == HEALTHY)
                plugin.unhealthy = frozenset(device.ID for device in answer.devices) - plugin.healthy
                plugin.topologies = {device.ID: device.topology for device in answer.devices if device.topology}
                self._expected(plugin)
                self._remember()
                self._on_change()
            log.info("device plugin stopped", resource=plugin.resource)
        except RpcError as error:
            log.warning("device plugin lost", resource=plugin.resource, error=str(error))
        finally:
            client.close()
        plugin.watching = None
        self._stop(plugin)

    def _stop(self, plugin: _Plugin) -> None:
        """Keeps the devices of a plugin that stopped, as unhealthy ones, until it comes back or its grace is over."""
        if plugin.watching is not None:
            plugin.watching.cancel()
        plugin.watching = plugin.client = None
        if plugin.healthy:
            plugin.unhealthy, plugin.healthy = plugin.devices, frozenset()
            self._on_change()
        self._expect_back(plugin)

    def _expect_back(self, plugin: _Plugin) -> None:
        if plugin.forgetting is None and plugin.devices:
            loop = asyncio.get_running_loop()
            plugin.forgetting = loop.call_later(GRACE_SECONDS, self._forget, plugin)

    def _expected(self, plugin: _Plugin) -> None:
        if plugin.forgetting is not None:
            plugin.forgetting.cancel()
            plugin.forgetting = None

    def _forget(self, plugin: _Plugin) -> None:
        plugin.forgetting, plugin.unhealthy = None, frozenset()
        self._remember()
        self._on_change()

    def _remember(self) -> None:
        """Saves the figures of the Node. Unlike an allocation, they are not worth failing for."""
        registered = {name: tuple(sorted(plugin.devices)) for name, plugin in self._plugins.items() if plugin.devices}
        if registered == self._allocations.registered:
            return
        self._allocations.registered = registered
        try:
            self._allocations.save()
        except OSError as error:
            log.warning("devices not saved", error=str(error))

    # Allocation

    def concerns(self, pod: Pod) -> bool:
        """Tells whether any container of the pod asks for a device of a plugin."""
        return any(map(self._requests, all_containers(pod.spec)))

    def _requests(self, container: Container) -> dict[str, int]:
        limits = container.resources.limits or {}
        return {name: int(parse_quantity(value)) for name, value in limits.items() if name in self._plugins}

    async def allocate(self, pod: Pod) -> None:
        """Gives all containers of the pod their devices, or none. Raises: DeviceError."""
        uid = pod.metadata.uid or ""
        async with self._allocating:
            known = uid in self._allocations.pods()
            again: dict[str, set[str]] = {}
            try:
                for container in pod.spec.initContainers or ():
                    given = await self._allocate(uid, container, again)
                    for resource, ids in given.items():
                        reusable = again.setdefault(resource, set())
                        reusable.difference_update(ids) if is_sidecar(container) else reusable.update(ids)
                for container in pod.spec.containers:
                    given = await self._allocate(uid, container, again)
                    for resource, ids in given.items():
                        again.get(resource, set()).difference_update(ids)
                self._allocations.save()
            except OSError as error:
                self._allocations.release(uid)
                raise DeviceError(f"the devices in use could not be saved: {error}") from None
            except BaseException:
                if not known:
                    self._allocations.release(uid)
                raise

    async def _allocate(
        self, uid: str, container: Container, again: Mapping[str, set[str]]
    ) -> dict[str, tuple[str, ...]]:
        """Returns the devices of the container by resource; those it has from before a restart it keeps."""
        given: dict[str, tuple[str, ...]] = {}
        before = self._allocations.of(uid, container.name)
        for resource, needed in self._requests(container).items():
            if not needed:
                continue
            held = before.get(resource)
            if held is None:
                plugin = self._plugins[resource]
                reusable = again.get(resource, ())
                choice = choose(
                    resource, needed, healthy=plugin.healthy, used=self._allocations.used(resource), again=reusable
                )
                try:
                    held = await self._ask(plugin, choice)
                except RpcError as error:
                    raise DeviceError(str(error)) from None
                self._allocations.hold(Holder(uid, container.name, resource), held)
            elif len(held.devices) != needed:
                raise DeviceError(
                    f"pod {uid!r} container {container.name!r} changed request for resource {resource!r} "
                    f"from {len(held.devices)} to {needed}"
                )
            given[resource] = held.devices
        return given

    async def _ask(self, plugin: _Plugin, choice: Choice) -> Held:
        """Has the plugin choose, where it wants to, and say how devices are reached. Raises: RpcError; DeviceError."""
        client = plugin.client
        if client is None:
            raise DeviceError(f"the plugin of {plugin.resource} has stopped")
        ids = choice.first()
        if plugin.options.get_preferred_allocation_available and choice.missing < len(choice.free):
            wish = ContainerPreferredAllocationRequest(
                tuple(sorted({*choice.fixed, *choice.free})), choice.fixed, len(choice.fixed) + choice.missing
            )
            answer = await client.call(
                f"{SERVICE}/GetPreferredAllocation", PreferredAllocationRequest((wish,)), PreferredAllocationResponse
            )
            ids = choice.preferred([item for one in answer.container_responses for item in one.deviceIDs])
        request = AllocateRequest((ContainerAllocateRequest(ids),))
        allocated = await client.call(f"{SERVICE}/Allocate", request, AllocateResponse)
        if len(allocated.container_responses) != 1:
            raise DeviceError(f"the plugin of {plugin.resource} did not answer for one container")
        return Held(ids, allocated.container_responses[0])

    def responses(self, pod_uid: str, container: str) -> list[ContainerAllocateResponse]:
        """Tells what the container needs to reach its devices."""
        return [held.response for held in self._allocations.of(pod_uid, container).values()]

    async def before_start(self, pod_uid: str, container: str) -> None:
        """Raises: RpcError."""
        for resource, held in self._allocations.of(pod_uid, container).items():
            plugin = self._plugins.get(resource)
            if plugin is None or plugin.client is None or not plugin.options.pre_start_required:
                continue
            request = PreStartContainerRequest(held.devices)
            path = f"{SERVICE}/PreStartContainer"
            await plugin.client.call(path, request, Empty, timeout_seconds=PRE_START_SECONDS)

    def release(self, pod_uid: str) -> None:
        """Takes the devices of a pod that has ended back. Raises: OSError."""
        if self._allocations.release(pod_uid):
            self._allocations.save()

    def keep(self, pod_uids: Collection[str]) -> None:
        """Takes the devices of all other pods back. Raises: OSError."""
        for uid in self._allocations.pods() - set(pod_uids):
            self.release(uid)
