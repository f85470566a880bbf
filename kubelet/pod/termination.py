"""Stops containers: preStop hook, SIGTERM, grace period, SIGKILL; regular containers first, sidecars after them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from apimachinery.text.durations import format_duration
from componentbase import logs
from componentbase.clock import Clock
from componentbase.tasks import first_of
from kubeapi.core.pod.lifecycle import is_sidecar
from kubeapi.core.pod.spec import Container
from kubelet.container.events import Events, field_path
from kubelet.container.spec import find_container, grace_seconds
from kubelet.pod.actions import Kill
from kubelet.pod.work import PodWork, unless
from kubelet.probe.interface import HookError, ProbedContainer
from kubelet.probe.probes import run_hook
from kubelet.runtime.interface import ContainerStatus, EngineError, PodRuntimeStatus, Runtime

MIN_STOP_SECONDS = 2.0
"""The time that a container gets after its hook has used the grace period up."""

log = logs.logger(__name__)


class GraceChanged(Exception):
    """The pod has to stop sooner than it was given."""


class Terminator:
    def __init__(self, runtime: Runtime, events: Events, clock: Clock) -> None:
        self._runtime = runtime
        self._events = events
        self._clock = clock

    async def stop_pod(self, work: PodWork, status: PodRuntimeStatus, *, message: str = "") -> None:
        """Returns when no process of the pod is left. A shorter grace period (`work.grace_changed`) applies at once.

        Raises: EngineError.
        """
        while True:
            work.grace_changed.clear()
            stop = self._stop_containers(work, status, float(work.grace_seconds()), message)
            try:
                await unless(work.grace_changed, stop, GraceChanged())
                break
            except GraceChanged:
                continue
        for sandbox in status.sandboxes:
            if sandbox.ready:
                await self._runtime.stop_sandbox(sandbox.id)

    async def stop_container(self, work: PodWork, status: ContainerStatus, kill: Kill) -> None:
        """Stops one container of a pod that goes on. Raises: EngineError."""
        container = find_container(work.pod, status.name)
        grace = float(grace_seconds(work.pod))
        probe = None
        if container is not None:
            probe = {"liveness": container.livenessProbe, "startup": container.startupProbe}.get(kill.reason)
        if probe is not None and probe.terminationGracePeriodSeconds is not None:
            grace = float(probe.terminationGracePeriodSeconds)
        await self._stop(work, container, status, grace, kill.message)

    async def _stop_containers(self, work: PodWork, status: PodRuntimeStatus, grace: float, message: str) -> None:
        """Stops regular containers together, then sidecars from the last to the first, all within the grace period.

        The hooks of all run at once. A sidecar whose turn comes late has MIN_STOP_SECONDS all the same.
        """
        sidecars = [container.name for container in work.pod.spec.initContainers or () if is_sidecar(container)]
        running = [container for container in status.containers if container.state == "running"]
        groups = [[container for container in running if container.name not in sidecars]]
        groups += [[container] for name in reversed(sidecars) for container in running if container.name == name]
        over = [asyncio.Event() for _ in groups]

        async def stop_group(number: int) -> None:
            turn = over[number - 1] if number else None
            try:
                await _all(
                    self._stop(work, find_container(work.pod, item.name), item, grace, message, turn)
                    for item in groups[number]
                )
            finally:
                over[number].set()

        await _all(map(stop_group, range(len(groups))))

    async def _stop(
        self,
        work: PodWork,
        container: Container | None,
        status: ContainerStatus,
        grace: float,
        message: str,
        turn: asyncio.Event | None = None,
    ) -> None:
        """Runs the hook, waits for the container's turn, and stops it. Both count against the grace period."""
        began = self._clock.monotonic()
        if status.id not in work.hooks_run:
            work.hooks_run.add(status.id)
            text = message or f"Stopping container {status.name}"
            self._events.event(work.pod, "Normal", "Killing", text, field_path=field_path(work.pod, status.name))
            log.info("stopping container", pod=work.pod.key, container=status.name, grace_seconds=grace)
            if grace > 0 and container is not None:
                await self._pre_stop(work, container, status, grace)
        if turn is not None:
            await turn.wait()
        left = grace - (self._clock.monotonic() - began)
        await self._runtime.stop_container(status.id, max(left, min(grace, MIN_STOP_SECONDS)))

    async def _pre_stop(self, work: PodWork, container: Container, status: ContainerStatus, grace: float) -> None:
        """Returns when the hook is over, when its container is, or at the end of the grace period."""
        hook = container.lifecycle.preStop if container.lifecycle else None
        if hook is None:
            return
        running = ProbedContainer(self._runtime, container, status.id, work.pod.status.podIP or "")

        async def end_of_grace() -> None:
            await self._clock.sleep(grace)
            raise HookError(f"not over within {format_duration(grace)}")

        try:
            hook_run = run_hook(running, hook, self._clock)
            await first_of(hook_run, self._runtime.wait_container(status.id), end_of_grace())
        except (HookError, EngineError) as error:
            log.warning("preStop hook failed", pod=work.pod.key, container=container.name, error=str(error))
            path = field_path(work.pod, container.name)
            self._events.event(work.pod, "Warning", "FailedPreStopHook", "PreStopHook failed", field_path=path)


async def _all(stops: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Waits for all of them, even when one fails, and raises the first error."""
    for error in await asyncio.gather(*stops, return_exceptions=True):
        if error is not None:
            raise error
