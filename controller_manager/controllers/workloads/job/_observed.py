"""Sums up what is known of a Job: its counts so far, and the pods that have ended and are not in them yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from controller_manager.controllers.workloads.job._pods import (
    all_failures,
    counted_failures,
    counts_for,
    ended_at,
    has_failed,
    index_of,
    is_indexed,
    is_tracked,
)
from controller_manager.controllers.workloads.job._policies import judge
from controller_manager.podstate import is_active, is_ready, is_terminating
from kubeapi.batch.job.indexes import Indexes
from kubeapi.batch.job.model import Job, UncountedTerminatedPods
from kubeapi.core.pod.model import Pod


@dataclass(frozen=True, slots=True)
class Observed:
    """The state of a Job and its pods."""

    job: Job
    pods: Sequence[Pod]
    tracked: Sequence[Pod]
    """The pods whose finalizer has not been taken away."""
    active: Sequence[Pod]
    terminating: Sequence[Pod]
    newly_succeeded: Sequence[Pod]
    newly_failed: Sequence[Pod]
    """The ended pods that are neither counted nor noted, without those of indexes that the Job does not have."""
    succeeded: int
    failed: int
    """The counts with all that has ended."""
    counted_indexes: Indexes
    succeeded_indexes: Indexes
    """The indexes that succeeded as the status has them, and with all that has ended."""
    failed_indexes: Indexes | None
    """The indexes that failed for good; None without backoffLimitPerIndex."""
    last_failures: dict[int, Pod]
    """With backoffLimitPerIndex: the failed pod of each index that waits for its replacement, which takes over the
    number of failures: until then the pod must not go."""

    @property
    def ready(self) -> int:
        return sum(map(is_ready, self.active))


def observe(job: Job, pods: Sequence[Pod], released: Set[str]) -> Observed:
    """`released` are the uids of pods whose finalizer is gone though the cache still shows it."""
    noted = job.status.uncountedTerminatedPods or UncountedTerminatedPods()
    tracked = [pod for pod in pods if is_tracked(pod) and pod.metadata.uid not in released]
    ours = [pod for pod in tracked if counts_for(job, pod)]
    succeeded = [pod for pod in ours if pod.status.phase == "Succeeded"]
    failed = [pod for pod in ours if has_failed(job, pod)]
    counted = Indexes.read(job.status.completedIndexes, job.spec.completions or 0)
    newly_succeeded = [
        pod
        for pod in succeeded
        if pod.metadata.uid not in (noted.succeeded or ()) and index_of(job, pod) not in counted
    ]
    newly_failed = [pod for pod in failed if pod.metadata.uid not in (noted.failed or ())]
    active = [pod for pod in pods if is_active(pod)]
    indexes = counted | Indexes.of(_indexes(job, succeeded))
    failed_indexes: Indexes | None = None
    last_failures: dict[int, Pod] = {}
    if is_indexed(job) and job.spec.backoffLimitPerIndex is not None:
        given_up = (pod for pod in failed if _fails_index(job, pod))
        failed_indexes = Indexes.read(job.status.failedIndexes, job.spec.completions or 0) | Indexes.of(
            _indexes(job, given_up)
        )
        settled = Indexes.of(_indexes(job, active)) | indexes | failed_indexes
        last_failures = _last_failures(job, failed, settled)
    total = (job.status.succeeded or 0) + len(newly_succeeded) + len(noted.succeeded or ())
    counting = sum(judge(job, pod).counts for pod in newly_failed)
    return Observed(
        job=job,
        pods=pods,
        tracked=tracked,
        active=active,
        terminating=[pod for pod in pods if is_terminating(pod)],
        newly_succeeded=newly_succeeded,
        newly_failed=newly_failed,
        succeeded=len(indexes) if is_indexed(job) else total,
        failed=(job.status.failed or 0) + counting + len(noted.failed or ()),
        counted_indexes=counted,
        succeeded_indexes=indexes,
        failed_indexes=failed_indexes,
        last_failures=last_failures,
    )


def _indexes(job: Job, pods: Iterable[Pod]) -> set[int]:
    return {index for pod in pods if (index := index_of(job, pod)) is not None}


def _fails_index(job: Job, pod: Pod) -> bool:
    verdict = judge(job, pod)
    return verdict.fails_index or (verdict.counts and counted_failures(pod) >= (job.spec.backoffLimitPerIndex or 0))


def _last_failures(job: Job, failed: Iterable[Pod], settled: Indexes) -> dict[int, Pod]:
    """Returns the last failed pod of each index that is not in `settled`."""
    last: dict[int, Pod] = {}
    for pod in failed:
        index = index_of(job, pod)
        if index is None or index in settled:
            continue
        if index not in last or _order(pod) > _order(last[index]):
            last[index] = pod
    return last


def _order(pod: Pod) -> tuple[int, float]:
    return all_failures(pod), ended_at(pod)
