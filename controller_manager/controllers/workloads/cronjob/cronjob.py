"""CronJob: makes a Job each time that its schedule comes round, and deletes old ones.

The name of a Job follows from the time that it is planned for, so that it is made once, however often that is tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from prometheus_client import Histogram

from apimachinery.errors import AlreadyExists, Conflict, NotFound, StatusError, namespace_is_terminating
from apimachinery.meta import controller_of
from apimachinery.times import format_time, parse_time
from controller_manager.controllers.workloads.cronjob._jobs import ending, job_of, reference, review, surplus
from controller_manager.controllers.workloads.cronjob._times import Due, find_due, local_zone
from controller_manager.ownership import OWNER_INDEX, index_by_owner
from controller_manager.writes import UNSETTLED_SECONDS, WrittenRevisions
from kubeapi.batch._schedule import ScheduleError, parse_schedule, time_zone
from kubeapi.batch.cronjob import FORBID, REPLACE, CronJob, CronJobStatus
from kubeapi.batch.job.model import Job, is_finished
from kubeapi.core._references import ObjectReference
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Source, Watch, after, latest, owner
from kubeclient.workqueue import WorkQueue

KIND = "CronJob"
CLOCK_SECONDS = 10.0
"""How often the clocks are compared."""
JUMP_SECONDS = 1.0
"""Clocks that differ by more than before have not just been adjusted."""

_SKEW = Histogram(
    "cronjob_controller_job_creation_skew_duration_seconds",
    "Time from when a Job was planned until it was made.",
    buckets=[2.0**power for power in range(10)],
)


class CronJobReconciler:
    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._recorder, self._clock = context.rest, context.recorder, context.clock
        self._cron_jobs = context.informers.of(CronJob)
        self._jobs = context.informers.of(Job)
        index_by_owner(self._jobs)
        self._written = WrittenRevisions()
        self._changed: dict[str, float] = {}
        """When a schedule was seen to change, by key: what came round before by the new one was not missed."""

    # What wakes it

    def changed(self, old: CronJob | None, new: CronJob | None) -> Iterable[str]:
        cron_job = latest(old, new)
        if new is not None and old is not None and _timing(old) != _timing(new):
            self._changed[new.key] = self._clock.now()
        yield cron_job.key

    async def follow_clock(self, queue: WorkQueue) -> None:
        """Looks at all CronJobs when the clock on the wall jumps, or a machine wakes up: delays don't know of that."""
        clock = self._clock
        while True:
            ahead = clock.now() - clock.monotonic()
            await clock.sleep(CLOCK_SECONDS)
            if abs(clock.now() - clock.monotonic() - ahead) > JUMP_SECONDS:
                for cron_job in self._cron_jobs.list():
                    queue.add(cron_job.key)

    async def reconcile(self, key: str) -> Result:
        cron_job = self._cron_jobs.get(key)
        if cron_job is None:
            self._written.forget(key)
            self._changed.pop(key, None)
            return DONE
        if self._written.are_newer_than(cron_job):
            return after(UNSETTLED_SECONDS)
        jobs = self._jobs.by_index(OWNER_INDEX, cron_job.metadata.uid or "")
        status = await self._look(cron_job, jobs)
        wait_seconds, failure = 0.0, None
        if cron_job.metadata.deletionTimestamp is None:
            try:
                wait_seconds = await self._run(cron_job, status)
            except StatusError as error:  # what is known of the other Jobs is written all the same
                failure = error
        if status != cron_job.status:
            await self._write(cron_job, status)
        for job in surplus(cron_job, jobs):  # after the write, which may tell of its success
            await self._delete(cron_job, job.name, job.metadata.uid)
        if failure is not None:
            raise failure
        return after(wait_seconds) if wait_seconds else DONE

    async def _look(self, cron_job: CronJob, jobs: Sequence[Job]) -> CronJobStatus:
        """Returns the status as the Jobs are now, and tells what has become of them."""
        outcome = review(cron_job, jobs)
        status = outcome.status
        for job in outcome.unexpected:
            text = f"Saw a job that the controller did not create or forgot: {job.name}"
            self._recorder.event(cron_job, "Warning", "UnexpectedJob", text)
        for job in outcome.completed:
            text = f"Saw completed job: {job.name}, condition: {ending(job)}"
            self._recorder.event(cron_job, "Normal", "SawCompletedJob", text)
        for ref in outcome.missing:
            with suppress(NotFound):  # the cache may be behind the API
                job = await self._rest.get(Job, ref.name or "", cron_job.namespace)
                if job.metadata.uid == ref.uid:
                    continue
            self._recorder.event(cron_job, "Normal", "MissingJob", f"Active job went missing: {ref.name}")
            _take_out(status, ref)
        return status

    # The schedule

    async def _run(self, cron_job: CronJob, status: CronJobStatus) -> float:
        """Makes the Job that is due, if any, and returns the seconds until the next; 0 if there is none."""
        now = self._clock.now()
        due = self._due(cron_job, status, now)
        if due is None:
            return 0.0
        wait_seconds = due.following - now
        if due.latest is None:
            return wait_seconds
        if due.missed_many:
            text = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
            self._recorder.event(cron_job, "Warning", "TooManyMissedTimes", text)
        active, policy = status.active or [], cron_job.spec.concurrencyPolicy
        if policy == FORBID and active:
            text = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self._recorder.event(cron_job, "Normal", "JobAlreadyActive", text)
            return wait_seconds
        if policy == REPLACE:
            for ref in list(active):
                await self._delete(cron_job, ref.name or "", ref.uid)
                _take_out(status, ref)
        job = await self._make(cron_job, due.latest)
        if job is not None:
            status.lastScheduleTime = format_time(due.latest)
            if not is_finished(job) and job.metadata.uid not in {ref.uid for ref in status.active or ()}:
                status.active = [*(status.active or ()), reference(job)]
        return wait_seconds

    def _due(self, cron_job: CronJob, status: CronJobStatus, now: float) -> Due | None:
        spec = cron_job.spec
        zone = local_zone() if spec.timeZone is None else time_zone(spec.timeZone)
        if zone is None:
            text = f'invalid timeZone: "{spec.timeZone}": unknown time zone {spec.timeZone}'
            self._recorder.event(cron_job, "Warning", "UnknownTimeZone", text)
            return None
        if spec.suspend:
            return None
        try:
            schedule = parse_schedule(spec.schedule, zone)
        except ScheduleError as error:
            text = f'unparseable schedule: "{spec.schedule}" : {error}'
            self._recorder.event(cron_job, "Warning", "UnparseableSchedule", text)
            return None
        since = parse_time(status.lastScheduleTime or cron_job.metadata.creationTimestamp or format_time(now))
        since = max(since, self._changed.get(cron_job.key, since))
        if spec.startingDeadlineSeconds is not None:
            since = max(since, now - spec.startingDeadlineSeconds)
        try:
            return find_due(schedule, since, now)
        except ScheduleError as error:
            text = f"invalid schedule: {spec.schedule} : {error}"
            self._recorder.event(cron_job, "Warning", "InvalidSchedule", text)
            return None

    # Writes

    async def _make(self, cron_job: CronJob, planned: float) -> Job | None:
        """Returns the Job of this time, made now or before; None where there can't be one. Raises: StatusError."""
        job = job_of(cron_job, planned)
        try:
            created = await self._rest.create(job)
        except StatusError as error:
            if isinstance(error, AlreadyExists):
                existing = await self._rest.get(Job, job.name, job.namespace)
                ref = controller_of(existing)
                if ref is not None and ref.uid == cron_job.metadata.uid:
                    return existing
            if namespace_is_terminating(error):
                return None
            self._recorder.event(cron_job, "Warning", "FailedCreate", f"Error creating job: {error}")
            if isinstance(error, AlreadyExists):  # someone else's, which trying again won't change
                return None
            raise
        _SKEW.observe(max(self._clock.now() - planned, 0.0))
        self._recorder.event(cron_job, "Normal", "SuccessfulCreate", f"Created job {job.name}")
        return created

    async def _delete(self, cron_job: CronJob, name: str, uid: str | None) -> None:
        """Raises: StatusError."""
        try:
            await self._rest.delete(Job, name, cron_job.namespace, uid=uid, propagation_policy="Background")
        except (NotFound, Conflict):  # gone, or another Job of that name
            return
        except StatusError as error:
            self._recorder.event(cron_job, "Warning", "FailedDelete", f"Deleted job: {error}")
            raise
        self._recorder.event(cron_job, "Normal", "SuccessfulDelete", f"Deleted job {name}")

    async def _write(self, cron_job: CronJob, status: CronJobStatus) -> None:
        """Raises: Conflict where the cache is behind."""
        changed = cron_job.clone()
        changed.status = status
        with suppress(NotFound):
            stored = await self._rest.update(changed, "status")
            self._written.note(stored)


def _timing(cron_job: CronJob) -> tuple[str, str | None]:
    return cron_job.spec.schedule, cron_job.spec.timeZone


def _take_out(status: CronJobStatus, ref: ObjectReference) -> None:
    status.active = [other for other in status.active or () if other.uid != ref.uid] or None


CONTROLLER = ControllerSpec(
    "cronjob-controller",
    CronJobReconciler,
    [
        Watch(CronJob, CronJobReconciler.changed),
        owner(Job, KIND),
        Source(CronJobReconciler.follow_clock),
    ],
    workers_flag="--concurrent-cron-job-syncs",
    subjects="CronJobs",
)
