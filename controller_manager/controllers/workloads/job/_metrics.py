"""Counts the work of the Job controller, in the names that upstream's dashboards use."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from controller_manager.controllers.workloads.job._observed import Observed
from controller_manager.controllers.workloads.job._plan import Outcome
from controller_manager.controllers.workloads.job._pods import is_tracked
from controller_manager.controllers.workloads.job._policies import judge
from kubeapi.batch.job.indexes import Indexes
from kubeapi.batch.job.model import Job, JobStatus
from kubeapi.core.pod.lifecycle import is_terminal
from kubeapi.core.pod.model import Pod

_SYNC_BUCKETS = (0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384)

SYNC_SECONDS = Histogram(
    "job_controller_job_sync_duration_seconds",
    "Time that a look at a Job took.",
    ["completion_mode", "result", "action"],
    buckets=_SYNC_BUCKETS,
)
SYNCS = Counter("job_controller_job_syncs", "Looks at Jobs.", ["completion_mode", "result", "action"])
_FINISHED = Counter("job_controller_jobs_finished", "Jobs that have ended.", ["completion_mode", "result", "reason"])
_PODS_FINISHED = Counter(
    "job_controller_job_pods_finished", "Pods that were counted as ended.", ["completion_mode", "result"]
)
_INDEXES_FINISHED = Counter(
    "job_controller_job_finished_indexes", "Indexes that have succeeded or failed for good.", ["status", "backoffLimit"]
)
_TRACKED = Counter(
    "job_controller_terminated_pods_tracking_finalizer",
    "Pods that have ended with the finalizer of Jobs (add), and that have lost it since (delete).",
    ["event"],
)
_FOREIGN_JOBS = Counter(
    "job_controller_jobs_by_external_controller", "Jobs that another controller manages.", ["controller_name"]
)
_PODS_CREATED = Counter(
    "job_controller_job_pods_creation", "Pods that were made for Jobs, or could not be.", ["reason", "status"]
)
_RULES = Counter(
    "job_controller_pod_failures_handled_by_failure_policy",
    "Failed pods that a rule of the failure policy matched.",
    ["action"],
)


def count_finished(job: Job, outcome: Outcome) -> None:
    result = "succeeded" if outcome.succeeds else "failed"
    _FINISHED.labels(job.spec.completionMode, result, outcome.reason).inc()


def count_foreign(job: Job) -> None:
    _FOREIGN_JOBS.labels(job.spec.managedBy).inc()


def count_tracked(old: Pod | None, new: Pod | None) -> None:
    """Counts a change of a pod by which it comes to have ended and be tracked, or ceases to."""
    before, now = (pod is not None and is_terminal(pod.status.phase) and is_tracked(pod) for pod in (old, new))
    if before != now:
        _TRACKED.labels("add" if now else "delete").inc()


def count_ended_pods(job: Job, before: JobStatus, after: JobStatus) -> None:
    """Counts by how much the counts of a status have grown."""
    limit = "global" if job.spec.backoffLimitPerIndex is None else "perIndex"
    for status, name in (("succeeded", "completedIndexes"), ("failed", "failedIndexes")):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            completions = job.spec.completions or 0
            grown = len(Indexes.read(new, completions)) - len(Indexes.read(old, completions))
            _INDEXES_FINISHED.labels(status, limit).inc(max(grown, 0))
    for result in ("succeeded", "failed"):
        grown = (getattr(after, result) or 0) - (getattr(before, result) or 0)
        if grown > 0:
            _PODS_FINISHED.labels(job.spec.completionMode, result).inc(grown)


def count_created_pods(observed: Observed, tried: int, failures: int) -> None:
    """Counts the pods that were to be created, and those of them that were not."""
    recreates = bool(observed.failed or observed.terminating)
    reason = "recreate_terminating_or_failed" if recreates else "new"
    _PODS_CREATED.labels(reason, "succeeded").inc(max(tried - failures, 0))
    _PODS_CREATED.labels(reason, "failed").inc(failures)


def count_matched_rules(observed: Observed) -> None:
    for pod in observed.newly_failed if observed.job.spec.podFailurePolicy is not None else ():
        if action := judge(observed.job, pod).action:
            _RULES.labels(action).inc()
