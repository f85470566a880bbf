"""Decides what a Job does next: whether it is over, which pods it deletes and which it makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apimachinery.conditions import get_condition
from apimachinery.times import parse_time
from controller_manager.controllers.workloads._podranking import pods_to_delete
from controller_manager.controllers.workloads.job._backoff import Failures, wait_seconds
from controller_manager.controllers.workloads.job._observed import Observed
from controller_manager.controllers.workloads.job._pods import (
    all_failures,
    container_restarts,
    ended_at,
    has_failed,
    index_of,
    is_indexed,
    new_pod,
    replaces_ended_pods_only,
)
from controller_manager.controllers.workloads.job._policies import judge, met_success_rule
from kubeapi.batch.job.indexes import Indexes
from kubeapi.batch.job.model import FAILURE_TARGET, SUCCESS_CRITERIA_MET, Job
from kubeapi.core.pod.model import Pod

MOST_PODS = 500
"""The most pods to create or delete in one reconcile; the rest follows when the cache has caught up."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Says how the Job ends: `target` is FailureTarget or SuccessCriteriaMet."""

    target: str
    reason: str
    message: str

    @property
    def succeeds(self) -> bool:
        return self.target == SUCCESS_CRITERIA_MET


@dataclass(frozen=True, slots=True)
class Plan:
    """Lists the pods to create and to delete. `wait_seconds` is when to look again, 0 for never."""

    create: Sequence[Pod] = ()
    delete: Sequence[Pod] = ()
    wait_seconds: float = 0.0


COMPLETIONS_REACHED = Outcome(SUCCESS_CRITERIA_MET, "CompletionsReached", "Reached expected number of succeeded pods")


def find_outcome(observed: Observed, now: float) -> Outcome | None:
    """Returns how the Job ends, as it has decided before, or as the failures or the success policy decide now.

    That the expected number of pods has succeeded is another matter (`is_complete`): it needs no pod to be stopped.
    """
    job, spec = observed.job, observed.job.spec
    for target in (SUCCESS_CRITERIA_MET, FAILURE_TARGET):
        condition = get_condition(job.status.conditions, target)
        if condition is not None and condition.status == "True":
            return Outcome(target, condition.reason or "", condition.message or "")
    for pod in observed.pods if spec.podFailurePolicy is not None else ():
        if has_failed(job, pod) and (message := judge(job, pod).message):
            return Outcome(FAILURE_TARGET, "PodFailurePolicy", message)
    if observed.failed > (spec.backoffLimit or 0) or _restarted_too_often(observed):
        return Outcome(FAILURE_TARGET, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    if seconds_to_deadline(job, now) == 0.0:
        return Outcome(FAILURE_TARGET, "DeadlineExceeded", "Job was active longer than specified deadline")
    if observed.failed_indexes:
        count, most = len(observed.failed_indexes), spec.maxFailedIndexes
        if most is not None and count > most:
            text = "Job has exceeded the specified maximal number of failed indexes"
            return Outcome(FAILURE_TARGET, "MaxFailedIndexesExceeded", text)
        if count + len(observed.succeeded_indexes) >= (spec.completions or 0):
            return Outcome(FAILURE_TARGET, "FailedIndexes", "Job has failed indexes")
    rule = met_success_rule(job, observed.succeeded_indexes)
    if rule is not None:
        return Outcome(SUCCESS_CRITERIA_MET, "SuccessPolicy", f"Matched rules at index {rule}")
    return None


def is_complete(observed: Observed, active: int) -> bool:
    """Tells whether enough pods have succeeded and none is `active`; without `completions` one success is enough."""
    enough = observed.job.spec.completions
    return active == 0 and (observed.succeeded > 0 if enough is None else observed.succeeded >= enough)


def seconds_to_deadline(job: Job, now: float) -> float | None:
    """Returns 0 once the Job has run for longer than it may; None when it may run for ever, or does not run."""
    seconds, start = job.spec.activeDeadlineSeconds, job.status.startTime
    if seconds is None or start is None or job.spec.suspend:
        return None
    return max(parse_time(start) + seconds - now, 0.0)


def _restarted_too_often(observed: Observed) -> bool:
    """Tells whether the kubelets have restarted containers as often as pods may fail."""
    spec = observed.job.spec
    if spec.template.spec.restartPolicy != "OnFailure":
        return False
    count = container_restarts(observed.pods)
    return count > 0 and count >= (spec.backoffLimit or 0)


def plan_pods(observed: Observed, failures: Failures, now: float) -> Plan:
    """Returns the pods to create or to delete, never both: a deletion may make room for another creation."""
    job, spec = observed.job, observed.job.spec
    active = len(observed.active)
    if spec.suspend:
        return Plan(delete=observed.active)
    parallelism = spec.parallelism or 0
    if spec.completions is None:
        wanted = active if observed.succeeded > 0 else parallelism
    else:
        wanted = max(min(spec.completions - observed.succeeded, parallelism), 0)
    if doomed := _surplus(observed, max(active - wanted, 0), now):
        return Plan(delete=doomed[:MOST_PODS])
    missing = wanted - active - (len(observed.terminating) if replaces_ended_pods_only(job) else 0)
    if missing <= 0:
        return Plan()
    if spec.backoffLimitPerIndex is None and (seconds := failures.wait_seconds(now)):
        return Plan(wait_seconds=seconds)
    if not is_indexed(job):
        return Plan([new_pod(job, None, None, counted=False) for _ in range(min(missing, MOST_PODS))])
    return _plan_indexes(observed, _free_indexes(observed, min(missing, MOST_PODS)), now)


def _plan_indexes(observed: Observed, indexes: Sequence[int], now: float) -> Plan:
    """Makes the pods of these indexes, but for those whose last failure is too recent."""
    job = observed.job
    create: list[Pod] = []
    waits: list[float] = []
    for index in indexes:
        before = observed.last_failures.get(index)
        wait = wait_seconds(all_failures(before) + 1, ended_at(before), now) if before is not None else 0.0
        if wait:
            waits.append(wait)
        else:
            counted = before is not None and judge(job, before).counts
            create.append(new_pod(job, index, before, counted=counted))
    return Plan(create, wait_seconds=min(waits, default=0.0))


def _free_indexes(observed: Observed, count: int) -> list[int]:
    """Returns the first `count` indexes that have neither succeeded nor failed, and for which no pod runs."""
    job = observed.job
    going = observed.terminating if replaces_ended_pods_only(job) else ()
    busy = {index_of(job, pod) for pod in (*observed.active, *going)}
    free: list[int] = []
    failed = observed.failed_indexes or Indexes()
    done = sorted((*observed.succeeded_indexes.intervals, *failed.intervals))
    first = 0
    for start, last in (*done, (job.spec.completions or 0, 0)):
        for index in range(first, start):
            if len(free) == count:
                return free
            if index not in busy:
                free.append(index)
        first = max(first, last + 1)
    return free


def _surplus(observed: Observed, at_least: int, now: float) -> list[Pod]:
    """Chooses active pods to delete: those that nobody would count, those of indexes that another pod has too or that
    the Job does not have, and the ones that are missed least."""
    job = observed.job
    tracked = {pod.metadata.uid for pod in observed.tracked}
    # Whoever took the finalizer of an active pod away was about to delete it.
    doomed = [pod for pod in observed.active if pod.metadata.uid not in tracked]
    left = [pod for pod in observed.active if pod.metadata.uid in tracked]
    if is_indexed(job):
        groups: dict[int | None, list[Pod]] = {}
        for pod in left:
            groups.setdefault(index_of(job, pod), []).append(pod)
        for index, pods in groups.items():
            doomed += pods if index is None else pods_to_delete(pods, (), len(pods) - 1, now)
        gone = {pod.metadata.uid for pod in doomed}
        left = [pod for pod in left if pod.metadata.uid not in gone]
    return doomed + pods_to_delete(left, (), max(at_least - len(doomed), 0), now)
