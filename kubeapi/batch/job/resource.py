"""The Job kind: the strategy of writes, and the columns."""

from __future__ import annotations

from apimachinery.columns import AGE, NAME
from apimachinery.conditions import is_true
from apimachinery.errors import FieldError
from apimachinery.meta import DeleteOptions, LabelSelector
from apimachinery.names import label_value_errors
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.times import human_duration, parse_time
from apimachinery.validation import Errors, Path
from kubeapi.batch.job.model import (
    COMPLETE,
    CONTROLLER_UID_LABEL,
    FAILED,
    FAILED_ONLY,
    FAILURE_TARGET,
    INDEXED,
    NON_INDEXED,
    SUCCESS_CRITERIA_MET,
    SUSPENDED,
    TERMINATING_OR_FAILED,
    Job,
    JobSpec,
)
from kubeapi.batch.job.statusvalidation import check_status_change
from kubeapi.batch.job.validation import (
    MANY_COMPLETIONS,
    MANY_PARALLEL,
    check_job,
    check_job_change,
    generated_labels,
)
from kubeapi.core._workload import WORKLOAD_WIDE, name_warnings, template_warnings
from kubeapi.core.pod.strategy.defaults import default_pod_spec

_BACKOFF_LIMIT = 6
_NO_LIMIT = 2**31 - 1


class JobStrategy(Strategy[Job]):
    """Source: Kubernetes documentation, "Jobs"."""

    orphans_dependents = True

    def default(self, obj: Job) -> None:
        spec = obj.spec
        default_pod_spec(spec.template.spec)
        if spec.completions is None and spec.parallelism is None:
            spec.completions = 1
        if spec.parallelism is None:
            spec.parallelism = 1
        if spec.backoffLimit is None:
            spec.backoffLimit = _BACKOFF_LIMIT if spec.backoffLimitPerIndex is None else _NO_LIMIT
        _label_as_pods(obj)
        spec.completionMode = spec.completionMode or NON_INDEXED
        spec.suspend = spec.suspend or False
        spec.manualSelector = spec.manualSelector or False
        default_failure_policy(spec)
        if spec.podReplacementPolicy is None:
            spec.podReplacementPolicy = TERMINATING_OR_FAILED if spec.podFailurePolicy is None else FAILED_ONLY

    def prepare_create(self, obj: Job) -> None:
        """Makes a selector that no other Job has, and labels for it; validation sees whether the user's own differ."""
        if obj.spec.manualSelector:
            return
        labels = generated_labels(obj)
        template, selector = obj.spec.template.metadata, obj.spec.selector or LabelSelector()
        template.labels = _sorted({**labels, **(template.labels or {})})
        mine = {CONTROLLER_UID_LABEL: labels[CONTROLLER_UID_LABEL]}
        selector.matchLabels = _sorted({**mine, **(selector.matchLabels or {})})
        obj.spec.selector = selector
        if not label_value_errors(obj.name):  # a name that is too long for a label is refused in the template alone
            _label_as_pods(obj)

    def prepare_status_update(self, obj: Job, old: Job) -> None:
        _label_as_pods(obj)

    def validate(self, obj: Job) -> list[FieldError]:
        errors = Errors()
        check_job(errors, obj)
        return errors

    def validate_update(self, obj: Job, old: Job) -> list[FieldError]:
        errors = Errors()
        check_job_change(errors, obj, old)
        return errors

    def validate_status_update(self, obj: Job, old: Job) -> list[FieldError]:
        errors = Errors()
        check_status_change(errors, obj, old)
        return errors

    def delete_warnings(self, options: DeleteOptions) -> list[str]:
        if options.propagationPolicy is not None or options.orphanDependents is not None:
            return []
        return [
            "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove "
            "them or set propagationPolicy=Orphan to suppress this warning"
        ]

    def create_warnings(self, obj: Job) -> list[str]:
        return name_warnings(obj.name) + job_spec_warnings(("spec",), obj.spec)

    def update_warnings(self, obj: Job, old: Job) -> list[str]:
        return job_spec_warnings(("spec",), obj.spec) if obj.spec != old.spec else []


def default_failure_policy(spec: JobSpec) -> None:
    """Sets the defaults of the policy for failed pods, which a template of Jobs has as well."""
    for rule in spec.podFailurePolicy.rules if spec.podFailurePolicy is not None else ():
        for pattern in rule.onPodConditions or ():
            pattern.status = pattern.status or "True"


def job_spec_warnings(path: Path, spec: JobSpec) -> list[str]:
    """Returns the warnings about a Job's spec, or that of a template of Jobs."""
    warnings = template_warnings(spec.template, path)
    many = (spec.completions or 0) > MANY_COMPLETIONS and (spec.parallelism or 0) > MANY_PARALLEL
    if spec.completionMode == INDEXED and many:
        text = (
            "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, "
            "Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
        )
        warnings.insert(0, f"{'.'.join(map(str, path))}: {text}")
    return warnings


def _label_as_pods(job: Job) -> None:
    """Gives a Job without labels those of its pods."""
    if (labels := job.spec.template.metadata.labels) and not job.metadata.labels:
        job.metadata.labels = dict(labels)


def _sorted(labels: dict[str, str]) -> dict[str, str]:
    """Brings labels into the order in which messages show them."""
    return dict(sorted(labels.items()))


def _status(job: Job, now: float) -> str:
    conditions = job.status.conditions
    if ended := next((kind for kind in (COMPLETE, FAILED) if is_true(conditions, kind)), ""):
        return ended
    if job.metadata.deletionTimestamp is not None:
        return "Terminating"
    states = (SUSPENDED, FAILURE_TARGET, SUCCESS_CRITERIA_MET)
    return next((kind for kind in states if is_true(conditions, kind)), "Running")


def _completions(job: Job, now: float) -> str:
    """ "2/3"; "0/1 of 4" where one success of four pods is enough."""
    succeeded, parallelism = job.status.succeeded or 0, job.spec.parallelism or 0
    if job.spec.completions is not None:
        return f"{succeeded}/{job.spec.completions}"
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _duration(job: Job, now: float) -> str:
    if job.status.startTime is None:
        return ""
    end = parse_time(job.status.completionTime) if job.status.completionTime else now
    return human_duration(end - parse_time(job.status.startTime))


RESOURCE = Resource(
    kind="Job",
    plural="jobs",
    model=Job,
    group="batch",
    categories=("all",),
    strategy=JobStrategy(),
    columns=(
        NAME,
        Column("Status", _status, "Complete, Failed, Suspended, Terminating or Running, or how it is about to end."),
        Column("Completions", _completions, "The pods that succeeded, of those that must."),
        Column("Duration", _duration, "The time from the start to the completion, or until now."),
        AGE,
        *WORKLOAD_WIDE,
    ),
    fields={"status.successful": lambda job: str(job.status.succeeded or 0)},
    status=True,
)
