"""Runs one serial task per pod. Events only wake it; it then looks at everything again.

A pod goes from `sync` to `terminating` (its deletion, its end, or its disappearance from the API) to `terminated`, and
never back. A worker lives until its pod is gone from the API and from the node, so there are as many as pods.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from componentbase import logs
from componentbase.clock import Clock
from componentbase.tasks import first_of
from kubeapi.core.pod.lifecycle import is_terminal
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.status import PodStatus
from kubeclient.backoff import Backoff
from kubelet.pod.status.compute import Failure
from kubelet.pod.status.manager import StatusManager
from kubelet.pod.status.patch import OWN_CONDITIONS
from kubelet.pod.sync import SyncResult
from kubelet.pod.table import PodTable
from kubelet.pod.work import MIN_GRACE_SECONDS, PodWork, SandboxFailed, Stopping, SyncFailed
from kubelet.runtime.interface import EngineError, RuntimeUnavailable

FIRST_RETRY_SECONDS = 1.0
MOST_RETRY_SECONDS = 60.0
RUNTIME_RETRY_SECONDS = 2.0  # while the runtime does not answer

log = logs.logger(__name__)


class Syncer(Protocol):
    """Acts for a worker: `sync.PodSyncer`."""

    async def sync(self, work: PodWork) -> SyncResult: ...

    async def terminate(self, work: PodWork) -> None: ...

    async def clean_up(self, work: PodWork) -> None: ...


class PodWorkers:
    def __init__(
        self, table: PodTable, syncer: Syncer, statuses: StatusManager, clock: Clock, tasks: asyncio.TaskGroup
    ) -> None:
        self._table = table
        self._syncer = syncer
        self._statuses = statuses
        self._clock = clock
        self._tasks = tasks

    def update(self, pod: Pod, *, static: bool = False) -> None:
        """Takes in a new or changed pod for this node: of the API, or a static one."""
        uid = pod.metadata.uid or ""
        if not static:
            self._statuses.observe(pod)
        work = self._table.get(uid)
        if work is None:
            work = PodWork(pod, static=static)
            self._table.add(work)
            self._set_pod(work, pod)
            self._tasks.create_task(self._run(work), name=f"pod {pod.key}")
        elif self._set_pod(work, pod):
            work.wake.set()

    def remove(self, pod: Pod) -> None:
        """Ends the work on a pod that is gone from the API."""
        uid = pod.metadata.uid or ""
        self._statuses.forget(uid)
        work = self._table.get(uid)
        if work is not None:
            self._set_pod(work, pod)
            work.gone = True
            work.stopping.set()
            work.wake.set()

    def adopt_orphan(self, pod: Pod, grace_seconds: int) -> None:
        """Ends what runs of a pod that the API no longer has; `pod` is made from what the runtime remembers."""
        uid = pod.metadata.uid or ""
        if self._table.get(uid) is None:
            work = PodWork(pod, gone=True, grace_override=grace_seconds)
            self._table.add(work)
            work.stopping.set()
            self._tasks.create_task(self._run(work), name=f"orphan {pod.key}")

    def fail(self, uid: str, failure: Failure, grace_seconds: int = MIN_GRACE_SECONDS) -> asyncio.Event:
        """Ends the pod, which the node can no longer bear; the event is set when nothing of it runs.

        One that is ending already does so in the shorter of the two times.
        """
        work = self._table.get(uid)
        if work is None:
            over = asyncio.Event()
            over.set()
            return over
        if not work.stopping.is_set():
            work.failure, work.grace_override = failure, grace_seconds
            work.stopping.set()
            work.wake.set()
        elif grace_seconds < work.grace_seconds():
            work.grace_override = grace_seconds
            work.grace_changed.set()
        return work.ended

    def _set_pod(self, work: PodWork, pod: Pod) -> bool:
        """Takes the API's pod, but keeps the status this kubelet has decided: the API's may be older.

        Returns False when nothing has changed but that status: the echo of the kubelet's own report.
        """
        grace, before = work.grace_seconds(), work.asked
        status = work.asked.status if work.reported else pod.status
        work.asked = pod.model_copy(update={"status": _with_foreign_parts(status, pod)})
        if pod.metadata.deletionTimestamp or is_terminal(status.phase):
            work.stopping.set()
        if work.stopping.is_set() and work.grace_seconds() < grace:
            work.grace_changed.set()
        return _relevant_fields(before) != _relevant_fields(work.asked)

    async def _run(self, work: PodWork) -> None:
        retry = Backoff(FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS)
        while True:
            work.wake.clear()
            wait: float | None
            try:
                wait = await self._step(work)
                if work.state == "terminated" and work.gone:
                    self._table.remove(work.uid)
                    return
                retry.reset()
                if work.without_sandbox:  # changes that came during this look were not heard
                    work.without_sandbox = False
                    work.wake.set()
            except Stopping:
                continue
            except (SyncFailed, EngineError, OSError) as error:
                work.without_sandbox = isinstance(error, SandboxFailed)
                wait = RUNTIME_RETRY_SECONDS if isinstance(error, RuntimeUnavailable) else retry.next_seconds()
                log.warning("pod not synced, will retry", pod=work.pod.key, error=str(error), seconds=round(wait, 1))
            except Exception as error:  # one pod's trouble must not end the others
                wait = retry.next_seconds()
                log.exception("pod not synced, will retry", error, pod=work.pod.key, seconds=round(wait, 1))
            await self._wait(work, wait)

    async def _step(self, work: PodWork) -> float | None:
        """Looks at the pod once; returns the seconds until the next look, None until woken.

        Raises: SyncFailed; Stopping; EngineError.
        """
        if work.state == "sync" and not work.stopping.is_set():
            result = await self._syncer.sync(work)
            if not result.finished:
                return result.next_seconds
            work.stopping.set()
        if work.state == "sync":
            work.state = "terminating"
        if work.state == "terminating":
            await self._syncer.terminate(work)
            work.state = "terminated"
        work.ended.set()
        await self._syncer.clean_up(work)
        return None

    async def _wait(self, work: PodWork, seconds: float | None) -> None:
        """Waits until woken, at most `seconds`; a pod that has to stop does not wait."""
        if work.state == "sync" and work.stopping.is_set():
            return
        if seconds is None:
            await work.wake.wait()
            return
        await first_of(work.wake.wait(), self._clock.sleep(seconds))


def _relevant_fields(pod: Pod) -> tuple[object, ...]:
    """Picks all of a pod that a worker acts on, without the status that the kubelet itself writes."""
    meta = pod.metadata
    theirs = [item for item in pod.status.conditions or () if item.type not in OWN_CONDITIONS]
    deletion = (meta.deletionTimestamp, meta.deletionGracePeriodSeconds, meta.finalizers)
    return pod.spec, meta.generation, meta.labels, meta.annotations, deletion, theirs, is_terminal(pod.status.phase)


def _with_foreign_parts(status: PodStatus, pod: Pod) -> PodStatus:
    """Takes conditions of others (readiness gates, disruption), and the names of claims, as the API has them now."""
    theirs = [item for item in pod.status.conditions or () if item.type not in OWN_CONDITIONS]
    own = [item for item in status.conditions or () if item.type in OWN_CONDITIONS]
    claims = pod.status.resourceClaimStatuses
    return status.model_copy(update={"conditions": own + theirs or None, "resourceClaimStatuses": claims})
