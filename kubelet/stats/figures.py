"""The figures of a node, its pods and their containers at one moment: what all documents and metrics are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.volumes import Volume
from kubelet.runtime.interface import ContainerStatus, SandboxStatus
from kubelet.stats.cgroups import CoreUsage, DetailedUsage, ProcessCounts
from kubelet.stats.disk import DiskUse
from kubelet.stats.host import Filesystem, HostUsage, Interface


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """One control group. `path` and `detailed` are absent where the engine's own figures stand in for its files."""

    time: float
    core: CoreUsage
    nano_cores: int | None = None
    """Billionths of a CPU in use, over the last sampling period."""
    path: str = ""
    detailed: DetailedUsage | None = None
    processes: ProcessCounts | None = None


@dataclass(frozen=True, slots=True)
class ContainerFigures:
    """A running container. `writable` and `logs` are None until they have been measured."""

    status: ContainerStatus
    group: GroupFigures
    writable: DiskUse | None = None
    logs: DiskUse | None = None


@dataclass(frozen=True, slots=True)
class VolumeFigures:
    """A volume. `use` is None where the file system speaks for it: for claims, volumes of drivers, and in memory."""

    volume: Volume
    filesystem: Filesystem
    use: DiskUse | None = None


@dataclass(frozen=True, slots=True)
class PodFigures:
    """`sandbox_group` is what the pause container uses; `interfaces` are empty with host networking."""

    pod: Pod
    sandbox: SandboxStatus | None
    containers: tuple[ContainerFigures, ...]
    sandbox_group: GroupFigures | None = None
    interfaces: tuple[Interface, ...] = ()
    volumes: tuple[VolumeFigures, ...] = ()
    measured_at: float = 0.0
    """When the disk was measured; 0.0 while it has not been."""

    def groups(self) -> Sequence[GroupFigures]:
        groups = [container.group for container in self.containers]
        return [*groups, self.sandbox_group] if self.sandbox_group is not None else groups

    @property
    def time(self) -> float:
        return max((group.time for group in self.groups()), default=0.0)

    def core(self) -> CoreUsage:
        return sum_cores([group.core for group in self.groups()])

    def nano_cores(self) -> int | None:
        rates = [group.nano_cores for group in self.groups() if group.nano_cores is not None]
        return sum(rates) if rates else None

    def disk(self) -> DiskUse:
        """Sums what counts as the pod's ephemeral storage: writable layers, logs and volumes that end with it."""
        parts = [part for container in self.containers for part in (container.writable, container.logs)]
        parts += [item.use for item in self.volumes]
        return sum((part for part in parts if part is not None), DiskUse())


@dataclass(frozen=True, slots=True)
class PodsMemory:
    """The memory that all pods together use and may use. `group` is the path of their control group."""

    working_set_bytes: int
    limit_bytes: int
    group: str = ""


@dataclass(frozen=True, slots=True)
class NodeFigures:
    """The machine. `imagefs` is the file system of the engine's images and writable layers.

    `pods` is None where all pods together have no limit.
    """

    time: float
    host: HostUsage
    nano_cores: int | None
    kubelet: CoreUsage
    kubelet_nano_cores: int | None
    nodefs: Filesystem
    imagefs: Filesystem | None
    pods: PodsMemory | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    node: NodeFigures
    pods: tuple[PodFigures, ...]


def sum_cores(cores: Sequence[CoreUsage]) -> CoreUsage:
    return CoreUsage(*(sum(getattr(core, name) for core in cores) for name in CoreUsage.__slots__))
