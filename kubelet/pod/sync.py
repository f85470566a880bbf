"""Brings one pod a step nearer to its spec: asks the pure parts what to do, and does it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from componentbase import logs
from componentbase.clock import Clock
from kubeapi.core.pod.lifecycle import is_sidecar
from kubelet.container.events import Events
from kubelet.container.spec import find_container
from kubelet.pod.actions import PodActions, compute_actions, deadline_remaining
from kubelet.pod.pod_volumes import PodVolumes
from kubelet.pod.publisher import Publisher
from kubelet.pod.resources.node_resources import NodeResources
from kubelet.pod.sandboxes import Sandboxes
from kubelet.pod.starter import ContainerStarter, StartFailure
from kubelet.pod.status.compute import Failure, start_time
from kubelet.pod.termination import Terminator
from kubelet.pod.work import ContainerSetup, PodWork, SyncFailed
from kubelet.runtime.interface import PodRuntimeStatus, Runtime

MAX_PASSES = 20
"""Steps in one go: a pod with many init containers that end at once must not starve its own status."""

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class SyncResult:
    """`finished`: nothing of the pod shall run any more. `next_seconds`: look again then; None: only when woken."""

    finished: bool = False
    next_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class PodSyncer:
    """The three things that happen to a pod: `sync`, `terminate` and `clean_up`. All may be repeated at any time."""

    runtime: Runtime
    resources: NodeResources
    sandboxes: Sandboxes
    volumes: PodVolumes
    starter: ContainerStarter
    terminator: Terminator
    publisher: Publisher
    events: Events
    clock: Clock

    async def sync(self, work: PodWork) -> SyncResult:
        """Raises: SyncFailed; Stopping; EngineError."""
        status = await self.runtime.pod(work.uid)
        runs_already = status is not None and bool(status.containers)
        rejection = await self.resources.admit(work, runs_already=runs_already)
        if rejection is not None:
            self.events.event(work.pod, "Warning", rejection.reason, rejection.message)
            self.publisher.report_rejected(work, rejection)
            return SyncResult(finished=True)
        deadline = deadline_remaining(work.pod, start_time(work.pod), self.clock.now())
        if deadline == 0.0:
            work.failure = Failure("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
            self.events.event(work.pod, "Normal", work.failure.reason, work.failure.message)
            return SyncResult(finished=True)
        grant_again = self.resources.grant(work)
        await self.resources.fit_group(work)
        result = await self._sync_containers(work, status)
        waits = [seconds for seconds in (deadline, grant_again, result.next_seconds) if seconds is not None]
        return replace(result, next_seconds=min(waits, default=None))

    async def _sync_containers(self, work: PodWork, status: PodRuntimeStatus | None) -> SyncResult:
        retry: float | None = None
        existing = {container.id for container in status.containers} if status else set()
        work.hooks_run &= existing
        work.allocation.actuated = {key: value for key, value in work.allocation.actuated.items() if key in existing}
        for _ in range(MAX_PASSES):
            self.publisher.follow(work, status)
            await self.resources.settle(work, status)
            actions = compute_actions(
                work.pod,
                status,
                now=self.clock.now(),
                verdicts=self.publisher.verdicts(work),
                backoff=self.starter.backoff,
                actuated=work.allocation.actuated,
            )
            if actions.finished:
                return SyncResult(finished=True)
            self.publisher.report(work, status)
            setup_needed = actions.create_sandbox or bool(actions.start) or self.volumes.has_live(work)
            setup = await self.volumes.prepare(work, status) if setup_needed else None
            if not (actions.create_sandbox or actions.kill or actions.start or actions.update):
                return SyncResult()
            changed, retry = await self._perform(work, status, actions, setup)
            status = await self.runtime.pod(work.uid)
            if not changed:
                break
        self.publisher.follow(work, status)
        self.publisher.report(work, status)
        return SyncResult(next_seconds=retry)

    async def _perform(
        self, work: PodWork, status: PodRuntimeStatus | None, actions: PodActions, setup: ContainerSetup | None
    ) -> tuple[bool, float | None]:
        """Returns whether anything has changed, and the seconds after which to try again what could not be done."""
        if actions.create_sandbox:
            if actions.kill_pod and status is not None:
                await self.sandboxes.stop(work, status)
            await self.resources.prepare_claims(work)
            await self.sandboxes.create(work, actions.sandbox_attempt, setup.volumes.values() if setup else ())
            return True, None
        by_id = {container.id: container for container in status.containers} if status else {}
        changed, waits = bool(actions.kill), list[float]()
        for update in actions.update:
            seconds = await self.resources.update(work, update.name, update.container_id)
            changed = changed or seconds is None
            waits += [] if seconds is None else [seconds]
        for kill in actions.kill:
            await self.terminator.stop_container(work, by_id[kill.container_id], kill)
        if setup is None:
            return changed, min(waits, default=None)
        killed = {kill.name for kill in actions.kill}
        for start in actions.start:
            if start.name in killed and start.wait_seconds > 0:
                continue  # the next pass sees how it ended, and waits from then
            try:
                await self.starter.start(work, start, setup)
                changed = True
                if start is not actions.start[-1]:  # the next one's image may take minutes: show what runs by now
                    status = await self.runtime.pod(work.uid)
                    self.publisher.follow(work, status)
                    self.publisher.report(work, status)
            except StartFailure as failure:
                waits.append(self.starter.note_failure(work, start.name, failure))
                container = find_container(work.pod, start.name)
                if start.kind == "init" and container is not None and not is_sidecar(container):
                    break
        return changed, min(waits, default=None)

    async def terminate(self, work: PodWork) -> None:
        """Stops everything; returns when nothing of the pod runs. Raises: EngineError; SyncFailed."""
        status = await self.runtime.pod(work.uid)
        self.publisher.follow(work, status, terminating=True)
        self.publisher.report(work, status)
        if status is not None and status.running:
            await self.terminator.stop_pod(work, status)
            status = await self.runtime.pod(work.uid)
        self.publisher.forget(work)
        if status is None or not status.running:
            await self.resources.give_claims_back(work)
        self.publisher.report(work, status, terminal=True)
        if status is not None and status.running:
            raise SyncFailed("containers of the pod still run")

    async def clean_up(self, work: PodWork) -> None:
        """Gives back what a pod that no longer runs holds on the node; its containers stay for their logs.

        A deleted pod may leave the API before its remains are removed, which nobody else can see; but not before its
        volumes are unmounted, as others may have them then. Raises: EngineError; SyncFailed; OSError.
        """
        if work.cleaned and not work.leaves:  # woken later: an OOM event may follow the exit that it explains
            self.publisher.report(work, await self.runtime.pod(work.uid), terminal=True)
            return
        self.publisher.forget(work)
        await self.volumes.release(work)
        self.resources.hardware.release(work.uid)
        await self.resources.groups.leave(work.uid)
        self.starter.forget(work)
        self.publisher.finish(work)
        if work.leaves:
            await self.sandboxes.remove(work.uid)
            await self.volumes.remove(work)
        if not work.cleaned:
            work.cleaned = True
            log.info("pod ended", pod=work.pod.key)
