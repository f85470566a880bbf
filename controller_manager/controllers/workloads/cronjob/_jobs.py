"""The Jobs of a CronJob: their names, which of them run, and which are too many of those that have ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from apimachinery.conditions import is_true
from apimachinery.meta import ObjectMeta
from apimachinery.resource import resource_of
from apimachinery.times import format_time, parse_time
from kubeapi.batch._schedule import time_zone
from kubeapi.batch.cronjob import SCHEDULED_TIME, CronJob, CronJobStatus
from kubeapi.batch.job.model import COMPLETE, FAILED, Job, is_finished
from kubeapi.core._references import ObjectReference
from kubeclient.controller import owner_reference


@dataclass(frozen=True, slots=True)
class Review:
    """Says what has become of the Jobs that the status lists, and of those that it should list."""

    status: CronJobStatus
    """As it should be now. Jobs that are missing are still in it."""
    completed: list[Job]
    missing: list[ObjectReference]
    unexpected: list[Job]
    """Those that run and that the controller did not make."""


def review(cron_job: CronJob, jobs: Sequence[Job]) -> Review:
    """`jobs` are those that the CronJob owns.

    A Job that is planned for later than the status says was made by a controller that could not note it any more: that
    is made up for, so that the Job is not made again and counts as running.
    """
    status = cron_job.status.clone()
    outcome = Review(status, [], [], [])
    by_uid = {job.metadata.uid: job for job in jobs}
    active, listed = list[ObjectReference](), {ref.uid for ref in status.active or ()}
    for ref in status.active or ():
        job = by_uid.get(ref.uid)
        if job is not None and is_finished(job):
            outcome.completed.append(job)
            continue
        active.append(ref)
        if job is None:
            outcome.missing.append(ref)
    last = noted = parse_time(status.lastScheduleTime) if status.lastScheduleTime else 0.0
    for job in jobs:
        planned = planned_time(cron_job, job)
        if planned is not None:
            last = max(last, planned)
        if job.metadata.uid in listed or is_finished(job) or job.metadata.deletionTimestamp is not None:
            continue
        if planned is None:
            outcome.unexpected.append(job)
        elif planned > noted:
            active.append(reference(job))
    status.active = active or None
    if last > noted:
        status.lastScheduleTime = format_time(last)
    status.lastSuccessfulTime = _last_success(status, jobs)
    return outcome


def _last_success(status: CronJobStatus, jobs: Sequence[Job]) -> str | None:
    ends = [job.status.completionTime for job in jobs if is_true(job.status.conditions, COMPLETE)]
    return max(filter(None, (status.lastSuccessfulTime, *ends)), key=parse_time, default=None)


def job_name(cron_job: CronJob, planned: float) -> str:
    """Returns the one name that the Job of this time can have: made again, it exists."""
    return f"{cron_job.name}-{int(planned) // 60}"


def job_of(cron_job: CronJob, planned: float) -> Job:
    template, zone = cron_job.spec.jobTemplate, time_zone(cron_job.spec.timeZone or "UTC") or UTC
    time = datetime.fromtimestamp(int(planned), zone).isoformat().replace("+00:00", "Z")
    metadata = ObjectMeta(
        name=job_name(cron_job, planned),
        namespace=cron_job.namespace,
        labels=template.metadata.labels,
        annotations={**(template.metadata.annotations or {}), SCHEDULED_TIME: time},
        ownerReferences=[owner_reference(cron_job)],
    )
    return Job(metadata=metadata, spec=template.spec)


def planned_time(cron_job: CronJob, job: Job) -> float | None:
    """Returns the time that the controller made a Job for; None for a Job that someone else has made."""
    try:
        planned = parse_time(job.annotations.get(SCHEDULED_TIME, ""))
    except ValueError:
        return None
    return planned if job.name == job_name(cron_job, planned) else None


def reference(job: Job) -> ObjectReference:
    resource, meta = resource_of(Job), job.metadata
    return ObjectReference(
        kind=resource.kind,
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        apiVersion=resource.api_version,
        resourceVersion=meta.resourceVersion,
    )


def ending(job: Job) -> str:
    """Returns the condition that ended a Job."""
    return COMPLETE if is_true(job.status.conditions, COMPLETE) else FAILED


def surplus(cron_job: CronJob, jobs: Sequence[Job]) -> Iterator[Job]:
    """Yields the oldest Jobs of those that have ended, beyond the limits of the history."""
    spec = cron_job.spec
    ended = sorted(
        (job for job in jobs if is_finished(job) and job.metadata.deletionTimestamp is None),
        key=lambda job: (job.status.startTime is None, job.status.startTime, job.name),
    )
    for how, limit in ((COMPLETE, spec.successfulJobsHistoryLimit), (FAILED, spec.failedJobsHistoryLimit)):
        if limit is not None:
            alike = [job for job in ended if ending(job) == how]
            yield from alike[: max(len(alike) - limit, 0)]
