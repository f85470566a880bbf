"""Keeps one task per probe of every running container and remembers their verdicts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from componentbase import logs
from componentbase.clock import Clock
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.probes import Probe
from kubeapi.core.pod.spec import Container
from kubelet.container.events import ContainerEvents, Events
from kubelet.container.spec import api_statuses, container_id
from kubelet.probe import metrics
from kubelet.probe.interface import ProbedContainer
from kubelet.probe.probes import run_probe
from kubelet.probe.state import ProbeKind, ProbeResult, ProbeState, Verdict, Verdicts
from kubelet.runtime.interface import PodRuntimeStatus, Runtime

KINDS: tuple[ProbeKind, ...] = ("startup", "liveness", "readiness")
MESSAGE_LIMIT = 1024

RunProbe = Callable[[ProbedContainer, Probe], Awaitable[ProbeResult]]

log = logs.logger(__name__)


@dataclass(slots=True)
class _Worker:
    """One probe of one container instance."""

    pod: Pod
    container: Container
    kind: ProbeKind
    probe: Probe
    state: ProbeState
    pod_ip: str
    started_at: float
    task: asyncio.Task[None] | None = None


class Prober:
    """`on_change(pod_uid)` is called when a verdict changes. Workers end with their container."""

    def __init__(
        self,
        runtime: Runtime,
        events: Events,
        on_change: Callable[[str], None],
        clock: Clock,
        tasks: asyncio.TaskGroup,
        probe: RunProbe = run_probe,
    ) -> None:
        self._runtime = runtime
        self._events = events
        self._on_change = on_change
        self._clock = clock
        self._tasks = tasks
        self._probe = probe
        self._born_at = clock.monotonic()
        self._workers: dict[str, dict[tuple[str, ProbeKind], _Worker]] = {}

    def update(self, pod: Pod, status: PodRuntimeStatus | None, pod_ip: str, *, terminating: bool = False) -> None:
        """Starts the probes of containers that run now and ends those of others.

        A terminating pod is still asked whether it is ready, but no longer killed for being unhealthy.
        """
        uid = pod.metadata.uid or ""
        before = self._workers.get(uid, {})
        workers: dict[tuple[str, ProbeKind], _Worker] = {}
        for container, instance, started_at in _running(pod, status):
            for kind, probe in _probes(container):
                if terminating and kind != "readiness":
                    continue
                key = (instance, kind)
                worker = before.get(key) or self._new_worker(pod, container, kind, probe, instance, started_at)
                worker.pod, worker.pod_ip = pod, pod_ip
                workers[key] = worker
        for key, worker in before.items():
            if key not in workers and worker.task is not None:
                worker.task.cancel()
        if workers:
            self._workers[uid] = workers
        else:
            self._workers.pop(uid, None)
        for (instance, _), worker in workers.items():
            if worker.task is None and not worker.state.done:
                worker.task = self._tasks.create_task(self._run(uid, instance, worker))

    def forget(self, uid: str) -> None:
        for worker in self._workers.pop(uid, {}).values():
            metrics.forget(worker.pod, worker.container.name)
            if worker.task is not None:
                worker.task.cancel()

    def verdicts(self, uid: str) -> Verdicts:
        """Returns the verdicts that may kill a container."""
        return Verdicts(liveness=self.results(uid, "liveness"), startup=self.results(uid, "startup"))

    def results(self, uid: str, kind: ProbeKind) -> dict[str, Verdict]:
        """Container id -> verdict of its probe of this kind."""
        workers = self._workers.get(uid, {})
        return {instance: worker.state.verdict for (instance, probed), worker in workers.items() if probed == kind}

    def __len__(self) -> int:
        return sum(len(workers) for workers in self._workers.values())

    def _new_worker(
        self, pod: Pod, container: Container, kind: ProbeKind, probe: Probe, instance: str, started_at: float
    ) -> _Worker:
        state = ProbeState.start(kind, probe, _reported_verdict(pod, container, kind, instance))
        return _Worker(pod, container, kind, probe, state, "", started_at)

    async def _run(self, uid: str, instance: str, worker: _Worker) -> None:
        """Waits for the start, the initial delay and startup, then probes every period until there is no point."""
        period = float(max(worker.probe.periodSeconds, 1))
        if self._clock.now() - worker.started_at > period and self._clock.monotonic() - self._born_at < period:
            # Adopted at a restart of the kubelet: all probes of the node would run at once.
            await self._clock.sleep(random.uniform(0, period))
        delay = worker.started_at + (worker.probe.initialDelaySeconds or 0) - self._clock.now()
        if delay > 0:
            await self._clock.sleep(delay)
        while not worker.state.done:
            if worker.kind == "startup" or self._has_started(uid, instance):
                began_at = self._clock.monotonic()
                result = await self._attempt(worker, instance)
                seconds = self._clock.monotonic() - began_at
                metrics.observe(worker.pod, worker.container.name, worker.kind, result, seconds)
                self._record(worker, result)
                if worker.state.observe(result.outcome):
                    self._log_change(worker)
                    self._on_change(uid)
                    if worker.kind == "startup" and worker.state.verdict == "success":
                        self._wake_others(uid, instance)
            if not worker.state.done:
                await self._pause(worker, period)

    def _has_started(self, uid: str, instance: str) -> bool:
        startup = self._workers.get(uid, {}).get((instance, "startup"))
        return startup is None or startup.state.verdict == "success"

    async def _pause(self, worker: _Worker, period: float) -> None:
        await self._clock.sleep(period)

    def _wake_others(self, uid: str, instance: str) -> None:
        """The other probes of a container that has just started begin at once, not after a period."""
        for kind in ("liveness", "readiness"):
            worker = self._workers.get(uid, {}).get((instance, kind))
            if worker is not None and worker.task is not None:
                worker.task.cancel()
                worker.task = self._tasks.create_task(self._run(uid, instance, worker))

    async def _attempt(self, worker: _Worker, instance: str) -> ProbeResult:
        try:
            container = ProbedContainer(self._runtime, worker.container, instance, worker.pod_ip)
            return await self._probe(container, worker.probe)
        except Exception as error:  # one probe's trouble must not end the others
            log.exception("probe could not be made", error, pod=worker.pod.key, container=worker.container.name)
            return ProbeResult("error", str(error))

    def _record(self, worker: _Worker, result: ProbeResult) -> None:
        name, output = worker.kind.capitalize(), result.output[:MESSAGE_LIMIT]
        events = ContainerEvents(self._events, worker.pod, worker.container.name)
        if result.outcome == "failure":
            events.event("Warning", "Unhealthy", f"{name} probe failed: {output}")
        elif result.outcome == "error":
            events.event("Warning", "Unhealthy", f"{name} probe errored: {output}")
        elif result.outcome == "warning":
            events.event("Warning", "ProbeWarning", f"{name} probe warning: {output}")

    def _log_change(self, worker: _Worker) -> None:
        pod, container = worker.pod.key, worker.container.name
        log.info("probe verdict changed", pod=pod, container=container, probe=worker.kind, now=worker.state.verdict)


def _running(pod: Pod, status: PodRuntimeStatus | None) -> Iterator[tuple[Container, str, float]]:
    """Yields (container, id, start time) of each running container that may have probes."""
    for container in (*(pod.spec.initContainers or ()), *pod.spec.containers):
        newest = status.container(container.name) if status else None
        if newest is not None and newest.state == "running":
            yield container, newest.id, newest.started_at


def _probes(container: Container) -> Iterator[tuple[ProbeKind, Probe]]:
    probes = (container.startupProbe, container.livenessProbe, container.readinessProbe)
    for kind, probe in zip(KINDS, probes, strict=True):
        if probe is not None:
            yield kind, probe


def _reported_verdict(pod: Pod, container: Container, kind: ProbeKind, instance: str) -> Verdict | None:
    """Finds the verdict in the pod's status: a restarted kubelet must not make ready pods unready."""
    reported = api_statuses(pod).get(container.name)
    if reported is None or container_id(reported.containerID) != instance:
        return None
    if kind == "readiness":
        return "success" if reported.ready else None
    return "success" if kind == "startup" and reported.started else None
