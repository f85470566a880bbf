"""The storage drivers of this node: they register by their sockets, and the cluster learns of them by a CSINode.

Source: upstream: the CSINode's entry, the Node's annotation with the driver's ids, and its labels of topology.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from apimachinery.errors import AlreadyExists, NotFound, StatusError
from apimachinery.meta import ObjectMeta, OwnerReference
from componentbase import logs
from componentbase.clock import Clock
from kubeapi.core.node import Node
from kubeapi.storage.csinode import CSINode, CSINodeDriver, CSINodeSpec, VolumeNodeResources
from kubeclient.backoff import Backoff
from kubeclient.rest import STRATEGIC_MERGE_PATCH, RestClient
from kubelet.plugins.rpc import RpcError
from kubelet.plugins.watcher import PluginInfo, PluginRefused
from kubelet.volume.csi.driver import Driver
from kubelet.volume.csi.messages import NodeGetInfoResponse

NODE_ID_ANNOTATION = "csi.volume.kubernetes.io/nodeid"
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.5, 60.0

log = logs.logger(__name__)


class CsiError(Exception):
    """A volume can't be had, or given back, yet: the text for the event."""


class OwnNode(Protocol):
    """This node as the API has it."""

    def current(self) -> Node: ...

    async def wait_until(self, holds: Callable[[Node], bool]) -> None:
        """Returns when `holds` is true of the Node."""


class CsiDrivers:
    """Implements `PluginHandler`."""

    def __init__(self, rest: RestClient, node: OwnNode, clock: Clock, tasks: asyncio.TaskGroup) -> None:
        self._rest = rest
        self._node = node
        self._clock = clock
        self._tasks = tasks
        self._drivers: dict[str, Driver] = {}
        self._writing = asyncio.Lock()
        self.on_registered: Callable[[str], None] = lambda name: None
        """Called with the name of each driver that has registered."""

    def get(self, name: str) -> Driver:
        """Raises: CsiError."""
        driver = self._drivers.get(name)
        if driver is None:
            raise CsiError(f"driver name {name} not found in the list of registered CSI drivers")
        return driver

    def has(self, name: str) -> bool:
        return name in self._drivers

    async def run(self) -> None:
        """Makes the node's CSINode, once the node is registered: the scheduler counts volumes by it."""
        await self._node.wait_until(lambda node: bool(node.metadata.uid))
        await self._until_done(lambda: self._change(lambda drivers: drivers))

    async def register(self, info: PluginInfo, socket_path: str) -> None:
        """Raises: PluginRefused; RpcError; StatusError; OSError."""
        if not any(version.removeprefix("v").split(".")[0] == "1" for version in info.supported_versions):
            versions = ",".join(info.supported_versions) or "none"
            raise PluginRefused(f"CSI driver {info.name} serves none of the versions 1.x, but {versions}")
        driver = Driver(info.name, socket_path)
        try:
            facts = await driver.info()
            if not facts.node_id:
                raise PluginRefused("error updating CSINode object with CSI driver node info: nodeID must not be empty")
            await self._install(info.name, facts)
        except BaseException:
            driver.close()
            raise
        old = self._drivers.get(info.name)
        self._drivers[info.name] = driver
        if old is not None:
            old.close()
        self.on_registered(info.name)

    async def deregister(self, name: str, socket_path: str) -> None:
        driver = self._drivers.get(name)
        if driver is None or driver.socket_path != socket_path:
            return
        del self._drivers[name]
        driver.close()
        self._tasks.create_task(self._until_done(lambda: self._uninstall(name)))

    async def _install(self, name: str, facts: NodeGetInfoResponse) -> None:
        segments = facts.accessible_topology.segments if facts.accessible_topology is not None else {}
        count = facts.max_volumes_per_node
        entry = CSINodeDriver(
            name=name,
            nodeID=facts.node_id,
            topologyKeys=sorted(segments),
            allocatable=VolumeNodeResources(count=count) if count > 0 else None,
        )
        async with self._writing:
            await self._mark_node(lambda ids: ids | {name: facts.node_id}, segments)
            await self._change(lambda drivers: [*(item for item in drivers if item.name != name), entry])

    async def _uninstall(self, name: str) -> None:
        async with self._writing:
            if name in self._drivers:
                return  # it has come back
            await self._change(lambda drivers: [item for item in drivers if item.name != name])
            await self._mark_node(lambda ids: {key: value for key, value in ids.items() if key != name}, {})

    async def _mark_node(self, change: Callable[[dict[str, str]], dict[str, str]], labels: dict[str, str]) -> None:
        """Raises: PluginRefused when the node has another place already."""
        node = self._node.current()
        for key, value in labels.items():
            if node.labels.get(key, value) != value:
                why = f'driver reported "{key}":"{value}" but existing label is "{key}":"{node.labels[key]}"'
                raise PluginRefused(f"detected topology value collision: {why}")
        before = json.loads(node.annotations.get(NODE_ID_ANNOTATION) or "{}")
        after = change(before)
        if after == before and all(key in node.labels for key in labels):
            return
        text = json.dumps(after, separators=(",", ":"), sort_keys=True) if after else None  # null removes it
        patch: dict[str, Any] = {"metadata": {"annotations": {NODE_ID_ANNOTATION: text}, "labels": labels}}
        await self._rest.patch(Node, node.name, "", patch, content_type=STRATEGIC_MERGE_PATCH)

    async def _change(self, change: Callable[[list[CSINodeDriver]], list[CSINodeDriver]]) -> None:
        """Changes the drivers in the CSINode, which is made if it is missing or another Node's of the same name."""
        node = self._node.current()

        def edit(stored: CSINode) -> CSINode | None:
            drivers = change(stored.spec.drivers)
            if drivers == stored.spec.drivers:
                return None
            stored.spec.drivers = drivers
            return stored

        try:
            await self._rest.update_with(CSINode, node.name, "", edit)
        except NotFound:
            owner = OwnerReference(apiVersion="v1", kind="Node", name=node.name, uid=node.metadata.uid or "")
            metadata = ObjectMeta(name=node.name, ownerReferences=[owner])
            try:
                await self._rest.create(CSINode(metadata=metadata, spec=CSINodeSpec(drivers=change([]))))
            except AlreadyExists:
                await self._rest.update_with(CSINode, node.name, "", edit)

    async def _until_done(self, action: Callable[[], Coroutine[Any, Any, None]]) -> None:
        backoff = Backoff(FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS)
        while True:
            try:
                await action()
                return
            except (StatusError, OSError, RpcError) as error:
                log.warning("CSINode not written, will retry", error=str(error))
                await self._clock.sleep(backoff.next_seconds())
