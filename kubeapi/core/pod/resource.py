"""The Pod kind: the strategy of writes, and the columns and fields to select by."""

from __future__ import annotations

from apimachinery.errors import FieldError, forbidden, invalid, invalid_object
from apimachinery.meta import DeleteOptions, LabelSelector, LabelSelectorRequirement
from apimachinery.resource import Resource, Strategy
from apimachinery.validation import Errors, Path
from kubeapi.core.pod.lifecycle import MIRROR_ANNOTATION, is_terminal
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.scheduling.affinity import PodAffinityTerm
from kubeapi.core.pod.spec import PodSpec
from kubeapi.core.pod.status import PodCondition, PodIP, PodStatus
from kubeapi.core.pod.strategy.columns import COLUMNS, row_conditions
from kubeapi.core.pod.strategy.defaults import default_pod
from kubeapi.core.pod.strategy.qos import qos_class
from kubeapi.core.pod.strategy.subresources import (
    EPHEMERAL_CONTAINERS,
    RESIZE,
    check_ephemeral_containers,
    check_resize,
    keep_all_but,
)
from kubeapi.core.pod.strategy.update import check_pod_update, check_status_update
from kubeapi.core.pod.strategy.warnings import pod_warnings
from kubeapi.core.pod.validation.pod import check_pod

_SPEC: Path = ("spec",)


class PodStrategy(Strategy[Pod]):
    """Source: Kubernetes documentation, "Pod Lifecycle"."""

    def default(self, obj: Pod) -> None:
        default_pod(obj.spec)
        status = obj.status
        if status.podIP or status.podIPs:
            _default_addresses(status)

    def prepare_create(self, obj: Pod) -> None:
        if obj.spec.ephemeralContainers:
            error = forbidden("spec.ephemeralContainers", "cannot be set on create")
            raise invalid_object("Pod", "", obj.name, [error])
        _raise_negative_grace(obj)
        obj.status = PodStatus(phase="Pending", qosClass=qos_class(obj.spec))
        if obj.spec.schedulingGates:
            obj.status.conditions = [_gated(obj.metadata.creationTimestamp)]
        _select_by_label_keys(obj)

    def prepare_update(self, obj: Pod, old: Pod) -> None:
        _raise_negative_grace(obj)

    def prepare_status_update(self, obj: Pod, old: Pod) -> None:
        obj.status.qosClass = old.status.qosClass or obj.status.qosClass

    def validate(self, obj: Pod) -> list[FieldError]:
        errors = Errors()
        check_pod(errors, _SPEC, obj.name, obj.spec)
        mirrored = obj.annotations.get(MIRROR_ANNOTATION)
        if mirrored is not None and not obj.spec.nodeName:
            at = f"metadata.annotations[{MIRROR_ANNOTATION}]"
            errors.append(invalid(at, mirrored, "must set spec.nodeName if mirror pod annotation is set"))
        return errors

    def validate_update(self, obj: Pod, old: Pod) -> list[FieldError]:
        errors = Errors()
        check_pod_update(errors, obj, old)
        return errors

    def prepare_subresource_update(self, obj: Pod, old: Pod, subresource: str) -> None:
        if subresource in (EPHEMERAL_CONTAINERS, RESIZE):
            keep_all_but(obj, old, subresource)

    def validate_subresource_update(self, obj: Pod, old: Pod, subresource: str) -> list[FieldError]:
        errors = Errors()
        if subresource == EPHEMERAL_CONTAINERS:
            check_ephemeral_containers(errors, obj, old)
        elif subresource == RESIZE:
            check_resize(errors, obj, old)
        return errors

    def validate_status_update(self, obj: Pod, old: Pod) -> list[FieldError]:
        errors = Errors()
        check_status_update(errors, obj, old)
        return errors

    def grace_period_seconds(self, obj: Pod, options: DeleteOptions) -> int | None:
        """Returns 0 for a pod that a kubelet does not have to stop."""
        if not obj.spec.nodeName or is_terminal(obj.status.phase):
            return 0
        seconds = options.gracePeriodSeconds
        if seconds is None:
            seconds = obj.spec.terminationGracePeriodSeconds or 0
        return seconds if seconds >= 0 else 1

    def create_warnings(self, obj: Pod) -> list[str]:
        return pod_warnings((), obj.spec, obj.annotations)


def _default_addresses(status: PodStatus) -> None:
    """Keeps `podIP` and `podIPs` in step; where they differ, the single address wins."""
    if not status.podIPs or (status.podIP and status.podIPs[0].ip != status.podIP):
        status.podIPs = [PodIP(ip=status.podIP or "")]
    status.podIP = status.podIPs[0].ip


def _raise_negative_grace(pod: Pod) -> None:
    if (pod.spec.terminationGracePeriodSeconds or 0) < 0:
        pod.spec.terminationGracePeriodSeconds = 1


def _gated(since: str | None) -> PodCondition:
    condition = PodCondition(
        type="PodScheduled",
        status="False",
        reason="SchedulingGated",
        message="Scheduling is blocked due to non-empty scheduling gates",
    )
    condition.lastTransitionTime = since or ""
    return condition


def _select_by_label_keys(pod: Pod) -> None:
    """Writes the pod's own values of `matchLabelKeys` into the selectors, for the scheduler to read."""
    labels = pod.labels
    for constraint in pod.spec.topologySpreadConstraints or ():
        if constraint.matchLabelKeys:
            _add(constraint.labelSelector, constraint.matchLabelKeys, "In", labels)
    for term in _affinity_terms(pod.spec):
        if term.matchLabelKeys:
            _add(term.labelSelector, term.matchLabelKeys, "In", labels)
        if term.mismatchLabelKeys:
            _add(term.labelSelector, term.mismatchLabelKeys, "NotIn", labels)


def _affinity_terms(spec: PodSpec) -> list[PodAffinityTerm]:
    terms: list[PodAffinityTerm] = []
    if spec.affinity is None:
        return terms
    for affinity in (spec.affinity.podAffinity, spec.affinity.podAntiAffinity):
        if affinity is not None:
            terms += affinity.requiredDuringSchedulingIgnoredDuringExecution or ()
            weighted = affinity.preferredDuringSchedulingIgnoredDuringExecution or ()
            terms += [item.podAffinityTerm for item in weighted]
    return terms


def _add(selector: LabelSelector | None, keys: list[str], operator: str, labels: dict[str, str]) -> None:
    if selector is None:
        return
    added = [
        LabelSelectorRequirement(key=key, operator=operator, values=[labels[key]]) for key in keys if key in labels
    ]
    if added:
        selector.matchExpressions = [*(selector.matchExpressions or ()), *added]


RESOURCE = Resource(
    kind="Pod",
    plural="pods",
    model=Pod,
    short_names=("po",),
    categories=("all",),
    strategy=PodStrategy(),
    returned_on_delete=True,
    columns=COLUMNS,
    row_conditions=row_conditions,
    fields={
        "spec.nodeName": lambda pod: pod.spec.nodeName or "",
        "spec.restartPolicy": lambda pod: pod.spec.restartPolicy,
        "spec.schedulerName": lambda pod: pod.spec.schedulerName,
        "spec.serviceAccountName": lambda pod: pod.spec.serviceAccountName or "",
        "spec.hostNetwork": lambda pod: "true" if pod.spec.hostNetwork else "false",
        "status.phase": lambda pod: pod.status.phase or "",
        "status.podIP": lambda pod: pod.status.podIP or "",
        "status.nominatedNodeName": lambda pod: pod.status.nominatedNodeName or "",
    },
    status=True,
)
