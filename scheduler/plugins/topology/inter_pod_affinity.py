"""InterPodAffinity: puts pods near some pods and away from others, and away from pods that keep them off.

Source: Kubernetes, "Assigning Pods to Nodes", inter-pod affinity and anti-affinity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from apimachinery.errors import FieldError, invalid
from scheduler.events import ASSIGNED_POD, NODE, WAITING_POD, Change
from scheduler.framework import MAX_SCORE, SKIP, Cycle, FloatArray, Handle, Plugin, PluginArguments, PluginSpec, Skip
from scheduler.state.affinity import Hold, Term
from scheduler.state.counters import PodKind, Scope
from scheduler.state.shape import IntArray, Shape
from scheduler.state.table import BoolArray, Rows
from scheduler.views.namespace import Namespace

AFFINITY = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
EXISTING_ANTI_AFFINITY = "node(s) didn't satisfy existing pods anti-affinity rules"


class InterPodAffinityArgs(PluginArguments, protobuf="hardPodAffinityWeight*"):
    """The plugin's arguments."""

    hardPodAffinityWeight: int = 1
    """The weight, when nodes are compared, of a pod there that requires to be near this one: 0 to 100."""
    ignorePreferredTermsOfExistingPods: bool | None = None
    """True to compare nodes for pods with preferences of their own alone."""

    def errors(self) -> list[FieldError]:
        weight = self.hardPodAffinityWeight
        return [] if 0 <= weight <= 100 else [invalid("hardPodAffinityWeight", weight, "not in valid range [0-100]")]


@dataclass(frozen=True, slots=True)
class _Masks:
    """Holds which rows of the table pass, rule by rule."""

    affinity: BoolArray
    anti_affinity: BoolArray
    existing: BoolArray


class InterPodAffinity(Plugin):
    local = False

    def __init__(self, name: str, handle: Handle) -> None:
        super().__init__(name, handle)
        args = self.args(InterPodAffinityArgs)
        self._required_weight = args.hardPodAffinityWeight
        self._ignores_others = bool(args.ignorePreferredTermsOfExistingPods)

    def pre_filter(self, cycle: Cycle) -> Skip | None:
        terms = cycle.shape.terms
        if not (terms.required or terms.required_anti or self._is_kept_away(cycle.shape)):
            return SKIP
        masks = _Masks(self._near(cycle.shape), self._apart(terms.required_anti), self._not_kept_away(cycle.shape))
        cycle.state[self.name] = masks
        return None

    def filter(self, cycle: Cycle, rows: Rows) -> BoolArray:
        masks: _Masks = cycle.state[self.name]
        return masks.affinity[rows] & masks.anti_affinity[rows] & masks.existing[rows]

    def reasons(self, cycle: Cycle, rows: IntArray) -> Mapping[str, int]:
        """Names the first rule that a node fails."""
        masks: _Masks = cycle.state[self.name]
        counts = {}
        rules = (
            (AFFINITY, masks.affinity),
            (ANTI_AFFINITY, masks.anti_affinity),
            (EXISTING_ANTI_AFFINITY, masks.existing),
        )
        for reason, mask in rules:
            passed = mask[rows]
            if not passed.all():
                counts[reason] = int(np.count_nonzero(~passed))
            rows = rows[passed]
        return counts

    def curable(self, cycle: Cycle, rows: IntArray) -> BoolArray:
        """Tells where only pods that are there keep this one away."""
        masks: _Masks = cycle.state[self.name]
        near: BoolArray = masks.affinity[rows]
        return near

    def _near(self, shape: Shape) -> BoolArray:
        """Finds rows whose domains have a pod that matches all required terms; the first of a kind goes anywhere."""
        terms = shape.terms.required
        passed = np.ones(len(self.table.valid), np.bool_)
        if not terms:
            return passed
        counts = self.handle.cache.count(PodKind(tuple(self._scope(term) for term in terms)))
        any_pod = False
        labelled = passed.copy()
        for term in terms:
            column = self.table.label(term.topology_key)
            labelled &= column.ids >= 0
            has_some = column.sums(counts, self.table.valid) > 0
            any_pod = any_pod or bool(has_some.any())
            passed &= has_some[column.ids]
        matches_itself = all(term.matches(shape.namespace, shape.labels, self._namespace_labels) for term in terms)
        return labelled if not any_pod and matches_itself else passed

    def _apart(self, terms: Iterable[Term]) -> BoolArray:
        """Finds rows whose domains have no pod that one of the anti-affinity terms matches."""
        passed = np.ones(len(self.table.valid), np.bool_)
        for term in terms:
            passed &= ~self._in_domains(term, self.handle.cache.count(PodKind((self._scope(term),))))
        return passed

    def _not_kept_away(self, shape: Shape) -> BoolArray:
        """Finds rows whose domains have no pod with an anti-affinity term that matches this one."""
        passed = np.ones(len(self.table.valid), np.bool_)
        for held, counts in self.handle.cache.counters.held():
            if held.hold is Hold.REQUIRED_ANTI and self._matches(held.term, shape):
                passed &= ~self._in_domains(held.term, counts)
        return passed

    def _is_kept_away(self, shape: Shape) -> bool:
        """Tells whether a pod somewhere has an anti-affinity term that matches this one."""
        held = self.handle.cache.counters.held()
        return any(item.hold is Hold.REQUIRED_ANTI and self._matches(item.term, shape) for item, _ in held)

    def _in_domains(self, term: Term, counts: IntArray) -> BoolArray:
        """Finds rows in a domain of the term's topology where `counts` is above zero."""
        column = self.table.label(term.topology_key)
        return (column.sums(counts, self.table.valid) > 0)[column.ids]

    def pre_score(self, cycle: Cycle) -> Skip | None:
        others_prefer = self.handle.cache.counters.holds_terms and not self._ignores_others
        return None if cycle.shape.terms.preferred or others_prefer else SKIP

    def score(self, cycle: Cycle, rows: Rows) -> FloatArray:
        """Adds up the preferences that this pod and those on the nodes have for or against each other."""
        shape = cycle.shape
        total = np.zeros(len(self.table.valid), np.int64)
        for weight, term in shape.terms.preferred:
            self._add(total, term, weight, self.handle.cache.count(PodKind((self._scope(term),))))
        for held, counts in self.handle.cache.counters.held():
            weight = self._required_weight if held.hold is Hold.REQUIRED else held.weight
            if weight and self._matches(held.term, shape):
                self._add(total, held.term, weight, counts)
        return total[rows].astype(np.float64)

    def _add(self, total: IntArray, term: Term, weight: int, counts: IntArray) -> None:
        column = self.table.label(term.topology_key)
        total += weight * column.sums(counts, self.table.valid)[column.ids]

    def normalize(self, cycle: Cycle, scores: FloatArray) -> FloatArray:
        span = scores.max() - scores.min()
        if not span:
            return np.zeros_like(scores)
        result: FloatArray = np.floor(MAX_SCORE * (scores - scores.min()) / span)
        return result

    def _matches(self, term: Term, shape: Shape) -> bool:
        return term.matches(shape.namespace, shape.labels, self._namespace_labels)

    def _scope(self, term: Term) -> Scope:
        """Returns the term's namespaces as they are now, and its selector."""
        if term.namespace_selector.nothing:
            return term.namespaces, term.selector
        if term.namespace_selector.empty:
            return None, term.selector
        chosen = [
            item.name for item in self.handle.lister.list(Namespace) if term.namespace_selector.matches(item.labels)
        ]
        return term.namespaces.union(chosen), term.selector

    def _namespace_labels(self, name: str) -> dict[str, str]:
        namespace = self.handle.lister.get(Namespace, name)
        return namespace.labels if namespace else {}


PLUGIN = PluginSpec(
    "InterPodAffinity",
    InterPodAffinity,
    weight=2,
    order=90,
    requeue_on={
        ASSIGNED_POD: Change.ADD | Change.DELETE | Change.LABELS,
        NODE: Change.ADD | Change.LABELS,
        "Namespace": Change.ADD | Change.LABELS,
        WAITING_POD: Change.LABELS | Change.SPEC,
    },
    arguments=InterPodAffinityArgs,
    reads=(Namespace,),
    reads_pod=("metadata.labels", "spec.affinity"),
)
