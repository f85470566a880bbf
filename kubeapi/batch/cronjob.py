"""CronJob: makes Jobs when a schedule comes round."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from apimachinery.columns import AGE, NAME, NONE
from apimachinery.errors import FieldError
from apimachinery.model import Atomic, Int32, Int64, Model, OneOf, Required, Time, to_dict
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.times import human_duration, parse_time
from apimachinery.validation import Errors, Path
from kubeapi.batch._schedule import ScheduleError, check_schedule, time_zone
from kubeapi.batch.job.model import JobTemplateSpec
from kubeapi.batch.job.resource import default_failure_policy, job_spec_warnings
from kubeapi.batch.job.validation import check_job_spec
from kubeapi.core._references import ObjectReference
from kubeapi.core._workload import WORKLOAD_WIDE, name_warnings
from kubeapi.core.pod.spec import PodSpecHolder
from kubeapi.core.pod.strategy.defaults import default_pod_spec

ALLOW, FORBID, REPLACE = "Allow", "Forbid", "Replace"
SCHEDULED_TIME = "batch.kubernetes.io/cronjob-scheduled-timestamp"
"""The annotation of a Job that holds the time that it was planned for."""
_LONGEST_NAME = 52
"""The names of Jobs are 11 characters longer, and those of pods must still fit into a label."""


class CronJobSpec(
    Model,
    protobuf="schedule startingDeadlineSeconds* concurrencyPolicy suspend* jobTemplate successfulJobsHistoryLimit* "
    "failedJobsHistoryLimit* timeZone*",
):
    """The desired state of a CronJob."""

    schedule: Annotated[str, Required()] = ""
    """The times at which Jobs are made, in the syntax of cron, such as "*/20 8-17 * * MON-FRI"; or @hourly, @daily,
    @weekly, @monthly, @yearly, or an interval such as "@every 90m"."""
    timeZone: str | None = None
    """The time zone of the schedule by its IANA name, such as Europe/Berlin. Default: that of the controller
    manager."""
    startingDeadlineSeconds: Int64 | None = None
    """Seconds after the planned time in which a Job may still be made. Default: no limit."""
    concurrencyPolicy: Annotated[str, OneOf(ALLOW, FORBID, REPLACE)] = ALLOW
    """What happens when a Job of before still runs. Allow (the default): both run. Forbid: the new one is left out.
    Replace: the old one is deleted."""
    suspend: bool | None = None
    """Whether no more Jobs are made. It does not concern those that run. Default: false."""
    jobTemplate: Annotated[JobTemplateSpec, Required()] = Field(default_factory=JobTemplateSpec)
    """The template of the Jobs."""
    successfulJobsHistoryLimit: Int32 | None = None
    """The number of successful Jobs that are kept. Default: 3."""
    failedJobsHistoryLimit: Int32 | None = None
    """The number of failed Jobs that are kept. Default: 1."""


class CronJobStatus(Model, protobuf="active - - lastScheduleTime lastSuccessfulTime"):
    """The observed state of a CronJob."""

    active: Annotated[list[ObjectReference], Atomic()] | None = None
    """The Jobs that run."""
    lastScheduleTime: Time | None = None
    """The planned time of the last Job."""
    lastSuccessfulTime: Time | None = None
    """The time at which a Job completed last."""


class CronJob(PodSpecHolder, protobuf="metadata spec status"):
    """Makes a Job each time that a schedule comes round."""

    spec: CronJobSpec = Field(default_factory=CronJobSpec)
    """The schedule, the template of the Jobs, and what to do about those that run or have ended."""
    status: CronJobStatus = Field(default_factory=CronJobStatus)
    """The Jobs that run, and when the last one began and succeeded."""


class CronJobStrategy(Strategy[CronJob]):
    """Source: Kubernetes documentation, "CronJob"."""

    def default(self, obj: CronJob) -> None:
        spec = obj.spec
        default_pod_spec(spec.jobTemplate.spec.template.spec)
        default_failure_policy(spec.jobTemplate.spec)
        spec.suspend = spec.suspend or False
        if spec.successfulJobsHistoryLimit is None:
            spec.successfulJobsHistoryLimit = 3
        if spec.failedJobsHistoryLimit is None:
            spec.failedJobsHistoryLimit = 1

    def validate(self, obj: CronJob) -> list[FieldError]:
        errors = Errors()
        _check_spec(errors, obj.spec, None)
        if len(obj.name) > _LONGEST_NAME:
            errors.invalid(("metadata", "name"), obj.name, f"must be no more than {_LONGEST_NAME} characters")
        return errors

    def validate_update(self, obj: CronJob, old: CronJob) -> list[FieldError]:
        errors = Errors()
        _check_spec(errors, obj.spec, old.spec)
        return errors

    def create_warnings(self, obj: CronJob) -> list[str]:
        return name_warnings(obj.name) + self.update_warnings(obj, CronJob())

    def update_warnings(self, obj: CronJob, old: CronJob) -> list[str]:
        return (
            job_spec_warnings(("spec", "jobTemplate", "spec"), obj.spec.jobTemplate.spec)
            if obj.spec != old.spec
            else []
        )


def _check_spec(errors: Errors, spec: CronJobSpec, old: CronJobSpec | None) -> None:
    at: Path = ("spec",)
    _check_schedule(errors, (*at, "schedule"), spec.schedule)
    errors.check_not_negative((*at, "startingDeadlineSeconds"), spec.startingDeadlineSeconds)
    if spec.timeZone is not None and (old is None or old.timeZone != spec.timeZone):
        _check_time_zone(errors, (*at, "timeZone"), spec.timeZone)
    if not spec.concurrencyPolicy:
        errors.required((*at, "concurrencyPolicy"))
    elif spec.concurrencyPolicy not in (ALLOW, FORBID, REPLACE):
        errors.not_supported((*at, "concurrencyPolicy"), spec.concurrencyPolicy, (ALLOW, FORBID, REPLACE))
    job, template = spec.jobTemplate.spec, (*at, "jobTemplate", "spec")
    check_job_spec(errors, template, job)
    if job.selector is not None:
        errors.invalid((*template, "selector"), to_dict(job.selector), "`selector` will be auto-generated")
    if job.manualSelector:
        errors.not_supported((*template, "manualSelector"), job.manualSelector, ("nil", "false"))
    for name in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        errors.check_not_negative((*at, name), getattr(spec, name))


def _check_schedule(errors: Errors, path: Path, text: str) -> None:
    if not text:
        errors.required(path)
        return
    try:
        check_schedule(text)
    except ScheduleError as error:
        errors.invalid(path, text, str(error))
    if "TZ" in text:
        errors.invalid(path, text, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead")


def _check_time_zone(errors: Errors, path: Path, name: str) -> None:
    if not name:
        errors.invalid(path, name, "timeZone must be nil or non-empty string")
    elif name.lower() == "local":
        text = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        errors.invalid(path, name, text)
    elif time_zone(name) is None:
        errors.invalid(path, name, f"unknown time zone {name}")


def _last_schedule(obj: CronJob, now: float) -> str:
    last = obj.status.lastScheduleTime
    return human_duration(now - parse_time(last)) if last else NONE


def _of_template(column: Column) -> Column:
    def value(obj: Any, now: float) -> object:
        return column.value(obj.spec.jobTemplate, now)

    return replace(column, value=value)


RESOURCE = Resource(
    kind="CronJob",
    plural="cronjobs",
    model=CronJob,
    group="batch",
    short_names=("cj",),
    categories=("all",),
    strategy=CronJobStrategy(),
    columns=(
        NAME,
        Column("Schedule", lambda obj, now: obj.spec.schedule, "The times at which Jobs are made."),
        Column("Timezone", lambda obj, now: obj.spec.timeZone or NONE, "The time zone of the schedule."),
        Column("Suspend", lambda obj, now: str(bool(obj.spec.suspend)), "Whether no more Jobs are made.", "boolean"),
        Column("Active", lambda obj, now: len(obj.status.active or ()), "The Jobs that run.", "integer"),
        Column("Last Schedule", _last_schedule, "How long ago the schedule came round and a Job was made."),
        AGE,
        *map(_of_template, WORKLOAD_WIDE),
    ),
    status=True,
)
