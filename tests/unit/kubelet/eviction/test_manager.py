"""The eviction manager on a kubelet with a runtime in memory: the machine's figures are the test's."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import pytest

from apimachinery.conditions import get_condition
from apimachinery.model import from_dict
from componentbase.tasks import alongside
from kubeapi.core.node import Node
from kubeapi.core.pod.model import Pod
from kubelet.container.images.gc import GarbageCollector
from kubelet.eviction.manager import EVERY_SECONDS, EvictionManager
from kubelet.eviction.thresholds import Amount, EvictionPolicy, Threshold, with_allocatable
from kubelet.stats.cgroups import CoreUsage
from kubelet.stats.collector import Collector
from kubelet.stats.figures import ContainerFigures, GroupFigures, NodeFigures, PodFigures, PodsMemory, Snapshot
from kubelet.stats.host import Filesystem, HostUsage
from tests.kits.eventually import eventually_async
from tests.kits.node.kubelet import NOW, container
from tests.kits.node.kubeletbench import Bench

GIB = 1 << 30
APP = {"name": "app", "image": "app:1"}
TOLERATION = {"key": "node.kubernetes.io/memory-pressure", "operator": "Exists"}
MEMORY = Threshold("memory.available", Amount(Fraction(GIB)))
DISK = Threshold("nodefs.available", Amount(share=Fraction(1, 10)))


@dataclass
class Machine:
    """Stands in for the collector. `memory`: pod -> bytes that it uses; 8 GiB are there."""

    bench: Bench
    memory: dict[str, int] = field(default_factory=dict)
    disk_free: int = 50
    measured: int = 0
    pods_limit: int = 0
    looks: int = 0

    async def node(self) -> NodeFigures:
        used = sum(self.memory.get(pod.name, 0) for pod in self.bench.table.admitted())
        host = HostUsage(CoreUsage(working_set_bytes=used), 0, 8 * GIB, 0, 10, 1000)
        disk = Filesystem(1, 100, self.disk_free, self.disk_free, 0, 0)
        self.looks += 1
        pods = PodsMemory(used, self.pods_limit, "/kubepods") if self.pods_limit else None
        return NodeFigures(NOW, host, None, CoreUsage(), None, disk, disk, pods)

    async def snapshot(self, *, detailed: bool = False, disk: bool = False, only: Collection[str] = ()) -> Snapshot:
        pods = []
        for pod in self.bench.table.admitted():
            group = GroupFigures(NOW, CoreUsage(working_set_bytes=self.memory.get(pod.name, 0)))
            pods.append(PodFigures(pod, None, (ContainerFigures(replace(container(), name="app"), group),)))
        return Snapshot(await self.node(), tuple(pods))

    async def measure_disk(self, pods: Sequence[Pod] | None = None) -> None:
        self.measured += 1


class Garbage:
    """Frees what the test says when everything unused is removed."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.frees, self.calls = machine, 0, 0

    async def remove_unused(self) -> None:
        self.calls += 1
        self.machine.disk_free += self.frees


class Evictions:
    def __init__(self, bench: Bench, *thresholds: Threshold, **policy: Any) -> None:
        self.grown = asyncio.Event()
        self.rooms: list[Mapping[str, int]] = []
        self.machine = Machine(bench)
        self.garbage = Garbage(self.machine)
        self.changes: list[frozenset[str]] = []
        self.manager = EvictionManager(
            EvictionPolicy(thresholds, **policy),
            cast(Collector, self.machine),
            cast(GarbageCollector, self.garbage),
            bench.pods.workers,
            bench.table,
            bench,
            bench.clock,
            lambda: bench.node,
            lambda: self.changes.append(self.manager.conditions()),
            self.memory_grown,
        )

    async def memory_grown(self, room: Mapping[str, int]) -> None:
        self.rooms.append(room)
        await self.grown.wait()


async def started(bench: Bench, name: str, spec: dict[str, Any] | None = None) -> None:
    bench.add({"containers": [APP], **(spec or {})}, name=name, uid=name)
    await eventually_async(lambda: bench.api.get(name).status.phase == "Running")


def phase(bench: Bench, name: str) -> str | None:
    return bench.api.get(name).status.phase


async def test_the_pod_that_uses_most_goes_and_is_told_why(bench: Bench) -> None:
    for name in ("small", "large"):
        await started(bench, name)
    evictions = Evictions(bench, MEMORY)
    evictions.machine.memory = {"small": GIB, "large": 6 * GIB}
    assert await evictions.manager.check() is None
    evictions.machine.memory["large"] = 7 * GIB
    ended = await evictions.manager.check()
    assert ended is not None
    await eventually_async(lambda: phase(bench, "large") == "Failed")
    assert ended.is_set()
    assert phase(bench, "small") == "Running"
    status = bench.api.get("large").status
    message = (
        "The node was low on resource: memory. Threshold quantity: 1Gi, available: 0Ki. Container app was using "
        "7340032Ki, request is 0, has larger consumption of memory. "
    )
    assert (status.reason, status.message) == ("Evicted", message)
    condition = get_condition(status.conditions, "DisruptionTarget")
    assert condition is not None
    assert (condition.status, condition.reason, condition.message) == ("True", "TerminationByKubelet", message)
    assert ("EvictionThresholdMet", "Attempting to reclaim memory") in bench.events
    assert ("Evicted", message) in bench.events
    assert evictions.changes == [frozenset({"MemoryPressure"})]
    assert await evictions.manager.check() is None  # it has freed enough


async def test_a_pod_goes_before_all_together_meet_their_limit(bench: Bench) -> None:
    await started(bench, "web")
    evictions = Evictions(bench, *with_allocatable((MEMORY,)))
    evictions.machine.memory, evictions.machine.pods_limit = {"web": 3 * GIB}, 4 * GIB
    assert await evictions.manager.check() is None
    evictions.machine.memory["web"] += 1
    assert await evictions.manager.check() is not None
    await eventually_async(lambda: phase(bench, "web") == "Failed")


async def test_the_kernel_tells_when_memory_has_grown_up_to_a_threshold(bench: Bench) -> None:
    await started(bench, "web")
    soft = replace(MEMORY, least=Amount(Fraction(2 * GIB)), grace_seconds=60.0)
    evictions = Evictions(bench, *with_allocatable((MEMORY, soft)))
    machine = evictions.machine
    machine.memory, machine.pods_limit = {"web": GIB}, 4 * GIB
    async with alongside(evictions.manager.run()):
        await eventually_async(lambda: evictions.rooms == [{"/": 5 * GIB, "/kubepods": 2 * GIB}])
        machine.memory["web"] = 4 * GIB
        evictions.grown.set()
        await eventually_async(lambda: phase(bench, "web") == "Failed")


async def test_memory_that_swings_about_a_threshold_is_looked_at_once_more_in_a_period(bench: Bench) -> None:
    evictions = Evictions(bench, MEMORY)
    evictions.grown.set()
    async with alongside(evictions.manager.run()):
        await eventually_async(lambda: evictions.machine.looks == 2)
        await bench.clock.advance(EVERY_SECONDS - 1)
        assert evictions.machine.looks == 2
        await bench.clock.advance(1)
        await eventually_async(lambda: evictions.machine.looks == 4)


async def test_critical_pods_are_spared(bench: Bench) -> None:
    await started(bench, "critical", {"priority": 2_000_000_000})
    evictions = Evictions(bench, MEMORY)
    evictions.machine.memory = {"critical": 8 * GIB}
    assert await evictions.manager.check() is None
    assert phase(bench, "critical") == "Running"


async def test_a_soft_threshold_lets_the_pod_end_in_order(bench: Bench) -> None:
    soft = replace(MEMORY, grace_seconds=60.0)
    await started(bench, "web", {"terminationGracePeriodSeconds": 20})
    evictions = Evictions(bench, soft, max_pod_grace_seconds=100)
    evictions.machine.memory = {"web": 8 * GIB}
    assert await evictions.manager.check() is None
    assert evictions.manager.conditions() == {"MemoryPressure"}
    await bench.clock.advance(60)
    assert await evictions.manager.check() is not None
    work = bench.table.get("web")
    assert work is not None
    assert work.grace_seconds() == 20


async def test_dead_containers_and_images_go_before_pods(bench: Bench) -> None:
    await started(bench, "web")
    evictions = Evictions(bench, DISK)
    evictions.machine.disk_free, evictions.garbage.frees = 5, 50
    assert await evictions.manager.check() is None
    assert evictions.garbage.calls == 1
    assert phase(bench, "web") == "Running"
    assert evictions.manager.conditions() == {"DiskPressure"}
    evictions.machine.disk_free, evictions.garbage.frees = 5, 0
    assert await evictions.manager.check() is not None
    await eventually_async(lambda: phase(bench, "web") == "Failed")
    assert evictions.machine.measured == 1


async def test_a_pod_that_fills_its_empty_dir_is_evicted(bench: Bench) -> None:
    await started(bench, "web", {"volumes": [{"name": "v", "emptyDir": {"sizeLimit": "8Ki"}}]})
    evictions = Evictions(bench)
    collector = Collector(bench.runtime, bench.table.admitted, dict, str(bench.root), bench.clock)
    evictions.manager._collector = collector
    folder = Path(bench.volumes.pod_dir("web")) / "volumes/kubernetes.io~empty-dir/v"
    assert await evictions.manager.check() is None
    (folder / "big").write_bytes(b"x" * 16384)
    assert await evictions.manager.check() is not None
    await eventually_async(lambda: phase(bench, "web") == "Failed")
    status = bench.api.get("web").status
    assert (status.reason, status.message) == ("Evicted", 'Usage of EmptyDir volume "v" exceeds the limit "8Ki". ')
    assert get_condition(status.conditions, "DisruptionTarget") is None


@pytest.mark.parametrize(
    ("pressure", "spec", "taken"),
    [
        ("MemoryPressure", {}, False),
        ("MemoryPressure", {"containers": [{**APP, "resources": {"requests": {"cpu": "1m"}}}]}, True),
        (
            "MemoryPressure",
            {"tolerations": [{"key": "node.kubernetes.io/memory-pressure", "operator": "Exists"}]},
            True,
        ),
        ("DiskPressure", {"containers": [{**APP, "resources": {"requests": {"cpu": "1m"}}}]}, False),
        ("DiskPressure", {"priority": 2_000_000_000}, True),
    ],
)
async def test_a_node_under_pressure_takes_in_few(
    pressure: str, spec: dict[str, Any], taken: bool, bench: Bench
) -> None:
    conditions = [{"type": pressure, "status": "True"}]
    status = {"allocatable": {"cpu": "1", "pods": "10"}, "conditions": conditions}
    bench.node = from_dict(Node, {"metadata": {"name": "worker-1"}, "status": status})
    bench.add({"containers": [APP], **spec}, name="web", uid="web")
    await eventually_async(lambda: phase(bench, "web") == ("Running" if taken else "Failed"))
    if not taken:
        status = bench.api.get("web").status
        message = f"Pod was rejected: The node had condition: [{pressure}]. "
        assert (status.reason, status.message) == ("Evicted", message)
