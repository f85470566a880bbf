"""A kubelet without its edges: real workers, decisions and statuses, on a runtime and an API in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

from apimachinery.errors import NotFound
from apimachinery.model import from_dict, to_dict
from apimachinery.patch.strategic import strategic_merge_patch
from kubeapi.core.node import Node
from kubeapi.core.pod.model import Pod
from kubeapi.core.service.model import Service
from kubeclient.rest import RestClient
from kubelet.container.downward import NodeFacts
from kubelet.cpus.manager import CpuManager
from kubelet.devices.manager import DeviceManager
from kubelet.dra.claims import ClaimManager
from kubelet.main.assembly import Edges, PodMachinery, assemble
from kubelet.network.dns import ClusterDns
from kubelet.network.host_ports import HostPorts
from kubelet.node.housekeeping import Housekeeping
from kubelet.node.pleg import Pleg
from kubelet.pod.resources.hardware import Hardware
from kubelet.pod.table import PodTable
from kubelet.runtime.configs import DnsConfig
from kubelet.source.api import PodSource
from kubelet.volume.manager import VolumeManager
from kubelet.volume.objects import ObjectStore
from tests.fakes.clock import FakeClock
from tests.fakes.runtime import FakeRuntime
from tests.kits.node.kubelet import Objects, make_pod
from tests.kits.tasks import Tasks

FACTS = NodeFacts("worker-1", ("192.168.0.5",), {"cpu": Fraction(4)})


class PodApi:
    """Pods as an API server keeps them: the two writes that a kubelet makes, each seen by its watch at once."""

    def __init__(self) -> None:
        self.pods: dict[str, dict[str, Any]] = {}
        self.patches: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self.failures: list[Exception] = []
        self.on_change: Callable[[Pod], None] = lambda pod: None
        self.on_delete: Callable[[Pod], None] = lambda pod: None
        self._revision = 0

    def put(self, pod: Pod) -> Pod:
        return self._store(to_dict(pod))

    def get(self, name: str = "web") -> Pod:
        return from_dict(Pod, self.pods[name])

    def ask_deletion(self, name: str = "web", grace_seconds: int = 30) -> None:
        document = self.pods[name]
        metadata = document["metadata"] | {
            "deletionTimestamp": "2023-11-14T22:13:50Z",
            "deletionGracePeriodSeconds": grace_seconds,
        }
        self._store(document | {"metadata": metadata})

    def remove(self, name: str = "web") -> None:
        """A forced deletion."""
        self.on_delete(from_dict(Pod, self.pods.pop(name)))

    async def patch(self, model: Any, name: str, namespace: str, patch: Any, **_: Any) -> Pod:
        if self.failures:
            raise self.failures.pop(0)
        document = self.pods.get(name)
        if document is None or document["metadata"]["uid"] != patch["metadata"]["uid"]:
            raise NotFound(f'pods "{name}" not found')
        self.patches.append(patch["status"])
        return self._store(strategic_merge_patch(document, patch, Pod))

    async def delete(self, model: Any, name: str, namespace: str, *, grace_period_seconds: int, uid: str) -> None:
        if self.failures:
            raise self.failures.pop(0)
        document = self.pods.get(name)
        if document is None or document["metadata"]["uid"] != uid:
            raise NotFound(f'pods "{name}" not found')
        self.deleted.append(name)
        self.remove(name)

    def _store(self, document: dict[str, Any]) -> Pod:
        self._revision += 1
        metadata = document["metadata"] | {"resourceVersion": str(self._revision)}
        pod = from_dict(Pod, document | {"metadata": metadata})
        self.pods[pod.name] = to_dict(pod)
        self.on_change(pod)
        return pod


class BenchObjects(Objects):
    """Also tells what pods said they use."""

    def __init__(self) -> None:
        super().__init__()
        self.used: dict[str, set[Any]] = {}

    def use(self, uid: str, refs: Collection[Any]) -> None:
        self.used[uid] = set(refs)

    async def wait_synced(self, uid: str) -> None:
        return


class SyncedSource:
    """The pods of the API are known as soon as a kubelet starts."""

    async def wait_synced(self) -> None:
        return


class NoServices:
    def list(self) -> list[Service]:
        return []


class BenchNode:
    """A machine with 8 GiB, whose Node is what the bench says."""

    memory_bytes = 8 << 30

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def current(self) -> Node:
        return self._bench.node

    def facts(self) -> NodeFacts:
        return FACTS


@dataclass
class Bench:
    """One kubelet. `clock` moves only when a test moves it."""

    root: Path
    clock: FakeClock
    api: PodApi
    runtime: FakeRuntime
    objects: BenchObjects
    events: list[tuple[str, str]] = field(default_factory=list)
    cpus: CpuManager | None = None
    claims: ClaimManager | None = None
    node: Node = field(default_factory=lambda: from_dict(Node, {"metadata": {"name": "worker-1"}}))
    tasks: Tasks = field(default_factory=Tasks)
    table: PodTable = field(init=False)
    pods: PodMachinery = field(init=False)

    @property
    def volumes(self) -> VolumeManager:
        return self.pods.volumes

    @property
    def host_ports(self) -> HostPorts:
        return self.pods.host_ports

    def event(self, obj: Any, type: str, reason: str, message: str, *, field_path: str = "") -> None:
        self.events.append((reason, message))

    def reasons(self) -> list[str]:
        return [reason for reason, _ in self.events]

    def start(self) -> None:
        """Starts the kubelet; call it again after `kill` for the next life."""
        self.table = PodTable()
        self.devices = DeviceManager(str(self.root), lambda: None, cast(asyncio.TaskGroup, self.tasks))
        edges = Edges(
            runtime=self.runtime,
            rest=cast(RestClient, self.api),
            events=self,
            objects=cast(ObjectStore, self.objects),
            tokens=None,
            services=NoServices(),
            node=BenchNode(self),
            cluster_dns=ClusterDns(("10.96.0.10",)),
            node_dns=DnsConfig(),
            root_dir=str(self.root),
            hardware=Hardware(self.devices, self.cpus, self.claims),
            storage=None,
            clock=self.clock,
            tasks=cast(asyncio.TaskGroup, self.tasks),
        )
        self.pods = assemble(edges, self.table)
        self.tasks.create_task(self.pods.statuses.run())
        self.tasks.create_task(Pleg(self.runtime, self.table.runtime_changed, self.clock).run())
        self.api.on_change, self.api.on_delete = self.pods.workers.update, self.pods.workers.remove
        for document in list(self.api.pods.values()):
            self.pods.workers.update(from_dict(Pod, document))
        source = cast(PodSource, SyncedSource())
        sweeper = Housekeeping(
            self.runtime,
            source,
            self.pods.workers,
            self.table,
            self.volumes,
            edges.hardware,
            self.pods.groups,
            self.clock,
        )
        self.tasks.create_task(sweeper.run())

    async def kill(self) -> None:
        """As `kill -9`: nothing of this kubelet runs any more."""
        self.api.on_change = self.api.on_delete = lambda pod: None
        await self.tasks.end()

    def add(self, spec: dict[str, Any] | None = None, **metadata: Any) -> Pod:
        return self.api.put(make_pod(spec, **metadata))

    def running(self, name: str = "app", uid: str = "uid-1") -> bool:
        try:
            return self.runtime.find(uid, name).status.state == "running"
        except ValueError:
            return False


@asynccontextmanager
async def kubelet_bench(root: Path) -> AsyncIterator[Bench]:
    """A started kubelet whose runtime has the image app:1."""
    clock = FakeClock()
    runtime = FakeRuntime(clock.now, clock.sleep)
    runtime.add_image("docker.io/library/app:1")
    bench = Bench(root, clock, PodApi(), runtime, BenchObjects())
    bench.start()
    try:
        yield bench
    finally:
        await bench.kill()
