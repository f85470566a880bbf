"""Makes and removes the sandboxes of pods: the pause container that holds a pod's network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from apimachinery.errors import StatusError
from componentbase import logs
from kubeapi.core.pod.model import Pod
from kubeapi.node.runtimeclass import RuntimeClass
from kubeclient.rest import RestClient
from kubelet.cgroups.manager import PodGroups
from kubelet.container.config import sandbox_config
from kubelet.container.events import Events
from kubelet.network.bandwidth import BandwidthError, pod_bandwidth
from kubelet.network.dns import ClusterDns, pod_dns
from kubelet.network.names import NameTooLong, kernel_hostname, pod_names
from kubelet.pod.termination import Terminator
from kubelet.pod.work import PodWork, SandboxFailed, SyncFailed
from kubelet.runtime.configs import DnsConfig
from kubelet.runtime.interface import EngineError, PodRuntimeStatus, Runtime, RuntimeUnavailable
from kubelet.runtime.network import network_not_ready
from kubelet.volume.interface import Mounted

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Sandboxes:
    """`node_dns` is the node's own resolver configuration."""

    runtime: Runtime
    rest: RestClient
    terminator: Terminator
    events: Events
    cluster_dns: ClusterDns
    node_dns: DnsConfig
    groups: PodGroups

    async def create(self, work: PodWork, attempt: int, volumes: Iterable[Mounted]) -> None:
        """Raises: SyncFailed; RuntimeUnavailable."""
        pod = work.pod
        dns = pod_dns(pod, self.cluster_dns, self.node_dns)
        for reason, text in dns.warnings:
            self.events.event(pod, "Warning", reason, text)
        if not pod.spec.hostNetwork and (problem := self.runtime.network_problem()):
            message = f"network is not ready: {network_not_ready(problem)}"
            self.events.event(pod, "Warning", "NetworkNotReady", message)
            raise SandboxFailed(message)
        group = await self._group(pod)
        held = tuple(volume.memory_volume for volume in volumes if volume.memory_volume)
        try:
            handler = await self._handler(pod)
            config = sandbox_config(
                pod,
                attempt=attempt,
                dns=dns.config,
                hostname=kernel_hostname(pod, pod_names(pod, self.cluster_dns.domain)),
                memory_volumes=held,
                runtime_handler=handler,
                cgroup_parent=group,
                bandwidth=pod_bandwidth(pod.metadata.annotations or {}),
            )
            sandbox = await self.runtime.create_sandbox(config)
        except RuntimeUnavailable:
            raise
        except (EngineError, BandwidthError, NameTooLong, StatusError, ConnectionError, TimeoutError) as error:
            message = f"Failed to create pod sandbox: {error}"
            self.events.event(pod, "Warning", "FailedCreatePodSandBox", message)
            raise SandboxFailed(message) from None
        log.info("sandbox created", pod=pod.key, attempt=attempt, ips=",".join(sandbox.ips))

    async def _group(self, pod: Pod) -> str:
        """Raises: SyncFailed."""
        try:
            return await self.groups.enter(pod)
        except OSError as error:
            message = f"unable to ensure pod container exists: {error}"
            self.events.event(pod, "Warning", "FailedToCreatePodContainer", message)
            raise SyncFailed(message) from None

    async def _handler(self, pod: Pod) -> str:
        """Looks up the handler of the pod's class. Raises: StatusError; ConnectionError; TimeoutError."""
        name = pod.spec.runtimeClassName
        return (await self.rest.get(RuntimeClass, name)).handler if name else ""

    async def stop(self, work: PodWork, status: PodRuntimeStatus) -> None:
        """Stops the pod's containers and old sandboxes, because its network is gone. Raises: EngineError."""
        message = "Pod sandbox changed, it will be killed and re-created."
        self.events.event(work.pod, "Normal", "SandboxChanged", message)
        await self.terminator.stop_pod(work, status)

    async def remove(self, uid: str) -> None:
        """Removes the pod's containers with their logs, then its sandboxes. Raises: EngineError."""
        status = await self.runtime.pod(uid)
        if status is None:
            return
        for container in status.containers:
            await self.runtime.remove_container(container.id)
        for sandbox in status.sandboxes:
            await self.runtime.remove_sandbox(sandbox.id)
