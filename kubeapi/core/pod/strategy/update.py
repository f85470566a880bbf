"""Rules for updates of a stored pod, and for the status that its kubelet reports.

Source: Kubernetes documentation, "Pods: Pod update and replacement", "Pod Scheduling Readiness".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apimachinery.model import to_dict
from apimachinery.names import dns_subdomain_errors
from apimachinery.validation import Errors, Path
from kubeapi.core.pod.lifecycle import MIRROR_ANNOTATION
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.scheduling.affinity import Toleration
from kubeapi.core.pod.scheduling.nodeselection import required_terms
from kubeapi.core.pod.spec import PodSpec
from kubeapi.core.pod.status import ContainerStatus, PodResourceClaimStatus
from kubeapi.core.pod.strategy.deprecations import APPARMOR_OF_CONTAINER

_SPEC: Path = ("spec",)
_STATUS: Path = ("status",)
_FIXED = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_MAX_DEADLINE_SECONDS = 2**31 - 1
_ONLY_MORE = "only additions are allowed (no deletions or mutations)"


def check_pod_update(errors: Errors, pod: Pod, old: Pod) -> None:
    _check_annotations(errors, pod, old)
    new_spec, old_spec = pod.spec, old.spec
    if new_spec == old_spec:
        return
    if len(new_spec.containers) != len(old_spec.containers):
        errors.forbidden((*_SPEC, "containers"), "pod updates may not add or remove containers")
        return
    if len(new_spec.initContainers or ()) != len(old_spec.initContainers or ()):
        errors.forbidden((*_SPEC, "initContainers"), "pod updates may not add or remove containers")
        return
    for field in ("containers", "initContainers"):
        for index, container in enumerate(getattr(new_spec, field) or ()):
            if not (container.image or "").strip():
                errors.required((*_SPEC, field, index, "image"))
    _check_deadline(errors, new_spec, old_spec)
    _check_tolerations(errors, new_spec.tolerations or [], old_spec.tolerations or [])
    _check_gates(errors, new_spec, old_spec)
    if old_spec.schedulingGates:
        _check_gated(errors, new_spec, old_spec)
    changed = _changed_fields(new_spec, old_spec)
    if changed:
        errors.forbidden(_SPEC, f"{_FIXED}\nchanged: {', '.join(changed)}")


def check_status_update(errors: Errors, pod: Pod, old: Pod) -> None:
    _check_annotations(errors, pod, old)
    status = pod.status
    if status.nominatedNodeName:
        at = (*_STATUS, "nominatedNodeName")
        errors.check_messages(at, status.nominatedNodeName, dns_subdomain_errors(status.nominatedNodeName))
    _check_addresses(errors, [item.ip for item in status.podIPs or ()])
    if status.resourceClaimStatuses:
        _check_claims(errors, status.resourceClaimStatuses, {item.name for item in pod.spec.resourceClaims or ()})
    if pod.spec.restartPolicy != "Always":
        before = old.status
        _check_transitions(errors, "containerStatuses", pod, status.containerStatuses, before.containerStatuses)
        _check_transitions(
            errors, "initContainerStatuses", pod, status.initContainerStatuses, before.initContainerStatuses
        )


def _check_claims(errors: Errors, statuses: list[PodResourceClaimStatus], names: set[str]) -> None:
    seen = set[str]()
    for index, status in enumerate(statuses):
        at = (*_STATUS, "resourceClaimStatuses", index, "name")
        if status.name not in names:
            errors.invalid(at, status.name, "must match the name of an entry in `spec.resourceClaims`")
        if status.name in seen:
            errors.duplicate(at, status.name)
        seen.add(status.name)
        errors.check_subdomain(at, status.resourceClaimName)


def _check_annotations(errors: Errors, pod: Pod, old: Pod) -> None:
    """Keeps the annotations that admission has decided by: what a pod is confined by, and whether it is a mirror."""
    new, before = pod.annotations, old.annotations
    if new == before:
        return
    for key in sorted(new.keys() | before.keys()):
        if key == MIRROR_ANNOTATION:
            what = "mirror pod annotation"
        elif key.startswith(APPARMOR_OF_CONTAINER):
            what = "AppArmor annotations"
        else:
            continue
        if new.get(key) != before.get(key):
            verb = "remove or update" if key in before else "add"
            errors.forbidden(("metadata", "annotations", f"[{key}]"), f"may not {verb} {what}")


def _check_addresses(errors: Errors, addresses: list[str]) -> None:
    at = (*_STATUS, "podIPs")
    for index, address in enumerate(addresses):
        errors.check_ip((*at, index), address)
    if len(addresses) > 2 or len({":" in address for address in addresses}) < len(addresses):
        errors.invalid(at, addresses, "may specify no more than one IP for each IP family")


def _check_transitions(
    errors: Errors,
    field: str,
    pod: Pod,
    new: list[ContainerStatus] | None,
    old: list[ContainerStatus] | None,
) -> None:
    """Refuses to restart a container that has ended and must not be restarted."""
    containers = (*pod.spec.containers, *(pod.spec.initContainers or ()))
    own_policy = {item.name for item in containers if item.restartPolicy or item.restartPolicyRules}
    states = {item.name: item.state for item in new or ()}
    for index, before in enumerate(old or ()):
        ended = before.state.terminated
        state = states.get(before.name)
        if ended is None or state is None or before.name in own_policy:
            continue
        if pod.spec.restartPolicy == "OnFailure" and ended.exitCode != 0:
            continue
        if state.terminated is None:
            at = (*_STATUS, field, index, "state")
            errors.forbidden(at, "may not be transitioned to non-terminated state")


def _check_deadline(errors: Errors, new: PodSpec, old: PodSpec) -> None:
    at = (*_SPEC, "activeDeadlineSeconds")
    if new.activeDeadlineSeconds is None:
        if old.activeDeadlineSeconds is not None:
            errors.invalid(at, None, "must not update from a positive integer to nil value")
    elif old.activeDeadlineSeconds is not None and new.activeDeadlineSeconds > old.activeDeadlineSeconds:
        errors.invalid(at, new.activeDeadlineSeconds, "must be less than or equal to previous value")
    else:
        errors.check_range(at, new.activeDeadlineSeconds, 0, _MAX_DEADLINE_SECONDS)


def _check_gates(errors: Errors, new: PodSpec, old: PodSpec) -> None:
    have = {gate.name for gate in old.schedulingGates or ()}
    for index, gate in enumerate(new.schedulingGates or ()):
        if gate.name not in have:
            at = (*_SPEC, "schedulingGates", index, "name")
            errors.forbidden(at, f"only deletion is allowed, but found new scheduling gate '{gate.name}'")


def _check_gated(errors: Errors, new: PodSpec, old: PodSpec) -> None:
    """Allows the node selection of a gated pod to become narrower, and not wider."""
    before, after = old.nodeSelector or {}, new.nodeSelector or {}
    if any(after.get(key) != value for key, value in before.items()):
        text = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        errors.invalid((*_SPEC, "nodeSelector"), after, text)
    required = required_terms(old.affinity)
    if not required:
        return
    at: Path = (*_SPEC, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    terms = required_terms(new.affinity) or []
    if len(terms) != len(required):
        text = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        errors.invalid((*at, "nodeSelectorTerms"), [to_dict(term) for term in terms], text)
        return
    for index, (term, past) in enumerate(zip(terms, required, strict=True)):
        for field in ("matchExpressions", "matchFields"):
            have, had = getattr(term, field) or [], getattr(past, field) or []
            if have[: len(had)] != had:
                errors.invalid((*at, "nodeSelectorTerms", index), to_dict(term), _ONLY_MORE)
                break


def _check_tolerations(errors: Errors, new: Iterable[Toleration], old: Iterable[Toleration]) -> None:
    have = {_identity(toleration) for toleration in new}
    if any(_identity(toleration) not in have for toleration in old):
        text = "existing toleration can not be modified except its tolerationSeconds"
        errors.forbidden((*_SPEC, "tolerations"), text)


def _identity(toleration: Toleration) -> tuple[str | None, ...]:
    return toleration.key, toleration.operator or "Equal", toleration.value or None, toleration.effect or None


def _changed_fields(new: PodSpec, old: PodSpec) -> list[str]:
    """Lists the paths of immutable fields that have changed."""
    before, after = to_dict(old), to_dict(new)
    for fields in (before, after):
        for name in ("activeDeadlineSeconds", "tolerations", "schedulingGates"):
            fields.pop(name, None)
        for container in (*fields["containers"], *fields.get("initContainers", ())):
            container.pop("image", None)
        if old.schedulingGates:
            fields.pop("nodeSelector", None)
            fields.get("affinity", {}).pop("nodeAffinity", None)
    if new.terminationGracePeriodSeconds == 1 and (old.terminationGracePeriodSeconds or 0) < 0:
        before["terminationGracePeriodSeconds"] = 1
    return [f"spec.{name}" for name in sorted({*before, *after}) if _value(before, name) != _value(after, name)]


def _value(fields: dict[str, Any], name: str) -> Any:
    """Treats absent and empty values alike."""
    return fields.get(name) or None
