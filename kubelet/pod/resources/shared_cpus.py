"""Moves running containers to the CPUs that are left to them when others have got some for themselves."""

from __future__ import annotations

import asyncio

from componentbase import logs
from componentbase.clock import Clock
from componentbase.tasks import first_of
from kubelet.container.downward import NodeView
from kubelet.container.limits import container_resources
from kubelet.container.spec import find_container
from kubelet.pod.resources.hardware import Hardware
from kubelet.pod.table import PodTable
from kubelet.runtime.interface import EngineError, Runtime

RETRY_SECONDS = 10.0

log = logs.logger(__name__)


class SharedCpus:
    def __init__(self, runtime: Runtime, table: PodTable, hardware: Hardware, node: NodeView, clock: Clock) -> None:
        self._runtime = runtime
        self._table = table
        self._hardware = hardware
        self._node = node
        self._clock = clock
        self._changed = asyncio.Event()
        self._actual: dict[str, str] = {}
        """Container id -> the CPUs that it was given last."""

    def poke(self) -> None:
        self._changed.set()

    async def run(self) -> None:
        """Acts at the start and after every change, until cancelled."""
        while True:
            self._changed.clear()
            try:
                await self._spread()
            except EngineError as error:
                log.warning("shared cpus not spread, will retry", error=str(error))
                await first_of(self._clock.sleep(RETRY_SECONDS), self._changed.wait())
                continue
            await self._changed.wait()

    async def _spread(self) -> None:
        """Raises: EngineError, after it has tried all containers."""
        failure: EngineError | None = None
        actual: dict[str, str] = {}
        for uid, status in (await self._runtime.pods()).items():
            work = self._table.get(uid)
            for running in status.containers:
                container = find_container(work.pod, running.name) if work is not None else None
                if work is None or container is None or running.state != "running":
                    continue
                limits = container_resources(work.pod, container, self._node.memory_bytes)
                wanted = self._hardware.with_cpus(uid, running.name, limits)
                before = self._actual.get(running.id)
                try:
                    if before != wanted.cpuset_cpus:
                        await self._runtime.update_container(running.id, wanted)
                    actual[running.id] = wanted.cpuset_cpus
                except EngineError as error:
                    failure = error
        self._actual = actual
        if failure is not None:
            raise failure
