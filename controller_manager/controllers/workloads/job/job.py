"""Job: runs pods until enough of them have succeeded, and counts each of them once.

Keys are Jobs; those that begin with STRAY are pods that a Job which is gone or over has left a finalizer.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from apimachinery.conditions import is_true, set_condition
from apimachinery.errors import Conflict, NotFound
from apimachinery.meta import controller_of
from apimachinery.selectors import Selector, selector_of
from apimachinery.times import format_time
from controller_manager.controllers.workloads.job import _metrics
from controller_manager.controllers.workloads.job._backoff import Failures
from controller_manager.controllers.workloads.job._counting import (
    announce,
    count_released,
    finish,
    has_notes,
    note_ended,
)
from controller_manager.controllers.workloads.job._observed import Observed, observe
from controller_manager.controllers.workloads.job._plan import (
    COMPLETIONS_REACHED,
    Outcome,
    find_outcome,
    is_complete,
    plan_pods,
    seconds_to_deadline,
)
from controller_manager.controllers.workloads.job._pods import FINALIZER, container_restarts, is_tracked
from controller_manager.ownership import (
    OWNER_INDEX,
    candidates,
    claim,
    in_parallel,
    index_by_owner,
    owners_of_change,
    without_finalizer,
)
from controller_manager.podcontrol import PodControl
from controller_manager.podstate import counts_changed, is_ready
from controller_manager.writes import UNSETTLED_SECONDS, WrittenRevisions
from kubeapi.batch.job.model import SUSPENDED, Job, JobCondition, is_finished
from kubeapi.core.pod.lifecycle import is_terminal
from kubeapi.core.pod.model import Pod
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Watch, after, latest
from kubeclient.rest import STRATEGIC_MERGE_PATCH

KIND = "Job"
MANAGER = "kubernetes.io/job-controller"
STRAY = "stray:"
BATCH_SECONDS = 0.1
"""Changes of pods wait so long for others of their Job, so that many at once cost one write."""


@dataclass
class _Sync:
    """A look at one Job. `job` has a status of its own, which is changed on the way."""

    cached: Job
    job: Job
    observed: Observed
    failures: Failures
    outcome: Outcome | None = None
    over: bool = False
    """Whether the outcome is certain: all pods are known, and those to delete could be deleted."""
    action: str = "reconciling"
    wait_seconds: float = 0.0
    errors: list[Exception] = field(default_factory=list)


class JobReconciler:
    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._recorder, self._clock = context.rest, context.recorder, context.clock
        self._jobs = context.informers.of(Job)
        self._pods = context.informers.of(Pod)
        index_by_owner(self._pods)
        self._pod_control = PodControl(context, KIND, self._pods)
        self._released: set[str] = set()
        """The uids of pods whose finalizer was taken away, until the cache shows it."""
        self._written = WrittenRevisions()
        self._failures: dict[str, Failures] = {}

    # What wakes it

    def changed_job(self, old: Job | None, new: Job | None) -> Iterable[str]:
        """Wakes the Job, and the pods that one which is gone or over has left."""
        job = latest(old, new)
        yield job.key
        if old is None and not _is_ours(job):
            _metrics.count_foreign(job)
        if new is None or is_finished(new):
            for pod in self._pods.by_index(OWNER_INDEX, job.metadata.uid or ""):
                if is_tracked(pod) and pod.metadata.uid not in self._released:
                    yield STRAY + pod.key

    def changed_pod(self, old: Pod | None, new: Pod | None) -> Iterable[str]:
        """Notes what was expected, and wakes the pod's Job, or those that may adopt it."""
        self._pod_control.note(old, new)
        _metrics.count_tracked(old, new)
        pod = latest(old, new)
        own_release = pod.metadata.uid in self._released
        if own_release and (new is None or not is_tracked(new)):
            self._released.discard(pod.metadata.uid or "")
        if not (counts_changed(old, new) or _tracking_changed(old, new, own_release=own_release)):
            return
        yield from owners_of_change(old, new, KIND, self._jobs, _selector)
        if new is not None and is_tracked(new) and not own_release and self._is_stray(new):
            yield STRAY + new.key

    async def reconcile(self, key: str) -> Result:
        if key.startswith(STRAY):
            await self._release_stray(key.removeprefix(STRAY))
            return DONE
        cached = self._jobs.get(key)
        if cached is None or is_finished(cached):
            self._forget(key)
            return DONE
        if not _is_ours(cached):
            return DONE
        if self._written.are_newer_than(cached):
            return after(UNSETTLED_SECONDS)
        start = time.monotonic()
        sync: _Sync | None = None
        result = "error"
        try:
            sync = await self._look(cached)
            if sync is not None:
                await self._act(sync)
                await self._count(sync)
            result = "success"
        finally:
            labels = (cached.spec.completionMode, result, sync.action if sync is not None else "reconciling")
            _metrics.SYNC_SECONDS.labels(*labels).observe(time.monotonic() - start)
            _metrics.SYNCS.labels(*labels).inc()
        if sync is None:
            return after(UNSETTLED_SECONDS)
        return after(sync.wait_seconds) if sync.wait_seconds else DONE

    def _forget(self, key: str) -> None:
        self._failures.pop(key, None)
        self._written.forget(key)
        self._pod_control.forget(key)

    # What a look at a Job consists of

    async def _look(self, cached: Job) -> _Sync | None:
        """Returns None after an adoption: what was adopted is one of the Job's own when the cache shows it."""
        job = _with_own_status(cached)
        if job.status.startTime is None and not job.spec.suspend:
            job.status.startTime = format_time(self._clock.now())
        pods = await claim(self._rest, job, _selector(job), candidates(self._pods, job), finalizer=FINALIZER)
        if any(controller_of(pod) is None for pod in pods):
            return None
        observed = observe(job, pods, self._released)
        failures = self._failures.get(job.key)
        if failures is None:  # as far as the pods tell that were counted by a controller before this one
            ended = [pod for pod in pods if not is_tracked(pod) and is_terminal(pod.status.phase)]
            failures = Failures().after(*_by_success(ended))
        return _Sync(cached, job, observed, failures.after(observed.newly_succeeded, observed.newly_failed))

    async def _act(self, sync: _Sync) -> None:
        """Deletes and creates pods, and sets the status but for what `_count` counts."""
        job, observed, now = sync.job, sync.observed, self._clock.now()
        settled = self._pod_control.settled(job.key)
        sync.outcome = find_outcome(observed, now)
        if sync.outcome is not None:
            await self._delete(sync, observed.active)
            sync.over = settled and not sync.errors
            sync.wait_seconds = 0.0 if settled else UNSETTLED_SECONDS
            return
        active = len(observed.active)
        if settled and job.metadata.deletionTimestamp is None:
            active = await self._make_pods(sync, now)
        else:
            self._set_counts(sync, active, 0, observed.ready)
        if is_complete(observed, active):
            sync.outcome, sync.over = COMPLETIONS_REACHED, settled
        elif settled and job.metadata.deletionTimestamp is None:
            self._show_suspension(job)
        waits = [sync.wait_seconds, seconds_to_deadline(job, now) or 0.0, 0.0 if settled else UNSETTLED_SECONDS]
        sync.wait_seconds = min(filter(None, waits), default=0.0)

    async def _make_pods(self, sync: _Sync, now: float) -> int:
        """Brings the number of pods to what it should be; returns how many are active then."""
        job, observed = sync.job, sync.observed
        plan = plan_pods(observed, sync.failures, now)
        sync.wait_seconds = plan.wait_seconds
        if plan.delete:
            sync.action = "pods_deleted"
            _, errors = await self._release(plan.delete)  # these do not count
            sync.errors += errors
            if not errors:
                await self._delete(sync, plan.delete)
            return len(observed.active) - (0 if sync.errors else len(plan.delete))
        created = 0
        if plan.create:
            sync.action = "pods_created"
            errors = await self._pod_control.apply(job, create=plan.create)
            _metrics.count_created_pods(observed, len(plan.create), len(errors))
            sync.errors += errors
            created = 0 if errors else len(plan.create)
        self._set_counts(sync, len(observed.active) + created, 0, observed.ready)
        return len(observed.active) + created

    async def _delete(self, sync: _Sync, pods: Sequence[Pod]) -> None:
        observed = sync.observed
        errors = await self._pod_control.apply(sync.job, delete=pods)
        gone: Sequence[Pod] = () if errors else pods
        self._set_counts(sync, len(observed.active) - len(gone), len(gone), observed.ready - sum(map(is_ready, gone)))
        sync.errors += errors

    def _set_counts(self, sync: _Sync, active: int, deleted: int, ready: int) -> None:
        status = sync.job.status
        status.active, status.ready = active or None, ready
        status.terminating = len(sync.observed.terminating) + deleted

    def _show_suspension(self, job: Job) -> None:
        """Keeps the condition Suspended; a Job that goes on starts anew as far as its deadline is concerned."""
        status, suspended = job.status, bool(job.spec.suspend)
        if is_true(status.conditions, SUSPENDED) == suspended:
            return
        now = format_time(self._clock.now())
        word = "Suspended" if suspended else "Resumed"
        condition = JobCondition(
            type=SUSPENDED,
            status="True" if suspended else "False",
            reason=f"Job{word}",
            message=f"Job {word.lower()}",
            lastProbeTime=now,
            lastTransitionTime=now,
        )
        status.conditions = set_condition(status.conditions, condition)
        status.startTime = None if suspended else now
        self._recorder.event(job, "Normal", word, condition.message or "")

    async def _count(self, sync: _Sync) -> None:
        """Counts the pods that have ended and says how the Job stands. Raises: the first error of this look."""
        observed, now = sync.observed, format_time(self._clock.now())
        tracked = {pod.metadata.uid or "" for pod in observed.tracked}
        count_released(sync.job.status, tracked)
        release = note_ended(observed, sync.job.status, sync.outcome, over=sync.over)
        outcome = sync.outcome if sync.over else None
        if outcome is not None:
            announce(sync.job.status, outcome, now)
        if release:
            await self._write(sync)
            _metrics.count_matched_rules(observed)
            released, errors = await self._release(release)
            sync.errors += errors
            tracked -= released
            count_released(sync.job.status, tracked)
        status = sync.job.status
        over = outcome is not None and not tracked and not has_notes(status) and not status.terminating
        if outcome is not None and over:
            finish(status, outcome, now)
        await self._write(sync)
        if outcome is not None and over:
            self._tell_finished(sync.job, outcome)
        if sync.errors:
            raise sync.errors[0]

    async def _write(self, sync: _Sync) -> None:
        """Writes the status if it has changed. Raises: Conflict where the cache is behind."""
        before = sync.cached.status
        if sync.job.status != before:
            stored = await self._rest.update(sync.job, "status")
            self._written.note(stored)
            _metrics.count_ended_pods(stored, before, stored.status)
            sync.cached, sync.job = stored, _with_own_status(stored)
        self._failures[sync.job.key] = sync.failures

    def _tell_finished(self, job: Job, outcome: Outcome) -> None:
        _metrics.count_finished(job, outcome)
        if not outcome.succeeds:
            self._recorder.event(job, "Warning", outcome.reason, outcome.message)
            return
        if job.spec.completions is not None and (job.status.succeeded or 0) > job.spec.completions:
            text = "Too many succeeded pods running after completion count reached"
            self._recorder.event(job, "Warning", "TooManySucceededPods", text)
        self._recorder.event(job, "Normal", "Completed", "Job completed")

    # Finalizers

    async def _release(self, pods: Sequence[Pod]) -> tuple[set[str], list[Exception]]:
        """Takes the finalizer away from pods; returns the uids of those that have none now, and what went wrong."""
        released = {pod.metadata.uid or "" for pod in pods if not is_tracked(pod)}

        async def work(pod: Pod) -> None:
            patch = {"metadata": {"uid": pod.metadata.uid, **without_finalizer(FINALIZER)}}
            with suppress(NotFound, Conflict):  # gone, or another pod of that name
                await self._rest.patch(Pod, pod.name, pod.namespace, patch, content_type=STRATEGIC_MERGE_PATCH)
            cached = self._pods.get(pod.key)
            if cached is not None and cached.metadata.uid == pod.metadata.uid and is_tracked(cached):
                self._released.add(pod.metadata.uid or "")
            released.add(pod.metadata.uid or "")

        errors = await in_parallel([pod for pod in pods if is_tracked(pod)], work)
        return released, errors

    def _is_stray(self, pod: Pod) -> bool:
        """Tells whether the cache has no Job that would count the pod."""
        ref = controller_of(pod)
        if ref is None:
            return not any(
                _selector(job).matches(pod.labels) and job.metadata.deletionTimestamp is None and not is_finished(job)
                for job in self._jobs.list(pod.namespace)
            )
        if ref.kind != KIND or not ref.apiVersion.startswith("batch/"):
            return False
        job = self._jobs.get(f"{pod.namespace}/{ref.name}")
        return job is None or job.metadata.uid != ref.uid or (is_finished(job) and _is_ours(job))

    async def _release_stray(self, key: str) -> None:
        pod = self._pods.get(key)
        if pod is None or not is_tracked(pod) or not self._is_stray(pod):
            return
        if (ref := controller_of(pod)) is not None:
            with suppress(NotFound):  # the cache may be behind the API
                job = await self._rest.get(Job, ref.name, pod.namespace)
                if job.metadata.uid == ref.uid and not is_finished(job):
                    return
        _, errors = await self._release([pod])
        if errors:
            raise errors[0]


def _is_ours(job: Job) -> bool:
    return job.spec.managedBy in (None, MANAGER)


def _with_own_status(job: Job) -> Job:
    return job.model_copy(update={"status": job.status.clone()})


def _selector(job: Job) -> Selector:
    return selector_of(job.spec.selector)


def _tracking_changed(old: Pod | None, new: Pod | None, *, own_release: bool) -> bool:
    if old is None or new is None:
        return True
    return container_restarts([old]) != container_restarts([new]) or (
        is_tracked(old) != is_tracked(new) and not own_release
    )


def _by_success(pods: Iterable[Pod]) -> tuple[list[Pod], list[Pod]]:
    succeeded, failed = list[Pod](), list[Pod]()
    for pod in pods:
        (succeeded if pod.status.phase == "Succeeded" else failed).append(pod)
    return succeeded, failed


CONTROLLER = ControllerSpec(
    "job-controller",
    JobReconciler,
    [Watch(Job, JobReconciler.changed_job), Watch(Pod, JobReconciler.changed_pod, delay_seconds=BATCH_SECONDS)],
    workers_flag="--concurrent-job-syncs",
    subjects="Jobs",
)
