"""The rules for a Job's spec, and for its changes.

Source: Kubernetes documentation, "Jobs".
"""

from __future__ import annotations

from collections.abc import Collection

from apimachinery.errors import quote
from apimachinery.model import to_dict
from apimachinery.names import dns_label_errors, qualified_name_errors
from apimachinery.selectors import selector_of
from apimachinery.validation import Errors, Path
from kubeapi.batch.job.indexes import parse_indexes
from kubeapi.batch.job.model import (
    CONTROLLER_UID_LABEL,
    COUNT,
    FAIL_INDEX,
    FAIL_JOB,
    FAILED_ONLY,
    IGNORE,
    INDEXED,
    JOB_NAME_LABEL,
    LEGACY_CONTROLLER_UID_LABEL,
    LEGACY_JOB_NAME_LABEL,
    NON_INDEXED,
    TERMINATING_OR_FAILED,
    Job,
    JobSpec,
    PodFailurePolicyOnExitCodesRequirement,
    PodFailurePolicyRule,
    SuccessPolicyRule,
)
from kubeapi.core.pod.scheduling.affinity import Affinity
from kubeapi.core.pod.template import PodTemplateSpec
from kubeapi.core.pod.validation.pod import check_template

_SPEC: Path = ("spec",)
_ACTIONS = (COUNT, FAIL_INDEX, FAIL_JOB, IGNORE)
_MOST_RULES = 20  # of either policy; also the patterns of a rule
_MOST_EXIT_CODES = 255
_LONGEST_INDEXES = 64 * 1024
_LONGEST_MANAGER = 63
_MOST_INDEXED_PODS = 100_000
MANY_COMPLETIONS, MANY_PARALLEL = 100_000, 10_000
"""Beyond so many completions of an Indexed Job, no more than so many pods may run or indexes fail: the status would
become too large."""


def check_job(errors: Errors, job: Job) -> None:
    """Checks a Job as a whole; its name and metadata are checked generically."""
    _check_generated_selector(errors, job)
    _check_selected_job_spec(errors, _SPEC, job.spec)
    spec = job.spec
    if spec.completionMode == INDEXED and spec.completions:
        longest = f"{job.name}-{spec.completions - 1}"
        if dns_label_errors(longest):
            errors.invalid(
                ("metadata", "name"), job.name, f"will not able to create pod with invalid DNS label: {longest}"
            )


def _check_selected_job_spec(errors: Errors, path: Path, spec: JobSpec) -> None:
    """Checks the spec of a Job, which has a selector by now."""
    check_job_spec(errors, path, spec)
    if spec.selector is None:
        errors.required((*path, "selector"))
    else:
        before = len(errors)
        errors.check_selector((*path, "selector"), spec.selector)
        if len(errors) > before:
            return
    labels = spec.template.metadata.labels
    if spec.selector is None or not selector_of(spec.selector).matches(labels or {}):
        at = (*path, "template", "metadata", "labels")
        errors.invalid(at, labels, "`selector` does not match template `labels`")


def check_job_spec(errors: Errors, path: Path, spec: JobSpec) -> None:
    """Checks the spec of a Job or of a template of Jobs, but for the selector."""
    for name in (
        "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
        "backoffLimitPerIndex", "maxFailedIndexes",
    ):  # fmt: skip
        errors.check_not_negative((*path, name), getattr(spec, name))
    if spec.maxFailedIndexes is not None and spec.backoffLimitPerIndex is None:
        errors.required((*path, "backoffLimitPerIndex"), "when maxFailedIndexes is specified")
    if spec.managedBy is not None:
        errors.check_domain_path((*path, "managedBy"), spec.managedBy, _LONGEST_MANAGER)
    if spec.completionMode not in (None, NON_INDEXED, INDEXED):
        errors.not_supported((*path, "completionMode"), spec.completionMode, (NON_INDEXED, INDEXED))
    if spec.completionMode == INDEXED:
        _check_indexed(errors, path, spec)
    elif spec.completionMode in (None, NON_INDEXED):
        for name in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if (value := getattr(spec, name)) is not None:
                errors.invalid((*path, name), value, "requires indexed completion mode")
    if spec.podFailurePolicy is not None:
        rules = spec.podFailurePolicy.rules
        if len(rules) > _MOST_RULES:
            errors.too_many((*path, "podFailurePolicy", "rules"), len(rules), _MOST_RULES)
        for index, rule in enumerate(rules):
            _check_failure_rule(errors, (*path, "podFailurePolicy", "rules", index), rule, spec)
    if spec.successPolicy is not None:
        _check_success_policy(errors, (*path, "successPolicy"), spec)
    _check_replacement_policy(errors, (*path, "podReplacementPolicy"), spec)
    check_template(errors, (*path, "template"), spec.template)
    _check_restart_policy(errors, (*path, "template", "spec", "restartPolicy"), spec)


def check_job_change(errors: Errors, job: Job, old: Job) -> None:
    """Checks the spec, and what may not change in it: nearly all. The spec is checked once more, as upstream does it:
    each error is a cause twice."""
    spec, was = job.spec, old.spec
    _check_selected_job_spec(errors, _SPEC, spec)
    _check_completions_change(errors, spec, was)
    errors.check_immutable((*_SPEC, "selector"), spec.selector, was.selector)
    _check_template_change(errors, spec, old)
    for name in ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"):
        errors.check_immutable((*_SPEC, name), getattr(spec, name), getattr(was, name))


def _check_generated_selector(errors: Errors, job: Job) -> None:
    """Checks that the user's own labels did not keep the generated selector from meaning this Job alone."""
    if job.spec.manualSelector or job.spec.selector is None:
        return
    if not job.metadata.uid:
        errors.required(("metadata", "uid"))
    expected = generated_labels(job)
    labels = job.spec.template.metadata.labels or {}
    for name, value in expected.items():
        at = ("spec", "template", "metadata", "labels")
        if name not in labels:
            errors.required((*at, f"[{name}]"), f"must be '{value}'")
        elif labels[name] != value:
            errors.invalid((*at, f"[{name}]"), labels, f"must be '{value}'")
    if not selector_of(job.spec.selector).matches(expected):
        errors.invalid(("spec", "selector"), to_dict(job.spec.selector), "`selector` not auto-generated")


def generated_labels(job: Job) -> dict[str, str]:
    """The labels that the server adds to the template of a Job without a manual selector."""
    uid = job.metadata.uid or ""
    return {
        LEGACY_CONTROLLER_UID_LABEL: uid,
        LEGACY_JOB_NAME_LABEL: job.name,
        CONTROLLER_UID_LABEL: uid,
        JOB_NAME_LABEL: job.name,
    }


def _check_indexed(errors: Errors, path: Path, spec: JobSpec) -> None:
    completions, parallelism, failed = spec.completions, spec.parallelism or 0, spec.maxFailedIndexes
    if completions is None:
        errors.required((*path, "completions"), "when completion mode is Indexed")
    if parallelism > _MOST_INDEXED_PODS:
        text = f"must be less than or equal to {_MOST_INDEXED_PODS} when completion mode is Indexed"
        errors.invalid((*path, "parallelism"), parallelism, text)
    if completions is not None and failed is not None and failed > completions:
        errors.invalid((*path, "maxFailedIndexes"), failed, "must be less than or equal to completions")
    if failed is not None and failed > _MOST_INDEXED_PODS:
        errors.invalid((*path, "maxFailedIndexes"), failed, f"must be less than or equal to {_MOST_INDEXED_PODS}")
    if (completions or 0) <= MANY_COMPLETIONS or spec.backoffLimitPerIndex is None:
        return
    if failed is None:
        errors.required((*path, "maxFailedIndexes"), f"must be specified when completions is above {MANY_COMPLETIONS}")
    text = (
        f"must be less than or equal to {MANY_PARALLEL} when completions are above {MANY_COMPLETIONS} and used with "
        "backoff limit per index"
    )
    for name, value in (("parallelism", parallelism), ("maxFailedIndexes", failed or 0)):
        if value > MANY_PARALLEL:
            errors.invalid((*path, name), value, text)


def _check_given(errors: Errors, path: Path, value: str, supported: Collection[str]) -> None:
    """Requires one of `supported`, which the message for an absent value lists as well."""
    if not value:
        errors.required(path, f"valid values: [{' '.join(map(quote, supported))}]")
    elif value not in supported:
        errors.not_supported(path, value, supported)


def _check_failure_rule(errors: Errors, path: Path, rule: PodFailurePolicyRule, spec: JobSpec) -> None:
    if rule.action == FAIL_INDEX and spec.backoffLimitPerIndex is None:
        errors.invalid((*path, "action"), rule.action, "requires the backoffLimitPerIndex to be set")
    _check_given(errors, (*path, "action"), rule.action, _ACTIONS)
    if rule.onExitCodes is not None:
        _check_exit_codes(errors, (*path, "onExitCodes"), rule.onExitCodes, spec)
    patterns = rule.onPodConditions or []
    if len(patterns) > _MOST_RULES:
        errors.too_many((*path, "onPodConditions"), len(patterns), _MOST_RULES)
    for index, pattern in enumerate(patterns):
        at = (*path, "onPodConditions", index)
        errors.check_messages((*at, "type"), pattern.type, qualified_name_errors(pattern.type))
        _check_given(errors, (*at, "status"), pattern.status, ("False", "True", "Unknown"))
    if rule.onExitCodes is not None and patterns:
        errors.contradictory(path, "specifying both OnExitCodes and OnPodConditions is not supported")
    if rule.onExitCodes is None and not patterns:
        errors.contradictory(path, "specifying one of OnExitCodes and OnPodConditions is required")


def _check_exit_codes(errors: Errors, path: Path, codes: PodFailurePolicyOnExitCodesRequirement, spec: JobSpec) -> None:
    _check_given(errors, (*path, "operator"), codes.operator, ("In", "NotIn"))
    pod = spec.template.spec
    names = {container.name for container in (*pod.containers, *(pod.initContainers or ()))}
    if codes.containerName is not None and codes.containerName not in names:
        text = "must be one of the container or initContainer names in the pod template"
        errors.invalid((*path, "containerName"), codes.containerName, text)
    values, at = codes.values, (*path, "values")
    if not values:
        errors.invalid(at, values, "at least one value is required")
    elif len(values) > _MOST_EXIT_CODES:
        errors.too_many(at, len(values), _MOST_EXIT_CODES)
    for index, value in enumerate(values):
        if codes.operator == "In" and value == 0:
            errors.invalid((*at, index), value, "must not be 0 for the In operator")
        if value in values[:index]:
            errors.duplicate((*at, index), value)
    if values != sorted(values):
        errors.invalid(at, values, "must be ordered")


def _check_success_policy(errors: Errors, path: Path, spec: JobSpec) -> None:
    policy = spec.successPolicy
    if policy is None:
        return
    if spec.completionMode != INDEXED:
        errors.invalid(path, to_dict(policy), "requires indexed completion mode")
        return
    at = (*path, "rules")
    if not policy.rules:
        errors.required(at, "at least one rules must be specified when the successPolicy is specified")
    if len(policy.rules) > _MOST_RULES:
        errors.too_many(at, len(policy.rules), _MOST_RULES)
    for index, rule in enumerate(policy.rules):
        _check_success_rule(errors, (*at, index), rule, spec.completions or 0)


def _check_success_rule(errors: Errors, path: Path, rule: SuccessPolicyRule, completions: int) -> None:
    count, text = rule.succeededCount, rule.succeededIndexes
    if count is None and text is None:
        errors.required(path, "at least one of succeededCount or succeededIndexes must be specified")
    size = 0
    if text is not None:
        at = (*path, "succeededIndexes")
        if len(text) > _LONGEST_INDEXES:
            errors.too_long(at, _LONGEST_INDEXES)
        try:
            size = sum(last - first + 1 for first, last in parse_indexes(text, completions))
        except ValueError as error:
            errors.invalid(at, text, f"error parsing succeededIndexes: {error}")
    if count is None:
        return
    at = (*path, "succeededCount")
    errors.check_not_negative(at, count)
    most = "must be less than or equal to"
    if count > completions:
        errors.invalid(at, count, f"{most} {completions} (the number of specified completions)")
    if text is not None and count > size:
        errors.invalid(at, count, f"{most} {size} (the number of indexes in the specified succeededIndexes field)")


def _check_replacement_policy(errors: Errors, path: Path, spec: JobSpec) -> None:
    policies = (FAILED_ONLY,) if spec.podFailurePolicy is not None else (FAILED_ONLY, TERMINATING_OR_FAILED)
    if spec.podReplacementPolicy is not None and spec.podReplacementPolicy not in policies:
        errors.not_supported(path, spec.podReplacementPolicy, policies)


def _check_restart_policy(errors: Errors, path: Path, spec: JobSpec) -> None:
    policy = spec.template.spec.restartPolicy
    if policy in ("Always", ""):
        errors.required(path, 'valid values: "OnFailure", "Never"')
    elif policy not in ("OnFailure", "Never"):
        errors.not_supported(path, policy, ("OnFailure", "Never"))
    elif spec.podFailurePolicy is not None and policy != "Never":
        errors.invalid(path, policy, 'only "Never" is supported when podFailurePolicy is specified')


def _check_completions_change(errors: Errors, spec: JobSpec, old: JobSpec) -> None:
    """Lets an Indexed Job grow and shrink as long as all of its indexes may run at one time."""
    at: Path = ("spec", "completions")
    if spec.completionMode != INDEXED:
        errors.check_immutable(at, spec.completions, old.completions)
    elif spec.completions != old.completions and not (
        spec.completions == spec.parallelism and old.completions == old.parallelism
    ):
        errors.invalid(at, spec.completions, "can only be modified in tandem with spec.parallelism")


def _check_template_change(errors: Errors, spec: JobSpec, old: Job) -> None:
    """Refuses a changed template; a suspended Job that never ran may still be told where its pods may go."""
    if not (old.spec.suspend and old.status.startTime is None):
        errors.check_immutable(("spec", "template"), spec.template, old.spec.template)
        return
    template, was = spec.template, old.spec.template
    pod = was.spec.model_copy(
        update={
            "affinity": _with_node_affinity(was.spec.affinity, template.spec.affinity),
            "nodeSelector": template.spec.nodeSelector,
            "tolerations": template.spec.tolerations,
            "schedulingGates": template.spec.schedulingGates,
        }
    )
    errors.check_immutable(("spec", "template", "spec"), template.spec, pod)
    if _other_metadata(template) != _other_metadata(was):
        errors.check_immutable(("spec", "template", "metadata"), template.metadata, was.metadata)


def _other_metadata(template: PodTemplateSpec) -> dict[str, object]:
    return to_dict(template.metadata.model_copy(update={"labels": None, "annotations": None}))


def _with_node_affinity(old: Affinity | None, new: Affinity | None) -> Affinity | None:
    """Returns the old affinity with the new one's part about nodes."""
    nodes = new.nodeAffinity if new is not None else None
    merged = (old or Affinity()).model_copy(update={"nodeAffinity": nodes})
    return None if new is None and merged == Affinity() else merged
