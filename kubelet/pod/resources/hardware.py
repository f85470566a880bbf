"""Gives pods the parts of the machine that they have for themselves, and containers the means to use them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container
from kubelet.cpus.manager import CpuError, CpuManager
from kubelet.cpus.topology import format_cpus
from kubelet.devices.allocation import DeviceError
from kubelet.devices.cdi import CdiEdits, cdi_edits
from kubelet.devices.manager import DeviceManager
from kubelet.dra.claims import ClaimManager
from kubelet.pod.status.compute import Failure
from kubelet.runtime.configs import Mount, Resources


@dataclass(frozen=True, slots=True)
class HardwareOptions:
    """What one container gets beside its spec. Its own variables win over `env`."""

    env: dict[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    devices: tuple[tuple[str, str, str], ...] = ()
    annotations: dict[str, str] = field(default_factory=dict)
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Hardware:
    """All methods may be repeated; pods that ask for no part of the machine cost nothing."""

    devices: DeviceManager
    cpus: CpuManager | None = None
    claims: ClaimManager | None = None

    def concerns(self, pod: Pod) -> bool:
        return self.devices.concerns(pod) or (self.cpus is not None and self.cpus.concerns(pod))

    async def allocate(self, pod: Pod) -> Failure | None:
        """Returns why the pod can't have what it asks for."""
        try:
            if self.cpus is not None and self.cpus.concerns(pod):
                self.cpus.allocate(pod)
            await self.devices.allocate(pod)
        except (CpuError, DeviceError) as error:
            self.release(pod.metadata.uid or "")
            return Failure("UnexpectedAdmissionError", f"Allocate failed due to {error}, which is unexpected")
        return None

    async def prepare(self, pod: Pod) -> None:
        """Has the pod's claims prepared, before anything of it starts. Raises: ClaimsError."""
        if self.claims is not None:
            await self.claims.prepare(pod)

    async def unprepare(self, pod_uid: str) -> None:
        """Gives the claims of a pod back that no longer runs, before that is told. Raises: ClaimsError."""
        if self.claims is not None:
            await self.claims.unprepare(pod_uid)

    async def options(self, pod: Pod, container: Container) -> HardwareOptions:
        """Makes the devices ready for a start of the container. Raises: RpcError; CdiError; ClaimsError."""
        pod_uid = pod.metadata.uid or ""
        responses = self.devices.responses(pod_uid, container.name)
        if responses:
            await self.devices.before_start(pod_uid, container.name)
        names = [item.name for response in responses for item in response.cdi_devices]
        if self.claims is not None:
            names += [name for _, device in self.claims.devices(pod, container) for name in device.cdi_names]
        edits = await asyncio.to_thread(cdi_edits, names) if names else CdiEdits()
        mounts = [*(item for response in responses for item in response.mounts), *edits.mounts]
        devices = [*(item for response in responses for item in response.devices), *edits.devices]
        return HardwareOptions(
            env={name: value for response in responses for name, value in response.envs.items()} | edits.env,
            mounts=tuple(Mount(item.container_path, item.host_path, read_only=item.read_only) for item in mounts),
            devices=tuple((item.host_path, item.container_path, item.permissions or "mrw") for item in devices),
            annotations={name: value for response in responses for name, value in response.annotations.items()},
            groups=edits.groups,
        )

    def release(self, pod_uid: str) -> None:
        """Takes back what a pod had that has ended. Raises: OSError."""
        self.devices.release(pod_uid)
        if self.cpus is not None:
            self.cpus.release(pod_uid)

    async def keep(self, pod_uids: Collection[str]) -> None:
        """Takes back what pods had that the node no longer knows. Raises: OSError."""
        if self.claims is not None:
            await self.claims.keep(pod_uids)
        self.devices.keep(pod_uids)
        if self.cpus is not None:
            self.cpus.keep(pod_uids)

    def has_own_cpus(self, pod_uid: str) -> bool:
        """Tells whether a container of the pod has CPUs for itself."""
        return self.cpus is not None and self.cpus.has_own(pod_uid)

    def with_cpus(self, pod_uid: str, container: str, resources: Resources) -> Resources:
        """Adds the CPUs to the limits of a container. One that has CPUs for itself is not held back on them."""
        if self.cpus is None:
            return resources
        own = self.cpus.own(pod_uid, container)
        if own:
            return replace(resources, cpuset_cpus=format_cpus(own), cpu_quota_us=0, cpu_period_us=0)
        return replace(resources, cpuset_cpus=format_cpus(self.cpus.shared))
