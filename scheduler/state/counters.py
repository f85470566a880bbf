"""Counts how many pods of some kind each node has, in arrays kept up to date, for spreading and pod affinity."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from apimachinery.selectors import Selector
from scheduler.state.affinity import HeldTerm
from scheduler.state.podinfo import PodInfo
from scheduler.state.shape import IntArray, Shape
from scheduler.state.table import NodeTable

COUNTERS = 256  # kinds of pods counted at once; the longest unused is dropped and, if asked for again, counted anew
REMEMBERED_SHAPES = 4096  # shapes whose matching counters are remembered; all are forgotten when there are more

Scope = tuple[frozenset[str] | None, Selector]
"""Namespaces (None for all) and what a pod in one of them must match."""


@dataclass(frozen=True, slots=True)
class PodKind:
    """Says which pods to count: those in all of the scopes."""

    scopes: tuple[Scope, ...]
    alive_only: bool = False
    """Leaves out pods that are being deleted."""

    def matches(self, shape: Shape) -> bool:
        return all(
            (namespaces is None or shape.namespace in namespaces) and selector.matches(shape.labels)
            for namespaces, selector in self.scopes
        )


class PodCounters:
    """Makes a counter when it is first asked for, and lets it follow every pod from then on.

    The affinity terms that pods on nodes hold are always counted: there are few, and nobody could ask for them.
    """

    def __init__(self, table: NodeTable) -> None:
        self._table = table
        self._counters: OrderedDict[PodKind, IntArray] = OrderedDict()
        self._matching: dict[Shape, tuple[PodKind, ...]] = {}
        self._held: dict[HeldTerm, IntArray] = {}

    def get(self, kind: PodKind, pods: Iterable[PodInfo]) -> IntArray:
        """Counts the pods of this kind per row of the table; `pods` are all there are, should the counter be new."""
        counts = self._counters.get(kind)
        if counts is None:
            counts = self._counters[kind] = self._count(kind, pods)
            self._matching.clear()
            if len(self._counters) > COUNTERS:
                self._counters.popitem(last=False)
            return counts
        self._counters.move_to_end(kind)
        if len(counts) < len(self._table.valid):
            counts = self._counters[kind] = self._grown(counts)
        return counts

    def held(self) -> Iterator[tuple[HeldTerm, IntArray]]:
        """Yields the terms that pods on nodes hold, and how many do so per row."""
        for term, counts in list(self._held.items()):
            if len(counts) < len(self._table.valid):
                counts = self._held[term] = self._grown(counts)
            yield term, counts

    @property
    def holds_terms(self) -> bool:
        return bool(self._held)

    def add(self, row: int, shape: Shape, terminating: bool, times: int) -> None:
        """Counts a pod that came (`times` is 1) or went (-1)."""
        for term in shape.held:
            self._hold(term, row, times)
        if not self._counters:
            return
        for kind in self._matching_kinds(shape):
            if kind.alive_only and terminating:
                continue
            counts = self._counters[kind]
            if row >= len(counts):
                counts = self._counters[kind] = self._grown(counts)
            counts[row] += times

    def clear_row(self, row: int) -> None:
        """Forgets the node of this row, which is gone."""
        for counts in self._counters.values():
            if row < len(counts):
                counts[row] = 0
        for term, counts in list(self._held.items()):
            if row < len(counts):
                counts[row] = 0
                if not counts.any():
                    del self._held[term]

    def _hold(self, term: HeldTerm, row: int, times: int) -> None:
        counts = self._held.get(term)
        if counts is None:
            counts = self._held[term] = np.zeros(len(self._table.valid), np.int64)
        elif row >= len(counts):
            counts = self._held[term] = self._grown(counts)
        counts[row] += times
        if times < 0 and not counts.any():
            del self._held[term]

    def _matching_kinds(self, shape: Shape) -> tuple[PodKind, ...]:
        matching = self._matching.get(shape)
        if matching is None:
            matching = tuple(kind for kind in self._counters if kind.matches(shape))
            if len(self._matching) >= REMEMBERED_SHAPES:
                self._matching.clear()
            self._matching[shape] = matching
        return matching

    def _count(self, kind: PodKind, pods: Iterable[PodInfo]) -> IntArray:
        counts = np.zeros(len(self._table.valid), np.int64)
        matches: dict[Shape, bool] = {}
        for pod in pods:
            matched = matches.get(pod.shape)
            if matched is None:
                matched = matches[pod.shape] = kind.matches(pod.shape)
            row = self._table.rows.get(pod.node) if matched else None
            if row is not None and not (kind.alive_only and pod.terminating):
                counts[row] += 1
        return counts

    def _grown(self, counts: IntArray) -> IntArray:
        return np.pad(counts, (0, len(self._table.valid) - len(counts)))
