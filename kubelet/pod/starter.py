"""Starts one attempt of one container: image, configuration, creation, start, postStart hook."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from apimachinery.text.durations import format_duration
from componentbase import logs
from componentbase.clock import Clock
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container, EphemeralContainer
from kubelet.cgroups.manager import PodGroups
from kubelet.container.backoff import KeyedBackoff
from kubelet.container.config import ContainerInputs, container_config
from kubelet.container.downward import NodeView
from kubelet.container.env import ConfigError, EnvContext, ObjectLookup, ServiceLookup, expand, make_environment
from kubelet.container.events import ContainerEvents, Events, field_path
from kubelet.container.images.manager import PULL_FAILURES, ImageUnavailable
from kubelet.container.images.pod_images import PodImages
from kubelet.container.security import non_root_error
from kubelet.container.spec import find_container, full_name, spec_hash
from kubelet.devices.cdi import CdiError
from kubelet.dra.claims import ClaimsError
from kubelet.network.names import HOSTS_PATH
from kubelet.plugins.rpc import RpcError
from kubelet.pod.actions import Kill, Start
from kubelet.pod.resources.hardware import Hardware, HardwareOptions
from kubelet.pod.status.compute import Waiting
from kubelet.pod.termination import Terminator
from kubelet.pod.work import ContainerSetup, PodWork
from kubelet.probe.interface import HookError, ProbedContainer
from kubelet.probe.probes import run_hook
from kubelet.runtime.configs import ContainerConfig, Mount
from kubelet.runtime.interface import ContainerStartError, EngineError, ImageInfo, Runtime, RuntimeUnavailable
from kubelet.volume.container_mounts import container_devices, volume_groups
from kubelet.volume.interface import VolumeError
from kubelet.volume.manager import VolumeManager

IMAGE_RECHECK_SECONDS = 1.0
"""After a failed pull the pod is looked at again soon, and then shows ImagePullBackOff."""

log = logs.logger(__name__)


class StartFailure(Exception):
    """The container is not running: what its `waiting` state says, and when to try again (None: by backoff)."""

    def __init__(self, waiting: Waiting, retry_seconds: float | None = None) -> None:
        super().__init__(f"{waiting.reason}: {waiting.message}")
        self.waiting = waiting
        self.retry_seconds = retry_seconds


@dataclass(frozen=True, slots=True)
class ContainerStarter:
    """`backoff` delays containers that crash or cannot be started. `seccomp_default` is the profile of a container that
    names none."""

    runtime: Runtime
    images: PodImages
    volumes: VolumeManager
    objects: ObjectLookup
    services: ServiceLookup
    terminator: Terminator
    node: NodeView
    events: Events
    clock: Clock
    backoff: KeyedBackoff
    hardware: Hardware
    groups: PodGroups
    seccomp_default: str

    async def start(self, work: PodWork, start: Start, setup: ContainerSetup) -> None:
        """Raises: StartFailure; Stopping; RuntimeUnavailable."""
        pod = work.pod
        container = find_container(pod, start.name)
        if container is None:
            return
        if start.wait_seconds > 0:
            self._back_off(work, start)
        if start.failed_at:
            self.backoff.advance(start.backoff_key, start.failed_at)
        image = await self._image(work, container)
        hardware = await self._hardware(work, container)
        config = self._config(pod, container, start, setup, image, hardware)
        try:
            container_id = await self.runtime.create_container(setup.sandbox_id, config)
        except RuntimeUnavailable:
            raise
        except EngineError as error:
            raise self._failed(pod, start.name, "CreateContainerError", str(error)) from None
        events = ContainerEvents(self.events, pod, start.name)
        events.event("Normal", "Created", f"Created container: {start.name}")
        if config.security.privileged or config.security.selinux:
            for text in await self.runtime.unmet(config.security):
                events.event("Warning", "SecurityContextNotEnforced", text)
        try:
            await self.runtime.start_container(container_id)
            limits = self.hardware.with_cpus(work.uid, start.name, config.resources)
            if limits != config.resources:  # others have got CPUs meanwhile
                await self.runtime.update_container(container_id, limits)
        except RuntimeUnavailable:
            raise
        except (ContainerStartError, EngineError) as error:
            raise self._failed(pod, start.name, "RunContainerError", str(error)) from None
        work.allocation.actuated[container_id] = container.resources
        events.event("Normal", "Started", f"Started container {start.name}")
        log.info("container started", pod=pod.key, container=start.name, attempt=start.attempt)
        work.waiting.pop(start.name, None)
        await self._post_start(work, container, container_id, setup)

    def note_failure(self, work: PodWork, name: str, failure: StartFailure) -> float:
        """Shows why the container waits; returns when to try again. A failure without a time backs off like a crash."""
        if work.waiting.get(name) != failure.waiting:
            log.info("container not started", pod=work.pod.key, container=name, why=failure.waiting.reason)
        work.waiting[name] = failure.waiting
        if failure.retry_seconds is not None:
            return failure.retry_seconds
        return self.backoff.advance(f"{work.uid}/{name}/start", self.clock.now())

    def forget(self, work: PodWork) -> None:
        """Forgets the pod's delays."""
        self.backoff.forget_prefix(f"{work.uid}/")

    def _back_off(self, work: PodWork, start: Start) -> None:
        """Raises the StartFailure; the event comes once per wait, though the pod may be looked at more often."""
        pod = work.pod
        delay = format_duration(self.backoff.delay(start.backoff_key))
        name = full_name(pod)
        message = f"back-off {delay} restarting failed container={start.name} pod={name}"
        waiting = Waiting("CrashLoopBackOff", message)
        if work.waiting.get(start.name) != waiting:
            text = f"Back-off restarting failed container {start.name} in pod {name}"
            ContainerEvents(self.events, pod, start.name).event("Warning", "BackOff", text)
        raise StartFailure(waiting, start.wait_seconds)

    async def _image(self, work: PodWork, container: Container) -> ImageInfo:
        wanted = self.images.ensure(
            work.pod, container.image or "", container.imagePullPolicy, field_path(work.pod, container.name)
        )
        try:
            return await work.unless_stopping(wanted)
        except ImageUnavailable as error:
            retry = IMAGE_RECHECK_SECONDS if error.reason in PULL_FAILURES else error.retry_seconds
            raise StartFailure(Waiting(error.reason, error.message), retry) from None

    async def _hardware(self, work: PodWork, container: Container) -> HardwareOptions:
        """Raises: StartFailure with CreateContainerConfigError; Stopping."""
        try:
            return await work.unless_stopping(self.hardware.options(work.pod, container))
        except (RpcError, CdiError, ClaimsError) as error:
            raise self._failed(work.pod, container.name, "CreateContainerConfigError", str(error)) from None

    def _config(
        self,
        pod: Pod,
        container: Container,
        start: Start,
        setup: ContainerSetup,
        image: ImageInfo,
        hardware: HardwareOptions,
    ) -> ContainerConfig:
        """Raises: StartFailure with CreateContainerConfigError."""
        refused = non_root_error(pod, container, image)
        if refused:
            raise self._failed(pod, start.name, "CreateContainerConfigError", refused)
        target = container.targetContainerName if isinstance(container, EphemeralContainer) else None
        if target and target not in setup.running:
            message = f"unable to find target container {target}"
            raise self._failed(pod, start.name, "CreateContainerConfigError", message)
        uid = pod.metadata.uid or ""
        message_dir = os.path.join(self.volumes.pod_dir(uid), "containers", container.name)
        try:
            env = self._environment(pod, container, setup)
            mounts = self.volumes.container_mounts(pod, container, setup.volumes, env)
            devices = container_devices(container, setup.volumes)
            os.makedirs(message_dir, exist_ok=True)
        except (ConfigError, VolumeError, OSError) as error:
            raise self._failed(pod, start.name, "CreateContainerConfigError", str(error)) from None
        inputs = ContainerInputs(
            attempt=start.attempt,
            image=image,
            spec_hash=spec_hash(container),
            command=[expand(part, env) for part in container.command or ()],
            args=[expand(part, env) for part in container.args or ()],
            env=hardware.env | env,
            mounts=[*hardware.mounts, *mounts, *_hosts_mount(setup.hosts, mounts)],
            devices=[*hardware.devices, *devices],
            supplemental_groups=[*volume_groups(setup.volumes), *hardware.groups],
            annotations=hardware.annotations,
            termination_message_host_path=os.path.join(message_dir, str(start.attempt)),
            grace_seconds=pod.spec.terminationGracePeriodSeconds,
            node_memory_bytes=self.node.memory_bytes,
            pids_limit=self.groups.container_pids_limit(uid),
            cgroup_parent=self.groups.path(uid),
            pid_target=setup.running[target] if target else "",
            seccomp_default=self.seccomp_default,
        )
        config = container_config(pod, container, start.kind, inputs)
        limits = self.hardware.with_cpus(uid, container.name, config.resources)
        config = replace(config, resources=limits)
        signal = container.lifecycle.stopSignal if container.lifecycle else None
        return replace(config, stop_signal=signal) if signal else config

    def _environment(self, pod: Pod, container: Container, setup: ContainerSetup) -> dict[str, str]:
        """Raises: ConfigError."""
        services = tuple(self.services.list())
        return make_environment(container, EnvContext(pod, self.node.facts(), self.objects, services, setup.pod_ips))

    async def _post_start(self, work: PodWork, container: Container, container_id: str, setup: ContainerSetup) -> None:
        """The next container waits for it; a failed hook kills its container."""
        hook = container.lifecycle.postStart if container.lifecycle else None
        if hook is None:
            return
        pod_ip = setup.pod_ips[0] if setup.pod_ips else ""
        running = ProbedContainer(self.runtime, container, container_id, pod_ip)
        try:
            await work.unless_stopping(run_hook(running, hook, self.clock))
        except HookError as error:
            log.warning("postStart hook failed", pod=work.pod.key, container=container.name, error=str(error))
            events = ContainerEvents(self.events, work.pod, container.name)
            events.event("Warning", "FailedPostStartHook", "PostStartHook failed")
            status = await self.runtime.pod(work.uid)
            started = status.container(container.name) if status else None
            if started is not None and started.state == "running":
                kill = Kill(container.name, started.id, "hook", "FailedPostStartHook")
                await self.terminator.stop_container(work, started, kill)
            raise StartFailure(Waiting("PostStartHookError", str(error))) from None

    def _failed(self, pod: Pod, name: str, reason: str, message: str) -> StartFailure:
        ContainerEvents(self.events, pod, name).event("Warning", "Failed", f"Error: {message}")
        return StartFailure(Waiting(reason, message))


def _hosts_mount(hosts: Mount | None, mounts: list[Mount]) -> list[Mount]:
    """Mounts the hosts file, unless the container brings its own."""
    if hosts is None or any(mount.container_path.rstrip("/") == HOSTS_PATH for mount in mounts):
        return []
    return [hosts]
