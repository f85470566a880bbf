"""The rules for changes of a Job's status.

Other controllers may manage a Job, so the server sees to it that a status means to clients what they know: most rules
concern what the change touches, so that a status which breaks one already can still be written otherwise.

Source: Kubernetes documentation, "Jobs", "Delegation of managing a Job object to external controller".
"""

from __future__ import annotations

from apimachinery.model import to_dict
from apimachinery.times import parse_time
from apimachinery.validation import Errors, Path
from kubeapi.batch.job.indexes import Indexes, parse_indexes
from kubeapi.batch.job.model import (
    COMPLETE,
    FAILED,
    FAILURE_TARGET,
    INDEXED,
    SUCCESS_CRITERIA_MET,
    SUSPENDED,
    Job,
    JobStatus,
)

_STATUS: Path = ("status",)
_CONDITIONS: Path = ("status", "conditions")
_ENDS = frozenset({COMPLETE, FAILED})


def check_status_change(errors: Errors, job: Job, old: Job) -> None:
    change = _Change(job, old)
    _check_counts(errors, job.status)
    _check_ends(errors, change)
    _check_finished(errors, change)
    _check_indexes(errors, change)
    if change.touches("ready", "active") and (job.status.ready or 0) > (job.status.active or 0):
        errors.invalid((*_STATUS, "ready"), job.status.ready, "cannot set more ready pods than active")
    _check_success(errors, change)
    _check_progress(errors, change)


class _Change:
    """A status and the one before it. The conditions are the types of those that are True."""

    def __init__(self, job: Job, old: Job) -> None:
        self.job, self.old = job, old
        self.conditions, self.conditions_before = _true(job.status), _true(old.status)
        self.finished = bool(self.conditions & _ENDS)
        self.finishes = self.finished != bool(self.conditions_before & _ENDS)

    def turns(self, *kinds: str) -> bool:
        """Tells whether one of these conditions becomes True or ceases to be."""
        return any(kind in self.conditions ^ self.conditions_before for kind in kinds)

    def touches(self, *fields: str) -> bool:
        return any(getattr(self.job.status, name) != getattr(self.old.status, name) for name in fields)


def _true(status: JobStatus) -> frozenset[str]:
    return frozenset(condition.type for condition in status.conditions or () if condition.status == "True")


def _check_counts(errors: Errors, status: JobStatus) -> None:
    for name in ("active", "succeeded", "failed", "ready", "terminating"):
        errors.check_not_negative((*_STATUS, name), getattr(status, name))
    uids: set[str] = set()
    for name in ("succeeded", "failed"):
        for index, uid in enumerate(getattr(status.uncountedTerminatedPods, name, None) or ()):
            at = (*_STATUS, "uncountedTerminatedPods", name, index)
            if not uid:
                errors.invalid(at, uid, "must not be empty")
            elif uid in uids:
                errors.duplicate(at, uid)
            uids.add(uid)


def _check_ends(errors: Errors, change: _Change) -> None:
    """Checks the conditions that end a Job, and the time of its completion."""
    status, now = change.job.status, change.conditions
    if change.turns(COMPLETE, FAILED) and now >= _ENDS:
        errors.contradictory(_CONDITIONS, "cannot set Complete=True and Failed=true conditions")
    if change.turns(COMPLETE, FAILURE_TARGET) and now >= {COMPLETE, FAILURE_TARGET}:
        errors.contradictory(_CONDITIONS, "cannot set Complete=True and FailureTarget=true conditions")
    at = (*_STATUS, "completionTime")
    if change.turns(COMPLETE) or change.touches("completionTime"):
        if status.completionTime and COMPLETE not in now:
            text = "cannot set completionTime when there is no Complete=True condition"
            errors.invalid(at, status.completionTime, text)
        if not status.completionTime and COMPLETE in now:
            errors.required(at, "completionTime is required for Complete jobs")
    start, end = (parse_time(time) if time else 0.0 for time in (status.startTime, status.completionTime))
    if change.touches("startTime", "completionTime") and end and end < start:
        errors.invalid(at, status.completionTime, "must be equal to or after `startTime`")
    for kind, target in ((FAILED, FAILURE_TARGET), (COMPLETE, SUCCESS_CRITERIA_MET)):
        if change.turns(kind, target) and kind in now and target not in now:
            text = f"cannot set {kind}=True condition without the {target}=true condition"
            errors.contradictory(_CONDITIONS, text)


def _check_finished(errors: Errors, change: _Change) -> None:
    status, spec = change.job.status, change.job.spec
    if not change.finished:
        return
    if (change.finishes or change.touches("active")) and status.active:
        errors.invalid((*_STATUS, "active"), status.active, "active>0 is invalid for finished job")
    never_began = bool(spec.suspend) and spec.completions == 0
    if (change.finishes or change.touches("startTime")) and not never_began and not status.startTime:
        errors.required((*_STATUS, "startTime"), "startTime is required for finished job")
    noted = status.uncountedTerminatedPods
    if (change.finishes or change.touches("uncountedTerminatedPods")) and noted and (noted.succeeded or noted.failed):
        text = "uncountedTerminatedPods needs to be empty for finished job"
        errors.invalid((*_STATUS, "uncountedTerminatedPods"), to_dict(noted), text)
    if (change.finishes or change.touches("terminating")) and status.terminating:
        errors.invalid((*_STATUS, "terminating"), status.terminating, "terminating>0 is invalid for finished job")


def _check_indexes(errors: Errors, change: _Change) -> None:
    status, spec = change.job.status, change.job.spec
    for name, wanted in (
        ("completedIndexes", True),
        ("failedIndexes", spec.backoffLimitPerIndex is not None),
    ):
        text = getattr(status, name)
        if change.touches(name) and wanted and text and spec.completions is not None:
            try:
                parse_indexes(text, spec.completions)
            except ValueError as error:
                errors.invalid((*_STATUS, name), text, f"error parsing {name}: {error}")
    completed, failed = status.completedIndexes, status.failedIndexes
    if change.touches("completedIndexes") and completed and spec.completionMode != INDEXED:
        text = "cannot set non-empty completedIndexes when non-indexed completion mode"
        errors.invalid((*_STATUS, "completedIndexes"), completed, text)
    if failed is None:
        return
    at = (*_STATUS, "failedIndexes")
    if change.touches("failedIndexes") and spec.backoffLimitPerIndex is None:
        errors.invalid(at, failed, "cannot set non-null failedIndexes when backoffLimitPerIndex is null")
    if change.touches("failedIndexes", "completedIndexes") and spec.completions is not None:
        both = Indexes.read(completed, spec.completions) & Indexes.read(failed, spec.completions)
        if both:
            text = f"failedIndexes and completedIndexes overlap at index: {both.intervals[0][0]}"
            errors.invalid(at, failed, text)


def _check_success(errors: Errors, change: _Change) -> None:
    now = change.conditions
    if SUCCESS_CRITERIA_MET in now:
        for other in (FAILED, FAILURE_TARGET):
            if other in now:
                errors.contradictory(_CONDITIONS, f"cannot set SuccessCriteriaMet=True and {other}=true conditions")
    elif change.job.spec.successPolicy is not None and COMPLETE in now:
        text = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"
        errors.contradictory(_CONDITIONS, text)


def _check_progress(errors: Errors, change: _Change) -> None:
    """Refuses what takes back something that was said before."""
    job, now, before = change.job, change.conditions, change.conditions_before
    status, was = job.status, change.old.status
    for kind in (FAILED, COMPLETE, FAILURE_TARGET):
        if kind in before - now:
            errors.contradictory(_CONDITIONS, f"cannot disable the terminal {kind}=True condition")
    shrinks = job.spec.completionMode == INDEXED and job.spec.completions == job.spec.parallelism
    for name, may_shrink in (("failed", False), ("succeeded", shrinks)):
        count = getattr(status, name) or 0
        if not may_shrink and count < (getattr(was, name) or 0):
            errors.invalid((*_STATUS, name), count, f"cannot decrease the {name} counter")
    if status.completionTime and was.completionTime and status.completionTime != was.completionTime:
        errors.invalid((*_STATUS, "completionTime"), status.completionTime, "completionTime cannot be mutated")
    resumes = SUSPENDED in before - now
    if was.startTime and status.startTime != was.startTime and not job.spec.suspend and not resumes:
        errors.required((*_STATUS, "startTime"), "startTime cannot be removed for unsuspended job")
    if SUCCESS_CRITERIA_MET in before - now:
        errors.contradictory(_CONDITIONS, "cannot disable the SuccessCriteriaMet=True condition")
    if COMPLETE in before and SUCCESS_CRITERIA_MET in now - before:
        text = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"
        errors.contradictory(_CONDITIONS, text)
