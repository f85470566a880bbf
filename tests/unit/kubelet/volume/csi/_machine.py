"""A node with a storage driver whose kubelet dies and starts again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from apimachinery.model import from_dict
from kubeapi.core.node import Node
from kubeapi.core.persistentvolume.model import PersistentVolume
from kubeapi.core.pod.model import Pod
from kubeapi.storage.csidriver import CSIDriver
from kubeclient.rest import RestClient
from kubelet.plugins.watcher import PluginInfo
from kubelet.volume.csi.drivers import CsiDrivers
from kubelet.volume.csi.volume import CsiVolume, claimed_volume, inline_volume
from kubelet.volume.csi.volumes import CsiMount, CsiVolumes
from kubelet.volume.tokens import TokenManager
from tests.fakes.api import FakeApi
from tests.fakes.clock import FakeClock
from tests.kits.node.kubelet import make_pod
from tests.kits.plugins.csi_driver import CsiDriver
from tests.kits.tasks import Tasks

NAME = "folders.csi.example.com"


class Api(FakeApi):
    async def request(self, method: str, path: str, **_: Any) -> bytes:
        assert (method, path) == ("POST", "/api/v1/namespaces/default/serviceaccounts/robot/token")
        return b'{"status": {"token": "ey", "expirationTimestamp": "2040-01-01T00:00:00Z"}}'


class FakeNode:
    """The Node as the API has it; the test writes its status."""

    def __init__(self, api: FakeApi) -> None:
        self._api = api
        api.put(from_dict(Node, {"metadata": {"name": "worker-1", "uid": "node-uid"}}))
        self._changed = asyncio.Event()

    def current(self) -> Node:
        node: Node = self._api.find(Node, "worker-1")
        return node

    async def wait_until(self, holds: Callable[[Node], bool]) -> None:
        while not holds(self.current()):
            await self._changed.wait()

    def change(self, **status: Any) -> None:
        node = self.current().clone()
        node.status = node.status.model_copy(update=status)
        self._api.put(node)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class Machine:
    """A node whose kubelet dies and starts again, and whose driver does not."""

    def __init__(self, root: Path, tasks: Tasks) -> None:
        self.root = root
        self.tasks = tasks
        self.api = Api()
        self.node = FakeNode(self.api)
        self.woken: list[str] = []
        self.running: list[CsiDriver] = []
        self.events: list[str] = []

    def settings(self, **spec: Any) -> None:
        self.api.put(from_dict(CSIDriver, {"metadata": {"name": NAME}, "spec": {"attachRequired": False} | spec}))

    async def driver(self, *capabilities: int) -> CsiDriver:
        driver = CsiDriver(NAME, "node-7", self.root / "driver", capabilities=capabilities, mounts=False)
        await asyncio.to_thread(driver.start)
        self.running.append(driver)
        return driver

    async def start_kubelet(self) -> CsiVolumes:
        rest, group = cast(RestClient, self.api), cast(asyncio.TaskGroup, self.tasks)
        self.drivers = CsiDrivers(rest, self.node, FakeClock(), group)
        tokens = TokenManager(rest, self.woken.append, FakeClock())
        volumes = CsiVolumes(
            str(self.root),
            rest,
            self.drivers,
            self.node,
            tokens,
            self.woken.append,
            lambda: self._report(volumes),
            self,
        )
        volumes.load()
        self.volumes = volumes
        for driver in self.running:
            await self.drivers.register(PluginInfo("CSIPlugin", NAME, "", ("1.0.0",)), str(driver.socket))
        return volumes

    def event(self, obj: Any, type: str, reason: str, message: str, *, field_path: str = "") -> None:
        self.events.append(f"{type} {reason} {message}")

    def _report(self, volumes: CsiVolumes) -> None:
        self.node.change(volumesInUse=volumes.in_use() or None)

    def left(self) -> list[str]:
        """All files and folders that the kubelet has made."""
        places = (self.root / "pods", self.root / "plugins")
        kept = [path for place in places for path in place.rglob("*") if path.is_file()]
        return [str(path.relative_to(self.root)) for path in kept]

    def folder(self, pod: Pod, name: str) -> Path:
        return self.root / "pods" / (pod.metadata.uid or "") / "volumes/kubernetes.io~csi" / name


async def mounted(volumes: CsiVolumes, pod: Pod, volume: CsiVolume) -> CsiMount:
    await volumes.set_up(pod, volume, "v")
    return volumes.mount_of(pod.metadata.uid or "", volume)


def persistent(name: str = "pv-1", handle: str = "h-1", *, read_only: bool = False, **spec: Any) -> CsiVolume:
    source = {"driver": NAME, "volumeHandle": handle, "fsType": "ext4", "volumeAttributes": {"tier": "fast"}}
    source |= spec.pop("csi", {})
    document = {"metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteOnce"], "csi": source} | spec}
    return claimed_volume(from_dict(PersistentVolume, document), read_only=read_only)


def inline(pod: Pod) -> CsiVolume:
    assert pod.spec.volumes is not None
    return inline_volume(pod, pod.spec.volumes[0])


def inline_pod(**metadata: Any) -> Pod:
    csi = {"driver": NAME, "volumeAttributes": {"size": "1Gi"}, "nodePublishSecretRef": {"name": "s"}}
    return make_pod({"volumes": [{"name": "v", "csi": csi}], "serviceAccountName": "robot"}, **metadata)
