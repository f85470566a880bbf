"""TTL after finished: deletes Jobs that ended `ttlSecondsAfterFinished` ago.

Source: Kubernetes documentation, "Automatic Cleanup for Finished Jobs".
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from prometheus_client import Histogram

from apimachinery.conditions import get_condition
from apimachinery.errors import Conflict, NotFound
from apimachinery.times import parse_time
from componentbase import logs
from kubeapi.batch.job.model import COMPLETE, FAILED, Job
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Watch, after

LATE_SECONDS = Histogram(
    "ttl_after_finished_controller_job_deletion_duration_seconds",
    "Time from when a Job was due to go to its deletion.",
    buckets=[0.1 * 2**exponent for exponent in range(14)],
)

log = logs.logger(__name__)


def expires_at(job: Job) -> float | None:
    """Returns the Unix seconds at which the Job is due to go; None as long as it runs or if it may stay for ever."""
    seconds = job.spec.ttlSecondsAfterFinished
    if seconds is None or job.metadata.deletionTimestamp is not None:
        return None
    ends = [get_condition(job.status.conditions, kind) for kind in (COMPLETE, FAILED)]
    end = next((each for each in ends if each is not None and each.status == "True"), None)
    return parse_time(end.lastTransitionTime) + seconds if end is not None and end.lastTransitionTime else None


class TTLAfterFinished:
    """Keys are Jobs."""

    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._clock = context.rest, context.clock
        self._jobs = context.informers.of(Job)

    def finished(self, old: Job | None, new: Job | None) -> Iterable[str]:
        return (new.key,) if new is not None and expires_at(new) is not None else ()

    async def reconcile(self, key: str) -> Result:
        job = self._jobs.get(key)
        if job is None or (end := expires_at(job)) is None:
            return DONE
        now = self._clock.now()
        if now < end:
            return after(end - now)
        with suppress(NotFound, Conflict):  # gone, or another Job of that name
            fresh = await self._rest.get(Job, job.name, job.namespace)
            if fresh.metadata.uid != job.metadata.uid or expires_at(fresh) != end:  # the cache is about to show that
                return DONE
            await self._rest.delete(Job, job.name, job.namespace, propagation_policy="Foreground", uid=job.metadata.uid)
            LATE_SECONDS.observe(now - end)
            log.info("removed job", job=key)
        return DONE


CONTROLLER = ControllerSpec(
    "ttl-after-finished-controller",
    TTLAfterFinished,
    [Watch(Job, TTLAfterFinished.finished)],
    workers_flag="--concurrent-ttl-after-finished-syncs",
    subjects="finished Jobs",
)
