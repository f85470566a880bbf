"""Checks of scheduling rules: affinity, tolerations, topology spread.

Source: Kubernetes documentation, "Assigning Pods to Nodes", "Taints and Tolerations", "Pod Topology Spread
Constraints".
"""

from __future__ import annotations

from apimachinery.names import dns_subdomain_errors, label_value_errors, qualified_name_errors
from apimachinery.validation import GREATER_THAN_ZERO, Errors, Path
from kubeapi.core.pod.scheduling.affinity import (
    Affinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    PodAffinity,
    PodAffinityTerm,
    PodAntiAffinity,
    Toleration,
    TopologySpreadConstraint,
)

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_WEIGHT_RULE = "must be in the range 1-100"
_OPERATOR_RULE = "not a valid selector operator"


def check_affinity(errors: Errors, path: Path, affinity: Affinity | None) -> None:
    if affinity is None:
        return
    node = affinity.nodeAffinity
    if node is not None:
        at = (*path, "nodeAffinity")
        if node.requiredDuringSchedulingIgnoredDuringExecution is not None:
            check_node_selector(errors, (*at, _REQUIRED), node.requiredDuringSchedulingIgnoredDuringExecution)
        for index, preferred in enumerate(node.preferredDuringSchedulingIgnoredDuringExecution or ()):
            _check_weight(errors, (*at, _PREFERRED, index), preferred.weight)
            _check_term(errors, (*at, _PREFERRED, index, "preference"), preferred.preference)
    _check_pod_affinity(errors, (*path, "podAffinity"), affinity.podAffinity)
    _check_pod_affinity(errors, (*path, "podAntiAffinity"), affinity.podAntiAffinity)


def check_node_selector(errors: Errors, path: Path, selector: NodeSelector) -> None:
    if not selector.nodeSelectorTerms:
        errors.required((*path, "nodeSelectorTerms"), "must have at least one node selector term")
    for index, term in enumerate(selector.nodeSelectorTerms):
        _check_term(errors, (*path, "nodeSelectorTerms", index), term)


def check_tolerations(errors: Errors, path: Path, tolerations: list[Toleration] | None) -> None:
    for index, toleration in enumerate(tolerations or ()):
        _check_toleration(errors, (*path, index), toleration)


def check_topology_spread(errors: Errors, path: Path, constraints: list[TopologySpreadConstraint] | None) -> None:
    pairs = [(constraint.topologyKey, constraint.whenUnsatisfiable) for constraint in constraints or ()]
    for index, constraint in enumerate(constraints or ()):
        _check_spread(errors, (*path, index), constraint)
        if pairs[index] in pairs[index + 1 :]:
            at = (*path, index, "{topologyKey, whenUnsatisfiable}")
            errors.duplicate(at, f"{{{constraint.topologyKey}, {constraint.whenUnsatisfiable}}}")


def _check_weight(errors: Errors, path: Path, weight: int) -> None:
    if not 1 <= weight <= 100:
        errors.invalid((*path, "weight"), weight, _WEIGHT_RULE)


def _check_term(errors: Errors, path: Path, term: NodeSelectorTerm) -> None:
    for index, expression in enumerate(term.matchExpressions or ()):
        _check_expression(errors, (*path, "matchExpressions", index), expression)
    for index, expression in enumerate(term.matchFields or ()):
        _check_field(errors, (*path, "matchFields", index), expression)


def _check_expression(errors: Errors, path: Path, expression: NodeSelectorRequirement) -> None:
    operator, values = expression.operator, expression.values or []
    if operator in ("In", "NotIn"):
        if not values:
            errors.required((*path, "values"), "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            errors.forbidden((*path, "values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            errors.required((*path, "values"), "must be specified single value when `operator` is 'Lt' or 'Gt'")
    else:
        errors.invalid((*path, "operator"), operator, _OPERATOR_RULE)
    errors.check_messages((*path, "key"), expression.key, qualified_name_errors(expression.key))
    for index, value in enumerate(values):
        errors.check_messages((*path, "values", index), value, label_value_errors(value))


def _check_field(errors: Errors, path: Path, expression: NodeSelectorRequirement) -> None:
    values = expression.values or []
    if expression.operator in ("In", "NotIn"):
        if len(values) != 1:
            text = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
            errors.required((*path, "values"), text)
    else:
        errors.invalid((*path, "operator"), expression.operator, _OPERATOR_RULE)
    if expression.key != "metadata.name":
        errors.invalid((*path, "key"), expression.key, "not a valid field selector key")
        return
    for index, value in enumerate(values):
        errors.check_messages((*path, "values", index), value, dns_subdomain_errors(value))


def _check_pod_affinity(errors: Errors, path: Path, affinity: PodAffinity | PodAntiAffinity | None) -> None:
    if affinity is None:
        return
    for index, term in enumerate(affinity.requiredDuringSchedulingIgnoredDuringExecution or ()):
        _check_pod_term(errors, (*path, _REQUIRED, index), term)
    for index, weighted in enumerate(affinity.preferredDuringSchedulingIgnoredDuringExecution or ()):
        at = (*path, _PREFERRED, index)
        _check_weight(errors, at, weighted.weight)
        _check_pod_term(errors, (*at, "podAffinityTerm"), weighted.podAffinityTerm)


def _check_pod_term(errors: Errors, path: Path, term: PodAffinityTerm) -> None:
    errors.check_selector((*path, "labelSelector"), term.labelSelector)
    errors.check_selector((*path, "namespaceSelector"), term.namespaceSelector)
    for index, namespace in enumerate(term.namespaces or ()):
        errors.check_dns_label((*path, "namespaces", index), namespace)
    _check_label_keys(errors, path, "matchLabelKeys", term.matchLabelKeys, selected=term.labelSelector is not None)
    _check_label_keys(
        errors, path, "mismatchLabelKeys", term.mismatchLabelKeys, selected=term.labelSelector is not None
    )
    for index, key in enumerate(term.matchLabelKeys or ()):
        if key in (term.mismatchLabelKeys or ()):
            errors.invalid((*path, "matchLabelKeys", index), key, "exists in both matchLabelKeys and mismatchLabelKeys")
    if not term.topologyKey:
        errors.required((*path, "topologyKey"), "can not be empty")
    errors.check_messages((*path, "topologyKey"), term.topologyKey, qualified_name_errors(term.topologyKey))


def _check_label_keys(errors: Errors, path: Path, name: str, keys: list[str] | None, *, selected: bool) -> None:
    if keys and not selected:
        errors.forbidden((*path, name), "must not be specified when labelSelector is not set")
    for index, key in enumerate(keys or ()):
        errors.check_messages((*path, name, index), key, qualified_name_errors(key))


def _check_toleration(errors: Errors, path: Path, toleration: Toleration) -> None:
    operator = toleration.operator or ""
    if toleration.key:
        errors.check_messages((*path, "key"), toleration.key, qualified_name_errors(toleration.key))
    elif operator != "Exists":
        text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        errors.invalid((*path, "operator"), operator, text)
    if toleration.tolerationSeconds is not None and toleration.effect != "NoExecute":
        text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        errors.invalid((*path, "effect"), toleration.effect or "", text)
    if operator in ("", "Equal"):
        messages = label_value_errors(toleration.value) if toleration.value else ()
        if messages:
            errors.invalid((*path, "operator"), toleration.value, ";".join(messages))
    elif operator == "Exists":
        if toleration.value:
            errors.invalid((*path, "operator"), toleration.value, "value must be empty when `operator` is 'Exists'")
    elif operator in ("Lt", "Gt"):  # known, but switched off by default
        errors.not_supported((*path, "operator"), operator, ("Equal", "Exists", "Lt", "Gt"))
    else:
        errors.not_supported((*path, "operator"), operator, ("Equal", "Exists"))
    if toleration.effect and toleration.effect not in EFFECTS:
        errors.not_supported((*path, "effect"), toleration.effect, EFFECTS)


def _check_spread(errors: Errors, path: Path, constraint: TopologySpreadConstraint) -> None:
    if constraint.maxSkew <= 0:
        errors.invalid((*path, "maxSkew"), constraint.maxSkew, GREATER_THAN_ZERO)
    if not constraint.topologyKey:
        errors.required((*path, "topologyKey"), "can not be empty")
    action = constraint.whenUnsatisfiable
    if action not in ("DoNotSchedule", "ScheduleAnyway"):
        errors.not_supported((*path, "whenUnsatisfiable"), action, ("DoNotSchedule", "ScheduleAnyway"))
    if constraint.minDomains is not None:
        if constraint.minDomains <= 0:
            errors.invalid((*path, "minDomains"), constraint.minDomains, GREATER_THAN_ZERO)
        if action != "DoNotSchedule":
            text = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
            errors.invalid((*path, "minDomains"), constraint.minDomains, text)
    for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
        policy = getattr(constraint, name)
        if policy is not None and policy not in ("Honor", "Ignore"):
            errors.not_supported((*path, name), policy, ("Honor", "Ignore"))
    selector = constraint.labelSelector
    _check_label_keys(errors, path, "matchLabelKeys", constraint.matchLabelKeys, selected=selector is not None)
    errors.check_selector((*path, "labelSelector"), selector)
