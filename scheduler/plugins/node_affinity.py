"""NodeAffinity: applies a pod's node selector and its node affinity, required and preferred.

A configuration may add a node affinity for all pods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from apimachinery.errors import FieldError
from apimachinery.validation import Errors
from kubeapi.core.pod.scheduling.affinity import Affinity as PodAffinities
from kubeapi.core.pod.scheduling.affinity import NodeAffinity as Affinity
from kubeapi.core.pod.scheduling.affinity import PreferredSchedulingTerm
from kubeapi.core.pod.scheduling.nodeselection import required_terms
from kubeapi.core.pod.validation.affinity import check_affinity
from scheduler.events import NODE, WAITING_POD, Change
from scheduler.framework import (
    SKIP,
    Cycle,
    FloatArray,
    Handle,
    Only,
    Plugin,
    PluginArguments,
    PluginSpec,
    Rejected,
    Skip,
    scaled,
)
from scheduler.plugins._nodeselection import any_matches, named_nodes, selected, selects_nodes, term_matches
from scheduler.state.shape import IntArray, Shape
from scheduler.state.table import BoolArray, Rows

MISMATCH = "node(s) didn't match Pod's node affinity/selector"
ENFORCED_MISMATCH = "node(s) didn't match scheduler-enforced node affinity"


class NodeAffinityArgs(PluginArguments):
    """The plugin's arguments."""

    addedAffinity: Affinity | None = None
    """Holds for all pods of the profile, besides their own."""

    def errors(self) -> list[FieldError]:
        errors = Errors()
        check_affinity(errors, (), PodAffinities(nodeAffinity=self.addedAffinity))
        return [replace(item, field=item.field.replace("nodeAffinity", "addedAffinity", 1)) for item in errors]


class NodeAffinity(Plugin):
    counts_pods = False

    def __init__(self, name: str, handle: Handle) -> None:
        super().__init__(name, handle)
        added = self.args(NodeAffinityArgs).addedAffinity or Affinity()
        required = added.requiredDuringSchedulingIgnoredDuringExecution
        self._added = required.nodeSelectorTerms if required else None
        self._added_preferred = added.preferredDuringSchedulingIgnoredDuringExecution or []

    def pre_filter(self, cycle: Cycle) -> Skip | Only | Rejected | None:
        if self._added is None and not selects_nodes(cycle.shape):
            return SKIP
        names = named_nodes(terms) if (terms := required_terms(cycle.shape.spec.affinity)) else None
        if names is None:
            return None
        return Only(names) if names else Rejected("pod affinity terms conflict")

    def filter(self, cycle: Cycle, rows: Rows) -> BoolArray:
        mask = selected(cycle.shape, self.table, rows)
        return mask if self._added is None else mask & any_matches(self._added, self.table, rows)

    def reasons(self, cycle: Cycle, rows: IntArray) -> Mapping[str, int]:
        passed = len(rows) if self._added is None else int(any_matches(self._added, self.table, rows).sum())
        counts = {ENFORCED_MISMATCH: len(rows) - passed, MISMATCH: passed}
        return {reason: count for reason, count in counts.items() if count}

    def pre_score(self, cycle: Cycle) -> Skip | None:
        return None if self._added_preferred or _preferred(cycle.shape) else SKIP

    def score(self, cycle: Cycle, rows: Rows) -> IntArray:
        """Adds up the weights of the preferences that the node meets."""
        total = np.zeros(len(self.table.valid[rows]), np.int64)
        for term in (*_preferred(cycle.shape), *self._added_preferred):
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
    arguments=NodeAffinityArgs,
    requeue_on={NODE: Change.ADD | Change.LABELS, WAITING_POD: Change.SPEC},
    reads_pod=("spec.nodeSelector", "spec.affinity"),
)
