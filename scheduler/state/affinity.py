"""Turns terms of pod affinity and anti-affinity into values that can be compared and counted by.

Source: Kubernetes, "Assigning Pods to Nodes", inter-pod affinity and anti-affinity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from apimachinery.selectors import Selector, selector_of
from kubeapi.core.pod.scheduling.affinity import Affinity, PodAffinityTerm, WeightedPodAffinityTerm

NamespaceLabels = Callable[[str], dict[str, str]]
"""Name of a namespace -> its labels."""


@dataclass(frozen=True, slots=True)
class Term:
    """Means pods of these namespaces that the selector matches, on nodes with one value of the topology key."""

    topology_key: str
    namespaces: frozenset[str]
    namespace_selector: Selector
    """Chooses further namespaces by their labels."""
    selector: Selector

    def matches(self, namespace: str, labels: dict[str, str], namespace_labels: NamespaceLabels) -> bool:
        if not self.selector.matches(labels):
            return False
        if namespace in self.namespaces or self.namespace_selector.empty:
            return True
        return not self.namespace_selector.nothing and self.namespace_selector.matches(namespace_labels(namespace))


class Hold(Enum):
    """Says what a pod on a node holds against or for others."""

    REQUIRED_ANTI = "required anti-affinity"
    REQUIRED = "required affinity"
    PREFERRED = "preferred"


@dataclass(frozen=True, slots=True)
class HeldTerm:
    """Describes a term that a pod on a node holds; a preference has a `weight`, below zero for one against."""

    hold: Hold
    term: Term
    weight: int = 0


@dataclass(frozen=True, slots=True)
class PodTerms:
    """Holds all terms of a pod."""

    required: tuple[Term, ...] = ()
    required_anti: tuple[Term, ...] = ()
    preferred: tuple[tuple[int, Term], ...] = ()
    """(weight, term); anti-affinity has weights below zero."""

    @property
    def held(self) -> tuple[HeldTerm, ...]:
        return (
            *(HeldTerm(Hold.REQUIRED_ANTI, term) for term in self.required_anti),
            *(HeldTerm(Hold.REQUIRED, term) for term in self.required),
            *(HeldTerm(Hold.PREFERRED, term, weight) for weight, term in self.preferred),
        )


NO_TERMS = PodTerms()


def pod_terms(affinity: Affinity | None, namespace: str) -> PodTerms:
    """Reads a pod's terms; one that chooses no namespaces is about the pod's own, `namespace`."""
    if affinity is None or (affinity.podAffinity is None and affinity.podAntiAffinity is None):
        return NO_TERMS
    pro, anti = affinity.podAffinity, affinity.podAntiAffinity
    preferred: list[tuple[int, Term]] = []
    required: tuple[Term, ...] = ()
    required_anti: tuple[Term, ...] = ()
    if pro is not None:
        required = _terms(pro.requiredDuringSchedulingIgnoredDuringExecution or (), namespace)
        preferred += _weighted(pro.preferredDuringSchedulingIgnoredDuringExecution or (), namespace, 1)
    if anti is not None:
        required_anti = _terms(anti.requiredDuringSchedulingIgnoredDuringExecution or (), namespace)
        preferred += _weighted(anti.preferredDuringSchedulingIgnoredDuringExecution or (), namespace, -1)
    return PodTerms(required, required_anti, tuple(preferred))


def _terms(terms: Iterable[PodAffinityTerm], namespace: str) -> tuple[Term, ...]:
    return tuple(_term(item, namespace) for item in terms)


def _weighted(terms: Iterable[WeightedPodAffinityTerm], namespace: str, sign: int) -> list[tuple[int, Term]]:
    return [(sign * item.weight, _term(item.podAffinityTerm, namespace)) for item in terms]


def _term(item: PodAffinityTerm, namespace: str) -> Term:
    named = frozenset(item.namespaces or ())
    if not named and item.namespaceSelector is None:
        named = frozenset((namespace,))
    return Term(item.topologyKey, named, selector_of(item.namespaceSelector), selector_of(item.labelSelector))
