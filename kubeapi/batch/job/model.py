"""Job: runs pods until enough of them have succeeded."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.absent.empty import NullIfEmpty
from apimachinery.conditions import is_true
from apimachinery.meta import LabelSelector, ObjectMeta, StatusCondition
from apimachinery.model import Atomic, Int32, Int64, ListMapKeys, MergeKey, Model, OneOf, Required, Time
from kubeapi.core.pod.spec import PodSpecHolder
from kubeapi.core.pod.template import PodTemplateSpec

NON_INDEXED, INDEXED = "NonIndexed", "Indexed"
TERMINATING_OR_FAILED, FAILED_ONLY = "TerminatingOrFailed", "Failed"
IGNORE, FAIL_JOB, FAIL_INDEX, COUNT = "Ignore", "FailJob", "FailIndex", "Count"
COMPLETE, FAILED, SUSPENDED = "Complete", "Failed", "Suspended"
SUCCESS_CRITERIA_MET, FAILURE_TARGET = "SuccessCriteriaMet", "FailureTarget"
CONTROLLER_UID_LABEL, LEGACY_CONTROLLER_UID_LABEL = "batch.kubernetes.io/controller-uid", "controller-uid"
JOB_NAME_LABEL, LEGACY_JOB_NAME_LABEL = "batch.kubernetes.io/job-name", "job-name"


class PodFailurePolicyOnExitCodesRequirement(Model, protobuf="containerName* operator values"):
    """Matches a pod by the exit codes of its containers."""

    containerName: str | None = None
    """The container whose exit code is compared. Default: any of them, init containers included."""
    operator: Annotated[str, OneOf("In", "NotIn")] = ""
    """In matches a code among the values, NotIn one that is not. A container that succeeded is never compared."""
    values: Annotated[list[Int32], ListMapKeys(), Required()] = Field(default_factory=list)
    """The exit codes in increasing order, 1 to 255 of them. In does not take 0."""


class PodFailurePolicyOnPodConditionsPattern(Model, protobuf="type status"):
    """Matches a pod by one of its conditions."""

    type: str = ""
    """The type of the condition, such as DisruptionTarget."""
    status: str = ""
    """The status of the condition. Default: True."""


class PodFailurePolicyRule(Model, protobuf="action onExitCodes onPodConditions"):
    """Decides what happens when a pod fails in a certain way. A rule has either exit codes or conditions."""

    action: Annotated[str, OneOf(COUNT, FAIL_INDEX, FAIL_JOB, IGNORE)] = ""
    """FailJob ends the whole Job, FailIndex gives up the pod's index, Ignore replaces the pod without counting it, and
    Count counts it towards backoffLimit as if no rule matched."""
    onExitCodes: PodFailurePolicyOnExitCodesRequirement | None = None
    """The exit codes that the rule is for."""
    onPodConditions: Annotated[list[PodFailurePolicyOnPodConditionsPattern], Atomic()] | None = None
    """The conditions that the rule is for, at most 20. One of them is enough."""


class PodFailurePolicy(Model, protobuf="rules"):
    """Decides about failed pods by the way in which they failed."""

    rules: Annotated[list[PodFailurePolicyRule], Atomic(), Required()] = Field(default_factory=list)
    """The rules, at most 20. The first one that matches a pod counts."""


class SuccessPolicyRule(Model, protobuf="succeededIndexes* succeededCount*"):
    """Indexes that are enough for success."""

    succeededIndexes: str | None = None
    """The indexes that must succeed, such as "1,3-5,7". Default: all."""
    succeededCount: Int32 | None = None
    """The number of those indexes that is enough. Default: all of them."""


class SuccessPolicy(Model, protobuf="rules"):
    """Decides when an Indexed Job has succeeded before all of its indexes have."""

    rules: Annotated[list[SuccessPolicyRule], Atomic(), Required()] = Field(default_factory=list)
    """The rules, 1 to 20. The first one that is met ends the Job."""


class JobSpec(
    Model,
    protobuf="parallelism* completions* activeDeadlineSeconds* selector manualSelector* template backoffLimit* "
    "ttlSecondsAfterFinished* completionMode* suspend* podFailurePolicy backoffLimitPerIndex* maxFailedIndexes* "
    "podReplacementPolicy* managedBy* successPolicy",
):
    """The desired state of a Job."""

    parallelism: Int32 | None = None
    """The number of pods that run at one time. Default: 1."""
    completions: Int32 | None = None
    """The number of pods that must succeed. Absent, and with parallelism set, one success ends the Job once all pods
    have ended. Default, with parallelism absent too: 1."""
    activeDeadlineSeconds: Int64 | None = None
    """Seconds after its start when the Job fails, whatever its pods do. Default: none."""
    podFailurePolicy: PodFailurePolicy | None = None
    """Rules by which a failed pod counts, does not count, or ends its index or the Job. Needs a template whose
    restartPolicy is Never."""
    successPolicy: SuccessPolicy | None = None
    """Rules by which an Indexed Job succeeds early. Default: when all indexes have succeeded."""
    backoffLimit: Int32 | None = None
    """The number of failures after which the Job fails. Default: 6; with backoffLimitPerIndex: no limit."""
    backoffLimitPerIndex: Int32 | None = None
    """The number of failures of one index after which that index fails, in an Indexed Job. It can't be changed."""
    maxFailedIndexes: Int32 | None = None
    """The number of failed indexes beyond which the Job fails at once. Needs backoffLimitPerIndex. Default: none."""
    selector: LabelSelector | None = None
    """Selects the pods. The server sets it to a label that no other Job has, unless manualSelector is true."""
    manualSelector: bool | None = None
    """Whether selector and the labels of the template are the user's own, who sees to it that no other pods match.
    Default: false."""
    template: Annotated[PodTemplateSpec, Required()] = Field(default_factory=PodTemplateSpec)
    """The template of the pods. Its restartPolicy must be Never or OnFailure."""
    ttlSecondsAfterFinished: Int32 | None = None
    """Seconds for which a finished Job is kept; then it is deleted with its pods. Default: for ever."""
    completionMode: str | None = None
    """NonIndexed (the default): all pods are alike. Indexed: each of the numbers from 0 to completions-1 needs a
    successful pod of its own, which finds its number in the environment as JOB_COMPLETION_INDEX."""
    suspend: bool | None = None
    """Whether the Job waits: its running pods are deleted, and no new ones come until this is false. Default: false."""
    podReplacementPolicy: str | None = None
    """When a pod is replaced. TerminatingOrFailed (the default): as soon as its deletion begins. Failed (the default
    with podFailurePolicy, and the only choice there): when it has ended."""
    managedBy: str | None = None
    """The controller that runs the Job, such as example.com/queue. Default: kubernetes.io/job-controller. It can't be
    changed."""


class JobTemplateSpec(Model, protobuf="metadata spec"):
    """The template of Jobs."""

    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    """Labels and annotations of the Jobs."""
    spec: JobSpec = Field(default_factory=JobSpec)
    """The desired state of the Jobs."""


class JobCondition(StatusCondition, protobuf="type status lastProbeTime lastTransitionTime reason message"):
    """A condition of a Job."""

    type: str = ""
    """The aspect of the Job. Complete and Failed end it; SuccessCriteriaMet and FailureTarget precede them while pods
    are still terminating; Suspended tells whether it waits."""
    lastProbeTime: Annotated[Time, NullIfEmpty()] = ""
    """The time at which it was last checked whether the condition holds."""


class UncountedTerminatedPods(Model, protobuf="succeeded failed"):
    """Uids of ended pods that the counts do not include yet."""

    succeeded: Annotated[list[str], ListMapKeys()] | None = None
    """The uids of pods that succeeded."""
    failed: Annotated[list[str], ListMapKeys()] | None = None
    """The uids of pods that failed."""


class JobStatus(
    Model,
    protobuf="conditions startTime completionTime active succeeded failed completedIndexes uncountedTerminatedPods "
    "ready* failedIndexes* terminating*",
):
    """The observed state of a Job."""

    conditions: Annotated[list[JobCondition], MergeKey("type"), Atomic()] | None = None
    """The conditions of the Job, one of each type."""
    startTime: Time | None = None
    """The time at which the Job began, or was last resumed; absent while it is suspended."""
    completionTime: Time | None = None
    """The time at which the Job completed; absent if it failed."""
    active: Int32 | None = None
    """The number of pods that are pending or run, and are not terminating."""
    succeeded: Int32 | None = None
    """The number of pods that succeeded."""
    failed: Int32 | None = None
    """The number of pods that failed."""
    terminating: Int32 | None = None
    """The number of pods whose deletion has begun and which have not ended yet."""
    completedIndexes: str | None = None
    """The indexes that succeeded, such as "1,3-5,7"."""
    failedIndexes: str | None = None
    """The indexes that failed for good, such as "1,3-5,7"; only with backoffLimitPerIndex."""
    uncountedTerminatedPods: UncountedTerminatedPods | None = None
    """The ended pods that are about to be counted: the controller notes them here, lets them go, and counts them."""
    ready: Int32 | None = None
    """The number of active pods that are ready and not terminating."""


class Job(PodSpecHolder, protobuf="metadata spec status"):
    """Runs pods to completion: some number of them, or one for each of a range of indexes."""

    spec: JobSpec = Field(default_factory=JobSpec)
    """The desired number of pods that succeed, their template, and what to do about failures."""
    status: JobStatus = Field(default_factory=JobStatus)
    """The number of pods that run or have ended, and the outcome."""


def is_finished(job: Job) -> bool:
    """Tells whether the Job has completed or failed."""
    return is_true(job.status.conditions, COMPLETE) or is_true(job.status.conditions, FAILED)
