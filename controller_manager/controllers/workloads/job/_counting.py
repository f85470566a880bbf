"""Counts the pods that have ended, each once, whatever happens in between.

A pod's uid is noted in the status, then its finalizer goes, then the count includes it and the note goes. Whoever finds
a note whose pod has no finalizer any more knows that only the count is missing. The successes of an Indexed Job need no
notes: an index is in the set or not.
"""

from __future__ import annotations

from collections.abc import Set

from apimachinery.conditions import set_condition
from controller_manager.controllers.workloads.job._observed import Observed
from controller_manager.controllers.workloads.job._plan import Outcome
from controller_manager.controllers.workloads.job._pods import counts_for, has_failed, index_of, is_indexed
from controller_manager.controllers.workloads.job._policies import judge
from kubeapi.batch.job.indexes import Indexes
from kubeapi.batch.job.model import COMPLETE, FAILED, JobCondition, JobStatus, UncountedTerminatedPods
from kubeapi.core.pod.model import Pod

MOST_NOTES = 500
"""The most pods that are noted at once: their uids are part of the object. The rest follows."""


def count_released(status: JobStatus, tracked: Set[str]) -> None:
    """Counts the noted pods that are not among `tracked`, the uids of those that still have their finalizer."""
    noted = status.uncountedTerminatedPods or UncountedTerminatedPods()
    succeeded = [uid for uid in noted.succeeded or () if uid in tracked]
    failed = [uid for uid in noted.failed or () if uid in tracked]
    status.succeeded = (status.succeeded or 0) + len(noted.succeeded or ()) - len(succeeded) or None
    status.failed = (status.failed or 0) + len(noted.failed or ()) - len(failed) or None
    status.uncountedTerminatedPods = UncountedTerminatedPods(succeeded=succeeded or None, failed=failed or None)


def note_ended(observed: Observed, status: JobStatus, outcome: Outcome | None, *, over: bool) -> list[Pod]:
    """Notes in the status the pods that have ended, at most MOST_NOTES, and returns those whose finalizer may go.

    `over` tells that the outcome is certain, and all pods that still ran are being deleted: nothing more will be heard
    of them, and they count as failed if the Job fails. A Job that is being deleted lets all its pods go, too.
    """
    job, deleted = observed.job, observed.job.metadata.deletionTimestamp is not None
    noted = status.uncountedTerminatedPods or UncountedTerminatedPods()
    succeeded, failed, release = list(noted.succeeded or ()), list(noted.failed or ()), list[Pod]()
    indexes: list[int] = []
    noted_before = {*succeeded, *failed}
    waiting = {pod.metadata.uid for pod in observed.last_failures.values()}
    tracked = observed.tracked
    if is_indexed(job):
        tracked = sorted(tracked, key=lambda pod: index_of(job, pod) or 0)
    for pod in tracked:
        if len(indexes) + len(succeeded) + len(failed) >= MOST_NOTES:
            break
        uid, fails = pod.metadata.uid or "", has_failed(job, pod)
        if not (over or deleted or pod.status.phase == "Succeeded" or (fails and uid not in waiting)):
            continue
        release.append(pod)
        if uid in noted_before or not counts_for(job, pod):
            continue
        if pod.status.phase == "Succeeded":
            index = index_of(job, pod)
            if index is None:
                succeeded.append(uid)
            elif index not in observed.counted_indexes:
                indexes.append(index)
        elif _counts_as_failed(pod, outcome, fails=fails, over=over) and judge(job, pod).counts:
            failed.append(uid)
    status.uncountedTerminatedPods = UncountedTerminatedPods(succeeded=succeeded or None, failed=failed or None)
    if is_indexed(job):
        done = observed.counted_indexes | Indexes.of(indexes)
        status.succeeded, status.completedIndexes = len(done) or None, str(done) or None
        status.failedIndexes = None if observed.failed_indexes is None else str(observed.failed_indexes)
    return release


def _counts_as_failed(pod: Pod, outcome: Outcome | None, *, fails: bool, over: bool) -> bool:
    """A Job that fails takes along the pods that still run; one that succeeds has only stopped them."""
    if outcome is not None and outcome.succeeds:
        return pod.status.phase == "Failed"
    return fails or (outcome is not None and over)


def has_notes(status: JobStatus) -> bool:
    noted = status.uncountedTerminatedPods
    return noted is not None and bool(noted.succeeded or noted.failed)


def announce(status: JobStatus, outcome: Outcome, now: str) -> None:
    """Says how the Job is going to end. `now` is a time of the wire."""
    status.conditions = set_condition(status.conditions, _condition(outcome.target, outcome, now))


def finish(status: JobStatus, outcome: Outcome, now: str) -> None:
    """Says that the Job has ended."""
    status.conditions = set_condition(
        status.conditions, _condition(COMPLETE if outcome.succeeds else FAILED, outcome, now)
    )
    if outcome.succeeds:
        status.completionTime = now


def _condition(kind: str, outcome: Outcome, now: str) -> JobCondition:
    return JobCondition(
        type=kind,
        status="True",
        reason=outcome.reason,
        message=outcome.message,
        lastProbeTime=now,
        lastTransitionTime=now,
    )
