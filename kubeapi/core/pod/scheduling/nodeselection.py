"""Decides whether a node is one that a pod selects: its nodeSelector and its required node affinity.

Source: Kubernetes documentation, "Assigning Pods to Nodes".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kubeapi.core.pod.scheduling.affinity import Affinity, NodeSelectorRequirement, NodeSelectorTerm

NAME_FIELD = "metadata.name"
"""The only field that matchFields knows."""


def required_terms(affinity: Affinity | None) -> list[NodeSelectorTerm] | None:
    """Returns the terms of which one must match; None when the pod requires nothing of its node."""
    node_affinity = affinity.nodeAffinity if affinity is not None else None
    required = node_affinity.requiredDuringSchedulingIgnoredDuringExecution if node_affinity is not None else None
    return required.nodeSelectorTerms if required is not None else None


def selects(
    node_selector: Mapping[str, str] | None, affinity: Affinity | None, name: str, labels: Mapping[str, str]
) -> bool:
    """Tells whether a pod with this selector and affinity may run on the node of this name and these labels."""
    if any(labels.get(key) != value for key, value in (node_selector or {}).items()):
        return False
    terms = required_terms(affinity)
    return terms is None or terms_match(terms, name, labels)


def terms_match(terms: Iterable[NodeSelectorTerm], name: str, labels: Mapping[str, str]) -> bool:
    """Tells whether the node meets one of the terms."""
    return any(_term_matches(term, name, labels) for term in terms)


def _term_matches(term: NodeSelectorTerm, name: str, labels: Mapping[str, str]) -> bool:
    """Requires all expressions and fields to hold; an empty term matches no node."""
    expressions, fields = term.matchExpressions or (), term.matchFields or ()
    if not expressions and not fields:
        return False
    return all(_holds(item, labels) for item in expressions) and all(
        _holds(item, {NAME_FIELD: name}) for item in fields
    )


def _holds(requirement: NodeSelectorRequirement, values: Mapping[str, str]) -> bool:
    return value_matches(requirement.operator, requirement.values or (), values.get(requirement.key))


def value_matches(operator: str, operands: Sequence[str], value: str | None) -> bool:
    """Applies one operator to the value of a label or field; None stands for a node that lacks it.

    Gt and Lt compare integers, and hold for nothing else.
    """
    if operator == "In":
        return value in operands
    if operator == "NotIn":
        return value not in operands
    if operator == "Exists":
        return value is not None
    if operator == "DoesNotExist":
        return value is None
    if operator not in ("Gt", "Lt") or value is None or len(operands) != 1:
        return False
    try:
        return int(value) > int(operands[0]) if operator == "Gt" else int(value) < int(operands[0])
    except ValueError:
        return False
