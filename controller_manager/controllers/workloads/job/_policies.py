"""Applies the rules of a Job to a pod that failed, and to indexes that succeeded."""

from __future__ import annotations

from dataclasses import dataclass

from kubeapi.batch.job.indexes import Indexes
from kubeapi.batch.job.model import (
    FAIL_INDEX,
    FAIL_JOB,
    IGNORE,
    Job,
    PodFailurePolicyOnExitCodesRequirement,
    PodFailurePolicyRule,
)
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.status import ContainerStatus


@dataclass(frozen=True, slots=True)
class Verdict:
    """Says what the failure of a pod means.

    `action` is that of the rule that matched, "" without one; `message` says why the Job fails.
    """

    action: str = ""
    message: str = ""

    @property
    def counts(self) -> bool:
        return self.action != IGNORE

    @property
    def fails_index(self) -> bool:
        return self.action == FAIL_INDEX


def judge(job: Job, pod: Pod) -> Verdict:
    """Returns what the first rule that matches a failed pod says."""
    policy = job.spec.podFailurePolicy
    for number, rule in enumerate(policy.rules if policy is not None else ()):
        if what := _matches(rule, pod):
            message = f"{what} matching {rule.action} rule at index {number}" if rule.action == FAIL_JOB else ""
            return Verdict(rule.action, message)
    return Verdict()


def _matches(rule: PodFailurePolicyRule, pod: Pod) -> str:
    """Returns in words what of the pod the rule matches; "" if nothing."""
    if rule.onExitCodes is not None:
        statuses = (*(pod.status.containerStatuses or ()), *(pod.status.initContainerStatuses or ()))
        for status in statuses:
            if code := _matching_code(rule.onExitCodes, status):
                return f"Container {status.name} for pod {pod.key} failed with exit code {code}"
        return ""
    has = {(condition.type, condition.status) for condition in pod.status.conditions or ()}
    for pattern in rule.onPodConditions or ():
        if (pattern.type, pattern.status) in has:
            return f"Pod {pod.key} has condition {pattern.type}"
    return ""


def _matching_code(wanted: PodFailurePolicyOnExitCodesRequirement, status: ContainerStatus) -> int:
    """Returns the exit code of a container that matches; 0 if it does not, or did not fail."""
    if wanted.containerName not in (None, status.name) or status.state is None or status.state.terminated is None:
        return 0
    code = status.state.terminated.exitCode or 0
    return code if (code in wanted.values) == (wanted.operator == "In") else 0


def met_success_rule(job: Job, succeeded: Indexes) -> int | None:
    """Returns the number of the first rule of the success policy that is met."""
    policy, completions = job.spec.successPolicy, job.spec.completions or 0
    if policy is None or not succeeded:
        return None
    for number, rule in enumerate(policy.rules):
        counting, enough = succeeded, rule.succeededCount
        if rule.succeededIndexes is not None:
            required = Indexes.read(rule.succeededIndexes, completions)
            counting, enough = succeeded & required, len(required) if enough is None else enough
        if enough is not None and len(counting) >= enough:
            return number
    return None
