"""MeasuredUse: keeps pods off nodes that are busy or short of disk, as measured, and prefers those with most to spare.

Requests say what pods may use; this looks at what is used: CPU and memory from metrics.k8s.io, the disk from the
summary of each node's kubelet. Nobody can watch those, so they are read every few seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from pydantic import Field

from apimachinery.errors import FieldError, StatusError, invalid
from apimachinery.meta import Object
from apimachinery.quantity import ResourceList, byte_count, cpu_millis
from apimachinery.resource import Resource
from componentbase import logs
from kubeclient.rest import RestClient
from scheduler.events import ASSIGNED_POD, NODE, Change, ClusterEvent
from scheduler.framework import MAX_SCORE, Cycle, FloatArray, Handle, Plugin, PluginArguments, PluginSpec
from scheduler.state.resources import CPU, MEMORY
from scheduler.state.shape import IntArray
from scheduler.state.table import BoolArray, Rows

MEASURED = "NodeMeasurement"
"""The resource of this plugin's own events: nodes were measured."""
SUMMARIES = 8  # asked for at once
SUMMARY_SECONDS = 5.0

log = logs.logger(__name__)


class NodeMetrics(Object):
    """What a node uses, as the metrics server tells it."""

    usage: ResourceList = Field(default_factory=dict)


NODE_METRICS = Resource(
    kind="NodeMetrics", plural="nodes", model=NodeMetrics, group="metrics.k8s.io", version="v1beta1", namespaced=False
)


class MeasuredUseArgs(PluginArguments):
    """The plugin's arguments."""

    periodSeconds: int = 15
    """How often nodes are measured."""
    mostUsedPercent: int = 90
    """A node that uses more of its CPU or memory gets no pods."""
    leastFreeDiskPercent: int = 10
    """A node with less of its disk free gets no pods."""

    def errors(self) -> list[FieldError]:
        errors = [
            invalid(name, value, "not in valid range [0-100]")
            for name, value in (
                ("mostUsedPercent", self.mostUsedPercent),
                ("leastFreeDiskPercent", self.leastFreeDiskPercent),
            )
            if not 0 <= value <= 100
        ]
        if self.periodSeconds <= 0:
            errors.append(invalid("periodSeconds", self.periodSeconds, "must be greater than 0"))
        return errors


@dataclass(frozen=True, slots=True)
class Use:
    """Holds the use of a node in shares of what it has. A node that could not be measured counts as idle."""

    cpu: float = 0.0
    memory: float = 0.0
    disk: float = 0.0


IDLE = Use()


class MeasuredUse(Plugin):
    """Is local: an answer depends on its row alone, and `run` touches the rows that it has measured anew."""

    counts_pods = False  # to evict pods changes no measurement

    def __init__(self, name: str, handle: Handle) -> None:
        super().__init__(name, handle)
        self._args = self.args(MeasuredUseArgs)
        self._uses: dict[str, Use] = {}

    # measuring

    async def prepare(self) -> None:
        try:
            await self.measure()
        except (StatusError, ConnectionError, TimeoutError) as error:
            log.warning("nodes not measured", error=str(error))

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._args.periodSeconds)
            await self.prepare()

    def learn_from(self, other: MeasuredUse) -> None:
        self._uses = other._uses

    async def measure(self) -> None:
        """Raises: StatusError, ConnectionError, TimeoutError for metrics.k8s.io."""
        rest = self.handle.rest
        if rest is None:
            raise RuntimeError("measuring needs an API server")
        metrics = {item.name: item.usage for item in (await rest.list(NODE_METRICS)).items}
        names = [name for name in self.table.rows if name in metrics]
        limit = asyncio.Semaphore(SUMMARIES)
        disks = await asyncio.gather(*(_used_disk(rest, name, limit) for name in names))
        uses = {name: self._use(name, metrics[name], disk) for name, disk in zip(names, disks, strict=True)}
        changed = [name for name in uses.keys() | self._uses.keys() if uses.get(name) != self._uses.get(name)]
        self._uses = uses
        for name in changed:
            if name in self.table.rows:
                self.table.touch(self.table.rows[name])
        if changed:
            self.handle.happened(ClusterEvent(MEASURED, Change.SPEC))

    def _use(self, name: str, usage: Mapping[str, str], disk: float) -> Use:
        row = self.table.rows.get(name)
        if row is None:
            return IDLE
        cpu, memory = (max(int(self.table.allocatable[self.table.resources[item], row]), 1) for item in (CPU, MEMORY))
        return Use(cpu_millis(usage.get(CPU, "0")) / cpu, byte_count(usage.get(MEMORY, "0")) / memory, disk)

    # scheduling

    def filter(self, cycle: Cycle, rows: Rows) -> BoolArray:
        passed: BoolArray = ~(self._busy(rows) | self._full(rows))
        return passed

    def reasons(self, cycle: Cycle, rows: IntArray) -> Mapping[str, int]:
        busy = self._busy(rows)
        counts = {
            "node(s) were measured to be busy": int(busy.sum()),
            "node(s) were measured to be short of disk": int((self._full(rows) & ~busy).sum()),
        }
        return {reason: count for reason, count in counts.items() if count}

    def score(self, cycle: Cycle, rows: Rows) -> FloatArray:
        free = [1.0 - np.minimum(self._column(part, rows), 1.0) for part in (_cpu, _memory, _disk)]
        return np.floor(sum(free) * (MAX_SCORE / len(free)))

    def _busy(self, rows: Rows) -> BoolArray:
        most = self._args.mostUsedPercent / 100
        busy: BoolArray = np.maximum(self._column(_cpu, rows), self._column(_memory, rows)) > most
        return busy

    def _full(self, rows: Rows) -> BoolArray:
        full: BoolArray = 1.0 - self._column(_disk, rows) < self._args.leastFreeDiskPercent / 100
        return full

    def _column(self, part: Callable[[Use], float], rows: Rows) -> FloatArray:
        names = self.table.names
        return np.array([part(self._uses.get(names[row], IDLE)) for row in np.arange(len(names))[rows]], np.float64)


def _cpu(use: Use) -> float:
    return use.cpu


def _memory(use: Use) -> float:
    return use.memory


def _disk(use: Use) -> float:
    return use.disk


async def _used_disk(rest: RestClient, node: str, limit: asyncio.Semaphore) -> float:
    path = f"/api/v1/nodes/{node}/proxy/stats/summary"
    async with limit:
        try:
            summary: dict[str, Any] = orjson.loads(await rest.request("GET", path, timeout_seconds=SUMMARY_SECONDS))
        except (StatusError, ConnectionError, TimeoutError) as error:
            log.warning("disk not measured", node=node, error=str(error))
            return 0.0
    disk = summary["node"].get("fs") or {}
    capacity = disk.get("capacityBytes", 0)
    return 1.0 - disk.get("availableBytes", 0) / capacity if capacity else 0.0


PLUGIN = PluginSpec(
    "MeasuredUse",
    MeasuredUse,
    weight=1,
    order=70,
    arguments=MeasuredUseArgs,
    requeue_on={MEASURED: Change.SPEC, ASSIGNED_POD: Change.DELETE, NODE: Change.ADD},
)
