"""Brings one pod a step nearer to what it should be: asks the pure parts what to do, and does it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from componentbase import logs
from componentbase.clock import Clock
from kubeapi.core.node import Node
from kubeapi.core.pod.lifecycle import is_terminal
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.status import PodStatus
from kubelet.container.backoff import Backoff
from kubelet.container.config import HOSTS_PATH, managed_hosts, sandbox_config
from kubelet.container.downward import NodeFacts
from kubelet.container.events import Events
from kubelet.pod.actions import PodActions, compute_actions, deadline_remaining
from kubelet.pod.admission import admit
from kubelet.pod.allocation import recalled
from kubelet.pod.host_ports import HostPorts
from kubelet.pod.resizer import Resizer
from kubelet.pod.starter import ContainerStarter, StartFailure
from kubelet.pod.status.compute import Failure, StatusInputs, Waiting, compute_status, rejected_status, start_time
from kubelet.pod.status.manager import StatusManager
from kubelet.pod.termination import Terminator
from kubelet.pod.work import ContainerSetup, PodWork
from kubelet.probe.prober import Prober
from kubelet.runtime.interface import (
    ContainerStatus,
    DnsConfig,
    EngineError,
    Mount,
    PodRuntimeStatus,
    Runtime,
    RuntimeUnavailable,
    SandboxStatus,
)
from kubelet.volume.manager import VolumeFailure, VolumeManager
from kubelet.volume.objects import ObjectsNotSynced, ObjectStore

MAX_PASSES = 20
"""Steps in one go: a pod with many init containers that end at once must not starve its own status."""

log = logs.logger(__name__)


class SyncFailed(Exception):
    """Something outside the pod's spec went wrong; it has been told by an event, and is tried again with backoff."""


@dataclass(frozen=True, slots=True)
class SyncResult:
    """`finished`: nothing of the pod shall run any more. `next_seconds`: look again then; None: only when woken."""

    finished: bool = False
    next_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class SyncParts:
    """The rest of the kubelet, as far as pods need it."""

    runtime: Runtime
    starter: ContainerStarter
    terminator: Terminator
    resizer: Resizer
    prober: Prober
    host_ports: HostPorts
    statuses: StatusManager
    volumes: VolumeManager
    objects: ObjectStore
    events: Events
    backoff: Backoff
    clock: Clock
    node: Callable[[], Node]
    facts: Callable[[], NodeFacts]
    dns: Callable[[Pod], DnsConfig | None]
    pods: Callable[[], Iterable[Pod]]
    """Those this node has admitted."""
    cluster_domain: str = "cluster.local"


class PodSyncer:
    """The three things that happen to a pod: `sync`, `terminate` and `clean_up`. All may be repeated at any time."""

    def __init__(self, parts: SyncParts) -> None:
        self._parts = parts

    async def sync(self, work: PodWork) -> SyncResult:
        """Raises: SyncFailed; Stopping; EngineError."""
        status = await self._parts.runtime.pod(work.uid)
        rejected = self._admit(work, status)
        if rejected is not None:
            self._parts.events.event(work.pod, "Warning", rejected.reason, rejected.message)
            self._set_status(work, rejected_status(work.pod, rejected, self._parts.clock.now()))
            return SyncResult(finished=True)
        deadline = deadline_remaining(work.pod, start_time(work.pod), self._parts.clock.now())
        if deadline == 0.0:
            work.failure = Failure("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
            self._parts.events.event(work.pod, "Normal", work.failure.reason, work.failure.message)
            return SyncResult(finished=True)
        grant_again = self._parts.resizer.allocate(work)
        result = await self._sync_containers(work, status)
        waits = [seconds for seconds in (deadline, grant_again, result.next_seconds) if seconds is not None]
        return replace(result, next_seconds=min(waits, default=None))

    def _admit(self, work: PodWork, status: PodRuntimeStatus | None) -> Failure | None:
        """A pod that runs here already was admitted before the kubelet restarted."""
        if work.admitted or (status is not None and status.containers):
            work.admitted = True
            return None
        work.allocation = recalled(work.pod)
        failure = admit(work.allocated(), self._parts.pods(), self._parts.node())
        work.admitted = failure is None
        return failure

    async def _sync_containers(self, work: PodWork, status: PodRuntimeStatus | None) -> SyncResult:
        retry: float | None = None
        known = {container.id for container in status.containers} if status else set()
        work.hooks_run &= known
        work.allocation.actuated = {key: value for key, value in work.allocation.actuated.items() if key in known}
        for _ in range(MAX_PASSES):
            self._follow(work, status)
            self._parts.resizer.settle(work, status)
            actions = self._decide(work, status)
            if actions.finished:
                return SyncResult(finished=True)
            self._report(work, status)
            setup_needed = actions.create_sandbox or bool(actions.start) or self._parts.volumes.has_live(work.pod)
            setup = await self._prepare(work, status) if setup_needed else None
            if not (actions.create_sandbox or actions.kill or actions.start or actions.update):
                return SyncResult()
            changed, retry = await self._perform(work, status, actions, setup)
            status = await self._parts.runtime.pod(work.uid)
            if not changed:
                break
        self._follow(work, status)
        self._report(work, status)
        return SyncResult(next_seconds=retry)

    def _decide(self, work: PodWork, status: PodRuntimeStatus | None) -> PodActions:
        verdicts = self._parts.prober.verdicts(work.uid)
        now = self._parts.clock.now()
        return compute_actions(
            work.allocated(),
            status,
            now=now,
            verdicts=verdicts,
            backoff=self._parts.backoff,
            actuated=work.allocation.actuated,
        )

    async def _perform(
        self, work: PodWork, status: PodRuntimeStatus | None, actions: PodActions, setup: ContainerSetup | None
    ) -> tuple[bool, float | None]:
        """(whether anything has changed, seconds after which to try again what could not be done now)."""
        if actions.create_sandbox:
            if actions.kill_pod and status is not None:
                await self._drop_sandboxes(work, status)
            await self._create_sandbox(work, actions.sandbox_attempt)
            return True, None
        by_id = {container.id: container for container in status.containers} if status else {}
        changed, waits = bool(actions.kill), list[float]()
        for update in actions.update:
            seconds = await self._parts.resizer.update(work, update.name, update.container_id)
            changed = changed or seconds is None
            waits += [] if seconds is None else [seconds]
        for kill in actions.kill:
            await self._parts.terminator.stop_container(work, by_id[kill.container_id], kill)
        if setup is None:
            return changed, min(waits, default=None)
        killed = {kill.name for kill in actions.kill}
        for start in actions.start:
            if start.name in killed and start.wait_seconds > 0:
                continue  # the next pass sees how it ended, and waits from then
            try:
                await self._parts.starter.start(work, start, setup)
                changed = True
                if start is not actions.start[-1]:
                    await self._show(work)  # the next one's image may take minutes
            except StartFailure as failure:
                if work.waiting.get(start.name) != failure.waiting:
                    why = failure.waiting.reason
                    log.info("container not started", pod=work.pod.key, container=start.name, why=why)
                work.waiting[start.name] = failure.waiting
                waits.append(self._retry_seconds(work, start.name, failure))
                if start.kind == "init":
                    break
        return changed, min(waits, default=None)

    async def _show(self, work: PodWork) -> None:
        """Probes and reports what runs by now."""
        status = await self._parts.runtime.pod(work.uid)
        self._follow(work, status)
        self._report(work, status)

    def _retry_seconds(self, work: PodWork, name: str, failure: StartFailure) -> float:
        """Failures without a time of their own back off like crashes."""
        if failure.retry_seconds is not None:
            return failure.retry_seconds
        return self._parts.backoff.advance(f"{work.uid}/{name}/start", self._parts.clock.now())

    async def _drop_sandboxes(self, work: PodWork, status: PodRuntimeStatus) -> None:
        """The network of the pod is gone: its containers, and then the old sandbox, go too."""
        message = "Pod sandbox changed, it will be killed and re-created."
        self._parts.events.event(work.pod, "Normal", "SandboxChanged", message)
        await self._parts.terminator.stop_pod(work, status)

    async def _create_sandbox(self, work: PodWork, attempt: int) -> None:
        pod = work.pod
        config = sandbox_config(pod, attempt=attempt, dns=self._parts.dns(pod))
        try:
            sandbox = await self._parts.runtime.create_sandbox(config)
        except RuntimeUnavailable:
            raise
        except EngineError as error:
            message = f"Failed to create pod sandbox: {error}"
            self._parts.events.event(pod, "Warning", "FailedCreatePodSandBox", message)
            raise SyncFailed(message) from None
        log.info("sandbox created", pod=pod.key, attempt=attempt, ips=",".join(sandbox.ips))

    async def _prepare(self, work: PodWork, status: PodRuntimeStatus | None) -> ContainerSetup:
        """Volumes and the hosts file. Raises: SyncFailed; Stopping."""
        parts, pod = self._parts, work.allocated()
        sandbox = status.sandbox if status else None
        pod_ips = self._pod_ips(sandbox)
        try:
            parts.objects.use(work.uid, parts.volumes.references(pod))
            await work.unless_stopping(parts.objects.wait_synced(work.uid))
            mounted = await parts.volumes.set_up(pod, parts.facts(), pod_ips)
            hosts = self._hosts(pod, pod_ips) if sandbox is not None else None
        except (VolumeFailure, ObjectsNotSynced, OSError) as error:
            parts.events.event(pod, "Warning", "FailedMount", str(error))
            self._report(work, status)
            raise SyncFailed(str(error)) from None
        running = {item.name: item.id for item in status.containers if item.state == "running"} if status else {}
        return ContainerSetup(sandbox.id if sandbox else "", pod_ips, mounted, hosts, running)

    def _pod_ips(self, sandbox: SandboxStatus | None) -> tuple[str, ...]:
        if sandbox is None or not sandbox.ready:
            return ()
        return self._parts.facts().ips if sandbox.host_network else sandbox.ips

    def _hosts(self, pod: Pod, pod_ips: tuple[str, ...]) -> Mount:
        """Written in place: a file that is mounted keeps its inode."""
        spec = pod.spec
        domain = f"{spec.subdomain}.{pod.namespace}.svc.{self._parts.cluster_domain}" if spec.subdomain else ""
        node_hosts = _read_text(HOSTS_PATH) if spec.hostNetwork else ""
        text = managed_hosts(pod, pod_ips, domain=domain, node_hosts=node_hosts)
        path = os.path.join(self._parts.volumes.pod_dir(pod.metadata.uid or ""), "etc-hosts")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if _read_text(path) != text:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        os.chmod(path, 0o644)
        return Mount(HOSTS_PATH, source=path)

    # the end

    async def terminate(self, work: PodWork) -> None:
        """Stops everything; returns when nothing of the pod runs. Raises: EngineError."""
        parts = self._parts
        status = await parts.runtime.pod(work.uid)
        self._follow(work, status, terminating=True)
        self._report(work, status)
        if status is not None and status.running:
            await parts.terminator.stop_pod(work, status)
            status = await parts.runtime.pod(work.uid)
        parts.prober.forget(work.uid)
        parts.host_ports.forget(work.uid)
        self._report(work, status, terminal=True)
        if status is not None and status.running:
            raise SyncFailed("containers of the pod still run")

    async def clean_up(self, work: PodWork) -> None:
        """Gives back what a pod that no longer runs holds on the node; its containers stay for their logs.

        Raises: EngineError; OSError.
        """
        parts = self._parts
        parts.prober.forget(work.uid)
        parts.host_ports.forget(work.uid)
        parts.objects.use(work.uid, ())
        parts.volumes.forget(work.uid)
        parts.backoff.forget_prefix(f"{work.uid}/")
        if work.gone or work.pod.metadata.deletionTimestamp:
            await self.remove_containers(work.uid)
            await parts.volumes.tear_down(work.uid)
        if not work.cleaned:
            work.cleaned = True
            log.info("pod ended", pod=work.pod.key)
        parts.statuses.finish(work.pod)

    async def remove_containers(self, uid: str) -> None:
        """With their logs. Raises: EngineError."""
        status = await self._parts.runtime.pod(uid)
        if status is None:
            return
        for container in status.containers:
            await self._parts.runtime.remove_container(container.id)
        for sandbox in status.sandboxes:
            await self._parts.runtime.remove_sandbox(sandbox.id)

    # what others see

    def _follow(self, work: PodWork, status: PodRuntimeStatus | None, *, terminating: bool = False) -> None:
        """Probes and host ports go where the pod is now."""
        pod_ips = self._pod_ips(status.sandbox if status else None)
        self._parts.prober.update(work.pod, status, pod_ips[0] if pod_ips else "", terminating=terminating)
        self._parts.host_ports.update(work.pod, pod_ips)

    def _report(self, work: PodWork, status: PodRuntimeStatus | None, *, terminal: bool = False) -> None:
        """Takes the pod's status to the status manager; the worker's pod carries it on."""
        parts = self._parts
        if status is None and is_terminal(work.pod.status.phase):
            return  # rejected, or over before this kubelet started: what was said last stands
        _drop_started(work.waiting, status.containers if status else ())
        inputs = StatusInputs(
            now=parts.clock.now(),
            node_ips=parts.facts().ips,
            waiting=dict(work.waiting),
            readiness=parts.prober.results(work.uid, "readiness"),
            startup=parts.prober.results(work.uid, "startup"),
            terminal=terminal,
            failure=work.failure,
            allocation=work.allocation,
        )
        self._set_status(work, compute_status(work.allocated(), status, inputs))

    def _set_status(self, work: PodWork, new: PodStatus) -> None:
        if new != work.pod.status:
            work.pod = work.pod.model_copy(update={"status": new})
            self._parts.statuses.set(work.pod, new)


def _drop_started(waiting: dict[str, Waiting], containers: Iterable[ContainerStatus]) -> None:
    """A container that runs no longer waits."""
    for container in containers:
        if container.state == "running":
            waiting.pop(container.name, None)


def _read_text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""
