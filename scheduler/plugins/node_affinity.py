"""NodeAffinity: applies a pod's node selector and its node affinity, required and preferred."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kubeapi.core.pod.scheduling.affinity import PreferredSchedulingTerm
from kubeapi.core.pod.scheduling.nodeselection import required_terms
from scheduler.events import NODE, WAITING_POD, Change
from scheduler.framework import SKIP, Cycle, FloatArray, Only, Plugin, PluginSpec, Rejected, Skip, scaled
from scheduler.plugins._nodeselection import named_nodes, selected, selects_nodes, term_matches
from scheduler.state.shape import IntArray, Shape
from scheduler.state.table import BoolArray, Rows


class NodeAffinity(Plugin):
    def pre_filter(self, cycle: Cycle) -> Skip | Only | Rejected | None:
        if not selects_nodes(cycle.shape):
            return SKIP
        names = named_nodes(terms) if (terms := required_terms(cycle.shape.spec.affinity)) else None
        if names is None:
            return None
        return Only(names) if names else Rejected("pod affinity terms conflict")

    def filter(self, cycle: Cycle, rows: Rows) -> BoolArray:
        return selected(cycle.shape, self.table, rows)

    def reasons(self, cycle: Cycle, rows: IntArray) -> Mapping[str, int]:
        return {"node(s) didn't match Pod's node affinity/selector": len(rows)}

    def pre_score(self, cycle: Cycle) -> Skip | None:
        return None if _preferred(cycle.shape) else SKIP

    def score(self, cycle: Cycle, rows: Rows) -> IntArray:
        """Adds up the weights of the preferences that the node meets."""
        total = np.zeros(len(self.table.valid[rows]), np.int64)
        for term in _preferred(cycle.shape):
            total += term.weight * term_matches(term.preference, self.table, rows)
        return total

    def normalize(self, cycle: Cycle, scores: FloatArray) -> FloatArray:
        return scaled(scores)


def _preferred(shape: Shape) -> Sequence[PreferredSchedulingTerm]:
    affinity = shape.spec.affinity.nodeAffinity if shape.spec.affinity else None
    return (affinity.preferredDuringSchedulingIgnoredDuringExecution if affinity else None) or ()


PLUGIN = PluginSpec(
    "NodeAffinity",
    NodeAffinity,
    weight=2,
    order=40,
    requeue_on={NODE: Change.ADD | Change.LABELS, WAITING_POD: Change.SPEC},
    reads_pod=("spec.nodeSelector", "spec.affinity"),
)
