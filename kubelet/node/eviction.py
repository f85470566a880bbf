"""Evicts pods that fill an emptyDir beyond its `sizeLimit`.

Memory-backed ones need no watching: their file system is as large as the limit.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

from apimachinery.quantity import byte_count
from componentbase import logs
from componentbase.clock import Clock
from kubeapi.core.pod.model import Pod
from kubelet.container.events import Events
from kubelet.pod.status.compute import Failure
from kubelet.pod.table import PodTable
from kubelet.pod.workers import PodWorkers
from kubelet.volume.manager import VolumeManager

EVERY_SECONDS = 30.0
EMPTY_DIR = "kubernetes.io~empty-dir"

log = logs.logger(__name__)


class Eviction:
    def __init__(
        self, workers: PodWorkers, table: PodTable, volumes: VolumeManager, events: Events, clock: Clock
    ) -> None:
        self._workers = workers
        self._table = table
        self._volumes = volumes
        self._events = events
        self._clock = clock

    async def run(self) -> None:
        """Runs until cancelled."""
        while True:
            await self._clock.sleep(EVERY_SECONDS)
            await self.check()

    async def check(self) -> None:
        """Looks once at every folder that has a limit."""
        for pod in list(self._table.admitted()):
            for name, limit in limited_volumes(pod):
                path = os.path.join(self._volumes.pod_dir(pod.metadata.uid or ""), "volumes", EMPTY_DIR, name)
                if await asyncio.to_thread(used_bytes, path) > byte_count(limit):
                    message = f'Usage of EmptyDir volume "{name}" exceeds the limit "{limit}". '
                    log.info("evicting pod", pod=pod.key, volume=name, limit=limit)
                    self._events.event(pod, "Warning", "Evicted", message)
                    self._workers.fail(pod.metadata.uid or "", Failure("Evicted", message))
                    break


def limited_volumes(pod: Pod) -> Iterator[tuple[str, str]]:
    """Yields (name, limit) of each emptyDir of the pod that is on disk and has a limit."""
    for volume in pod.spec.volumes or ():
        source = volume.emptyDir
        if source is not None and source.sizeLimit and source.medium != "Memory" and byte_count(source.sizeLimit) > 0:
            yield volume.name, source.sizeLimit


def used_bytes(path: str) -> int:
    """Sums the disk space of the files below `path`; files that vanish meanwhile do not count."""
    total = 0
    for root, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total
