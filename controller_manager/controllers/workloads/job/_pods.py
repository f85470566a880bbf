"""Reads from the pods of a Job their index, whether and when they ended, and how often their index failed before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from apimachinery.times import parse_time
from controller_manager.podcontrol import pod_of
from controller_manager.podstate import ready_condition
from kubeapi.batch.job.model import FAILED_ONLY, INDEXED, Job
from kubeapi.core.pod.env import EnvVar, EnvVarSource, ObjectFieldSelector
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container
from kubeapi.core.pod.status import ContainerStatus

FINALIZER = "batch.kubernetes.io/job-tracking"
"""Keeps an ended pod until the Job's counts include it."""
INDEX_KEY = "batch.kubernetes.io/job-completion-index"
"""The annotation and label with a pod's index."""
FAILURES_KEY = "batch.kubernetes.io/job-index-failure-count"
IGNORED_FAILURES_KEY = "batch.kubernetes.io/job-index-ignored-failure-count"
"""The annotations with the failures of the index before this pod: those that count, and those that a rule ignores."""
INDEX_VARIABLE = "JOB_COMPLETION_INDEX"


def is_tracked(pod: Pod) -> bool:
    """Tells whether the pod is still to be counted."""
    return FINALIZER in (pod.metadata.finalizers or ())


def is_indexed(job: Job) -> bool:
    return job.spec.completionMode == INDEXED


def replaces_ended_pods_only(job: Job) -> bool:
    return job.spec.podReplacementPolicy == FAILED_ONLY or job.spec.podFailurePolicy is not None


def index_of(job: Job, pod: Pod) -> int | None:
    """Returns the pod's completion index; None when it has none, or one that the Job does not want any more."""
    text = pod.annotations.get(INDEX_KEY, "")
    if not text.isdecimal() or int(text) >= (job.spec.completions or 0):
        return None
    return int(text)


def counts_for(job: Job, pod: Pod) -> bool:
    """Tells whether the outcome of the pod matters: in an Indexed Job it needs one of the Job's indexes."""
    return not is_indexed(job) or index_of(job, pod) is not None


def has_failed(job: Job, pod: Pod) -> bool:
    """Tells whether the pod counts as failed. One that is deleted does so at once, as it may never report a phase,
    unless the Job replaces only pods that have ended."""
    if pod.status.phase == "Failed":
        return True
    going = pod.metadata.deletionTimestamp is not None and pod.status.phase != "Succeeded"
    return going and not replaces_ended_pods_only(job)


def ended_at(pod: Pod) -> float:
    """Returns the Unix seconds at which the pod ended, as well as they are known."""
    statuses = pod.status.containerStatuses or []
    ends = [end for end in map(_container_end, statuses) if end]
    if statuses and len(ends) == len(statuses):
        return max(map(parse_time, ends))
    ready = ready_condition(pod)
    if ready is not None and ready.status == "False" and ready.lastTransitionTime:
        return parse_time(ready.lastTransitionTime)
    deleted, grace = pod.metadata.deletionTimestamp, pod.metadata.deletionGracePeriodSeconds or 0
    if deleted is not None:
        return parse_time(deleted) - grace
    return parse_time(pod.metadata.creationTimestamp) if pod.metadata.creationTimestamp else 0.0


def _container_end(status: ContainerStatus) -> str:
    terminated = status.state.terminated if status.state is not None else None
    return terminated.finishedAt if terminated is not None else ""


def _number(annotations: Mapping[str, str], key: str) -> int:
    text = annotations.get(key, "")
    return int(text) if text.isdecimal() else 0


def counted_failures(pod: Pod) -> int:
    """Returns the failures of the pod's index before it."""
    return _number(pod.annotations, FAILURES_KEY)


def all_failures(pod: Pod) -> int:
    """Returns the same with those that a rule ignores."""
    return counted_failures(pod) + _number(pod.annotations, IGNORED_FAILURES_KEY)


def container_restarts(pods: Iterable[Pod]) -> int:
    """Returns how often the containers of running and pending pods were restarted, together."""
    return sum(
        status.restartCount or 0
        for pod in pods
        if pod.status.phase in ("Running", "Pending")
        for status in (*(pod.status.initContainerStatuses or ()), *(pod.status.containerStatuses or ()))
    )


def new_pod(job: Job, index: int | None, before: Pod | None, *, counted: bool) -> Pod:
    """Makes a pod for an index, None in a NonIndexed Job.

    `before` is the failed pod of that index which this one replaces, if backoffLimitPerIndex asks to know; `counted`
    tells whether its failure counts.
    """
    pod = pod_of(job, job.spec.template, name_base=f"{job.name}-" if index is None else f"{job.name}-{index}-")
    meta = pod.metadata
    meta.finalizers = [*(each for each in meta.finalizers or () if each != FINALIZER), FINALIZER]
    if index is None:
        return pod
    annotations = {**(meta.annotations or {}), INDEX_KEY: str(index)}
    if job.spec.backoffLimitPerIndex is not None:
        failures = counted_failures(before) + counted if before is not None else 0
        ignored = all_failures(before) + 1 - failures if before is not None else 0
        annotations[FAILURES_KEY] = str(failures)
        if ignored:
            annotations[IGNORED_FAILURES_KEY] = str(ignored)
    meta.annotations = annotations
    meta.labels = {**(meta.labels or {}), INDEX_KEY: str(index)}
    spec = pod.spec
    update = {
        "hostname": f"{job.name}-{index}",
        "containers": [_with_index_variable(each) for each in spec.containers],
        "initContainers": [_with_index_variable(each) for each in spec.initContainers or ()] or None,
    }
    pod.spec = spec.model_copy(update=update)
    return pod


def _with_index_variable(container: Container) -> Container:
    if any(variable.name == INDEX_VARIABLE for variable in container.env or ()):
        return container
    source = ObjectFieldSelector(fieldPath=f"metadata.labels['{INDEX_KEY}']")
    variable = EnvVar(name=INDEX_VARIABLE, valueFrom=EnvVarSource(fieldRef=source))
    return container.model_copy(update={"env": [*(container.env or ()), variable]})
