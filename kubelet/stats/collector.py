"""Collects figures when they are asked for, and samples CPU times between, as a rate needs two readings.

Control groups are read from their files where the kubelet sees them, and else asked of the engine. Disk use is measured
in a slow loop. What is kept is one sample and one path for each running container.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from componentbase import logs
from componentbase.clock import Clock
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.references import claim_name
from kubeapi.core.pod.volumes import Volume
from kubelet.runtime.interface import ContainerStatus, EngineError, PodRuntimeStatus, Runtime
from kubelet.stats.cgroups import CgroupReader, CoreUsage, group_of, reader_of
from kubelet.stats.disk import DiskUse, measure
from kubelet.stats.figures import (
    ContainerFigures,
    GroupFigures,
    NodeFigures,
    PodFigures,
    PodsMemory,
    Snapshot,
    VolumeFigures,
)
from kubelet.stats.host import Filesystem, Interface, read_filesystem, read_host, read_interfaces, read_process

SAMPLE_SECONDS = 10.0
SHORTEST_WINDOW_SECONDS = 5.0  # a rate over less says little
DISK_SECONDS = 60.0
NODE, KUBELET = "node", "kubelet"
"""Keys of the samples that are not a container's."""

log = logs.logger(__name__)


@dataclass(slots=True)
class CpuSamples:
    """CPU rates by key, from readings that are at least SHORTEST_WINDOW_SECONDS apart."""

    _rows: dict[str, tuple[float, int, int | None]] = field(default_factory=dict)
    """Key -> time, CPU nanoseconds, and the rate up to then."""

    def observe(self, key: str, now: float, nanoseconds: int, started_at: float = 0.0) -> int | None:
        """Takes a reading; returns billionths of a CPU. A first one is taken over the time since `started_at`."""
        before = self._rows.get(key)
        if before is None or nanoseconds < before[1]:
            seconds = now - started_at if started_at else 0.0
            rate = int(nanoseconds / seconds) if seconds >= 1 else None
        elif now - before[0] >= SHORTEST_WINDOW_SECONDS:
            rate = int((nanoseconds - before[1]) / (now - before[0]))
        else:
            return before[2]
        self._rows[key] = now, nanoseconds, rate
        return rate

    def keep(self, keys: Collection[str]) -> None:
        """Forgets all others."""
        self._rows = {key: row for key, row in self._rows.items() if key in keys}


DriverFigures = Callable[[str], Awaitable[Mapping[str, Filesystem]]]


@dataclass(frozen=True, slots=True)
class Depth:
    """What a snapshot reads beside the core figures: details of control groups, volumes, what processes hold open."""

    detailed: bool = False
    disk: bool = False
    processes: bool = False


@dataclass(slots=True)
class DiskMeasurement:
    """The last walk: by path, and by container id for logs."""

    time: float = 0.0
    paths: Mapping[str, DiskUse] = field(default_factory=dict)
    logs: Mapping[str, DiskUse] = field(default_factory=dict)


class Collector:
    """`pods()` are the pods that hold this node's resources.

    `listed()` is what the runtime listed last, without asking it again. `driver_figures(uid)` has the file systems of a
    pod's volumes, by their names, where their storage drivers tell; `claim_paths(uid)` the paths of those with claims.
    `pods_group()` is the path of the control group of all pods; "" for none.
    """

    def __init__(
        self,
        runtime: Runtime,
        pods: Callable[[], Iterable[Pod]],
        listed: Callable[[], Mapping[str, PodRuntimeStatus]],
        root_dir: str,
        clock: Clock,
        cgroups: CgroupReader | None = None,
        driver_figures: DriverFigures | None = None,
        claim_paths: Callable[[str], Mapping[str, str]] = lambda uid: {},
        pods_group: Callable[[], str] = lambda: "",
    ) -> None:
        self._runtime = runtime
        self._pods = pods
        self._listed = listed
        self._root_dir = root_dir
        self._clock = clock
        self._cgroups = cgroups or reader_of()
        self._samples = CpuSamples()
        self._groups: dict[str, str] = {}
        """Container id -> control group; "" for one that can't be seen."""
        self._disk = DiskMeasurement()
        self._driver_figures = driver_figures
        self._claim_paths = claim_paths
        self._pods_group = pods_group
        self._from_drivers: dict[str, Mapping[str, Filesystem]] = {}
        self._data_root = ""

    async def run(self) -> None:
        """Runs until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sample_for_ever())
            tasks.create_task(self._measure_for_ever())

    async def _sample_for_ever(self) -> None:
        while True:
            await self._clock.sleep(SAMPLE_SECONDS)
            self.sample()

    async def _measure_for_ever(self) -> None:
        while True:
            await self._clock.sleep(DISK_SECONDS)
            try:
                await self.measure_disk()
            except (EngineError, OSError) as error:
                log.warning("disk use not measured", error=str(error))

    def sample(self) -> None:
        """Reads the CPU time of the machine and of every running container: one short file each."""
        now = self._clock.now()
        running = list(_running(self._listed().values()))
        self._forget_all_but(running)
        try:
            self._samples.observe(NODE, now, read_host().core.cpu_nanoseconds)
            self._samples.observe(KUBELET, now, read_process().cpu_nanoseconds)
        except OSError as error:
            log.warning("machine not sampled", error=str(error))
        for container in running:
            if path := self._group(container):
                try:
                    self._samples.observe(container.id, now, self._cgroups.cpu_nanoseconds(path), container.started_at)
                except OSError:
                    continue  # it has just ended

    def _forget_all_but(self, running: Iterable[ContainerStatus]) -> None:
        ids = {container.id for container in running}
        self._samples.keep({NODE, KUBELET, *ids})
        self._groups = {container_id: path for container_id, path in self._groups.items() if container_id in ids}

    def _group(self, container: ContainerStatus) -> str:
        """Returns the group of a process if it has the container's id: in another namespace the pid is another's."""
        path = self._groups.get(container.id)
        if path is None:
            try:
                path = group_of(container.pid) if container.pid else ""
            except OSError:
                return ""  # it has just ended
            path = self._groups[container.id] = path if container.id in path else ""
        return path

    async def measure_disk(self, pods: Sequence[Pod] | None = None) -> None:
        """Measures all pods, or some of them: the others keep their figures. Raises: EngineError; OSError."""
        now, statuses = self._clock.now(), await self._runtime.pods()
        measured = list(self._pods()) if pods is None else pods
        uids = statuses.keys() if pods is None else {pod.metadata.uid for pod in pods}
        containers = [item for uid, status in statuses.items() if uid in uids for item in status.containers]
        paths = [container.writable_path for container in containers]
        for pod in measured:
            own = {
                item.name for item in pod.spec.volumes or () if not claim_name(pod.name, item) and not _in_memory(item)
            }
            paths += [path for name, path in self._volume_paths(pod).items() if name in own]
        logs_use = await asyncio.to_thread(_log_sizes, containers)
        found, before = await measure(paths), DiskMeasurement() if pods is None else self._disk
        self._disk = DiskMeasurement(now, {**before.paths, **found}, {**before.logs, **logs_use})

    def _volume_paths(self, pod: Pod) -> dict[str, str]:
        """Maps names to the folders of the pod's own volumes below --root-dir.

        That of a claim has the name of its PersistentVolume, which may be that of another volume of the pod.
        """
        found: dict[str, str] = {}
        claimed = self._claim_paths(pod.metadata.uid or "").values()
        base = os.path.join(self._root_dir, "pods", pod.metadata.uid or "", "volumes")
        try:
            plugins = list(os.scandir(base))
        except OSError:
            return found
        for plugin in plugins:
            if plugin.is_dir(follow_symlinks=False):
                folders = [item for item in os.scandir(plugin) if item.is_dir(follow_symlinks=False)]
                of_claims = {item.path for item in folders if any(Path(path).is_relative_to(item) for path in claimed)}
                found |= {item.name: item.path for item in folders if item.path not in of_claims}
        return found

    async def snapshot(
        self,
        *,
        detailed: bool = False,
        disk: bool = False,
        processes: bool = False,
        only: Collection[str] | None = None,
    ) -> Snapshot:
        """Reads everything now; what a `Depth` names only where it is wanted.

        `only`: the uids of pods, for less than all. Raises: EngineError; OSError.
        """
        statuses = await self._runtime.pods()
        if only is not None:
            statuses = {uid: status for uid, status in statuses.items() if uid in only}
        unseen = [container.id for container in _running(statuses.values()) if not self._group(container)]
        answers = await self._runtime.stats(unseen) if unseen else ()
        engine = {
            item.container_id: CoreUsage(item.cpu_nanoseconds, item.memory_usage_bytes, item.memory_working_set_bytes)
            for item in answers
        }
        if disk:
            await self._ask_drivers(statuses)
        if not self._data_root:
            self._data_root = (await self._runtime.info()).data_root
        return await asyncio.to_thread(self._read, statuses, engine, Depth(detailed, disk, processes))

    async def claims(self) -> list[tuple[str, str, VolumeFigures]]:
        """Lists (namespace, claim, figures) of the claims that are mounted here."""

        def read() -> list[tuple[str, str, VolumeFigures]]:
            pods = [pod for pod in self._pods() if any(claim_name(pod.name, item) for item in pod.spec.volumes or ())]
            items = ((pod, item, claim_name(pod.name, item.volume)) for pod in pods for item in self._read_volumes(pod))
            return [(pod.namespace, claim, item) for pod, item, claim in items if claim]

        await self._ask_drivers(pod.metadata.uid or "" for pod in self._pods())
        return await asyncio.to_thread(read)

    async def _ask_drivers(self, uids: Iterable[str]) -> None:
        if self._driver_figures is not None:
            self._from_drivers = {uid: await self._driver_figures(uid) for uid in uids}

    async def node(self) -> NodeFigures:
        """Raises: EngineError; OSError."""
        if not self._data_root:
            self._data_root = (await self._runtime.info()).data_root
        return self._read_node()

    def _read(
        self, statuses: Mapping[str, PodRuntimeStatus], engine: Mapping[str, CoreUsage], depth: Depth
    ) -> Snapshot:
        pods = [
            self._read_pod(pod, statuses[uid], engine, depth)
            for pod in self._pods()
            if (uid := pod.metadata.uid or "") in statuses
        ]
        return Snapshot(self._read_node(), tuple(pods))

    def _read_node(self) -> NodeFigures:
        now, host, kubelet = self._clock.now(), read_host(), read_process()
        return NodeFigures(
            time=now,
            host=host,
            nano_cores=self._samples.observe(NODE, now, host.core.cpu_nanoseconds),
            kubelet=kubelet,
            kubelet_nano_cores=self._samples.observe(KUBELET, now, kubelet.cpu_nanoseconds),
            nodefs=read_filesystem(self._root_dir),
            imagefs=read_filesystem(self._data_root) if os.path.isdir(self._data_root) else None,
            pods=self._read_pods_memory(),
        )

    def _read_pods_memory(self) -> PodsMemory | None:
        """Raises: OSError."""
        path = self._pods_group()
        try:
            limit = self._cgroups.detailed(path).memory_limit_bytes if path else 0
            return PodsMemory(self._cgroups.core(path).working_set_bytes, limit, path) if limit else None
        except FileNotFoundError:
            return None  # there has been no pod yet

    def _read_pod(
        self, pod: Pod, status: PodRuntimeStatus, engine: Mapping[str, CoreUsage], depth: Depth
    ) -> PodFigures:
        figures: list[ContainerFigures] = []
        for container in _running([status]):
            group = self._read_group(container, engine.get(container.id), depth)
            if group is not None:
                writable, logs_use = self._disk.paths.get(container.writable_path), self._disk.logs.get(container.id)
                figures.append(ContainerFigures(container, group, writable, logs_use))
        sandbox, volumes = status.sandbox, ()
        measured = self._disk.time if any(item.writable or item.logs for item in figures) else 0.0
        pids = [item.status.pid for item in figures if item.group.path]
        return PodFigures(
            pod,
            sandbox,
            tuple(figures),
            self._read_sandbox(sandbox.id if sandbox else "", figures, depth),
            _interfaces(pids[0]) if pids and sandbox is not None and not sandbox.host_network else (),
            tuple(self._read_volumes(pod)) if depth.disk else volumes,
            measured,
        )

    def _read_group(
        self, container: ContainerStatus, from_engine: CoreUsage | None, depth: Depth
    ) -> GroupFigures | None:
        """Returns None when the container has just ended."""
        now, path = self._clock.now(), self._group(container)
        if not path:
            if from_engine is None:
                return None
            rate = self._samples.observe(container.id, now, from_engine.cpu_nanoseconds, container.started_at)
            return GroupFigures(now, from_engine, rate)
        try:
            figures = self._read_files(path, depth)
        except OSError:
            return None
        rate = self._samples.observe(container.id, now, figures.core.cpu_nanoseconds, container.started_at)
        return replace(figures, nano_cores=rate)

    def _read_files(self, path: str, depth: Depth) -> GroupFigures:
        """Raises: OSError."""
        return GroupFigures(
            time=self._clock.now(),
            core=self._cgroups.core(path),
            path=path,
            detailed=self._cgroups.detailed(path) if depth.detailed else None,
            processes=self._cgroups.process_counts(path) if depth.processes else None,
        )

    def _read_sandbox(
        self, sandbox_id: str, containers: Iterable[ContainerFigures], depth: Depth
    ) -> GroupFigures | None:
        """Looks for the pause container's group beside those of the pod's containers."""
        for item in containers:
            if item.group.path and sandbox_id:
                path = item.group.path.replace(item.status.id, sandbox_id)
                try:
                    return replace(self._read_files(path, depth), nano_cores=0)
                except OSError:
                    return None
        return None

    def _read_volumes(self, pod: Pod) -> Iterable[VolumeFigures]:
        uid = pod.metadata.uid or ""
        paths, told = self._volume_paths(pod), self._from_drivers.get(uid, {})
        for volume in pod.spec.volumes or ():
            if volume.name in told:
                yield VolumeFigures(volume, told[volume.name], None)
                continue
            claim = claim_name(pod.name, volume)
            path = self._claim_paths(uid).get(volume.name) if claim else paths.get(volume.name)
            if path is None:
                continue
            own_filesystem = bool(claim) or (_in_memory(volume) and os.path.ismount(path))
            use = None if own_filesystem else self._disk.paths.get(path)
            if use is not None or own_filesystem:
                try:
                    yield VolumeFigures(volume, read_filesystem(path), use)
                except OSError:
                    continue  # it has just been taken down


def _running(statuses: Iterable[PodRuntimeStatus]) -> Iterable[ContainerStatus]:
    return (container for status in statuses for container in status.containers if container.state == "running")


def _in_memory(volume: Volume) -> bool:
    """Tells of an emptyDir that takes memory of the pod, and nothing of its ephemeral storage."""
    return volume.emptyDir is not None and bool(volume.emptyDir.medium)


def _interfaces(pid: int) -> tuple[Interface, ...]:
    """All containers of a pod share its network, so any process of it shows the counters."""
    try:
        return read_interfaces(f"/proc/{pid}/net/dev")
    except OSError:
        return ()


def _log_sizes(containers: Iterable[ContainerStatus]) -> dict[str, DiskUse]:
    """Measures logs, with those that were rotated away, by container id."""
    found: dict[str, DiskUse] = {}
    for container in containers:
        folder, name = os.path.split(container.log_path)
        try:
            files = [item.stat() for item in os.scandir(folder) if item.name.startswith(name)] if name else []
        except OSError:
            continue
        if files:
            found[container.id] = DiskUse(sum(file.st_blocks * 512 for file in files), len(files))
    return found
