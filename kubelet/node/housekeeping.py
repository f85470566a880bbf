"""Removes what is left of pods that the API no longer knows: containers, folders, memory volumes, groups.

It runs once the pods of the node are known, and then rarely: a pod that ends while the kubelet runs is cleaned up by
its own worker.
"""

from __future__ import annotations

import os

from apimachinery.meta import ObjectMeta
from componentbase import logs
from componentbase.clock import Clock
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container, PodSpec
from kubelet.cgroups.manager import PodGroups
from kubelet.container.spec import DEFAULT_GRACE_SECONDS
from kubelet.pod.resources.hardware import Hardware
from kubelet.pod.table import PodTable
from kubelet.pod.workers import PodWorkers
from kubelet.runtime.interface import EngineError, PodRuntimeStatus, Runtime
from kubelet.source.api import PodSource
from kubelet.volume.interface import VolumeError
from kubelet.volume.manager import VolumeManager, remove_memory_volumes

EVERY_SECONDS = 120.0
RETRY_SECONDS = 5.0

log = logs.logger(__name__)


class Housekeeping:
    def __init__(
        self,
        runtime: Runtime,
        source: PodSource,
        workers: PodWorkers,
        table: PodTable,
        volumes: VolumeManager,
        hardware: Hardware,
        groups: PodGroups,
        clock: Clock,
    ) -> None:
        self._runtime = runtime
        self._source = source
        self._workers = workers
        self._table = table
        self._volumes = volumes
        self._hardware = hardware
        self._groups = groups
        self._clock = clock

    async def run(self) -> None:
        await self._source.wait_synced()
        while True:
            try:
                await self.sweep()
            except (EngineError, VolumeError, OSError) as error:
                log.warning("housekeeping failed, will retry", error=str(error))
                await self._clock.sleep(RETRY_SECONDS)
                continue
            await self._clock.sleep(EVERY_SECONDS)

    async def sweep(self) -> None:
        """Raises: EngineError; VolumeError; OSError."""
        pods = await self._runtime.pods()
        for uid, status in pods.items():
            if uid not in self._table.uids():
                log.info("ending a pod that is gone from the API", pod=f"{status.pod.namespace}/{status.pod.name}")
                self._workers.adopt_orphan(orphan_pod(status), _grace(status))
        uids = self._table.uids()
        for uid in self._volumes.pod_uids():
            if uid not in uids and uid not in pods:
                log.info("removing the folder of a pod that is gone", path=os.path.basename(self._volumes.pod_dir(uid)))
                try:
                    await self._volumes.tear_down(uid)
                except (VolumeError, OSError) as error:  # of one pod: its driver may be gone, a process in its folder
                    log.warning("a pod's volumes are not given back, will retry", uid=uid, error=str(error))
        await self._volumes.sweep()
        await self._hardware.keep(uids | set(pods))
        await self._groups.keep(uids | set(pods))
        await self._runtime.sweep_network()
        await remove_memory_volumes(self._runtime, lambda uid: uid not in uids)


def orphan_pod(status: PodRuntimeStatus) -> Pod:
    """Makes as much of the pod as its containers remember, which is enough to stop them."""
    ref = status.pod
    names = sorted({container.name for container in status.containers})
    spec = PodSpec(containers=[Container(name=name) for name in names])
    return Pod(metadata=ObjectMeta(name=ref.name, namespace=ref.namespace, uid=ref.uid), spec=spec)


def _grace(status: PodRuntimeStatus) -> int:
    """Returns the longest grace period that any container was promised, in seconds."""
    promises = [container.grace_seconds for container in status.containers if container.grace_seconds is not None]
    return max(promises, default=DEFAULT_GRACE_SECONDS)
