"""TaintToleration: keeps pods off nodes whose taints they don't tolerate, and away from those they would rather not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from kubeapi.core.pod.scheduling.tolerations import PREFER_NO_SCHEDULE, TaintKey, admits, taint_key, tolerated
from scheduler.events import NODE, WAITING_POD, Change, ClusterEvent
from scheduler.framework import Cycle, FloatArray, Plugin, PluginSpec, scaled
from scheduler.state.shape import IntArray, Shape
from scheduler.state.table import BoolArray, Rows
from scheduler.views.node import Node


class TaintToleration(Plugin):
    """Judges each distinct set of taints once, whatever the number of nodes that have it."""

    counts_pods = False

    def filter(self, cycle: Cycle, rows: Rows) -> BoolArray:
        sets = self.table.taint_set[rows]
        if not sets.any():
            return np.ones(len(sets), np.bool_)
        tolerations = cycle.shape.spec.tolerations or []
        return self._judge(sets, lambda taints: admits(tolerations, taints)).astype(np.bool_)

    def reasons(self, cycle: Cycle, rows: IntArray) -> Mapping[str, int]:
        return {"node(s) had untolerated taint(s)": len(rows)}

    def score(self, cycle: Cycle, rows: Rows) -> IntArray:
        """Counts the taints that the pod would rather avoid."""
        sets = self.table.taint_set[rows]
        if not sets.any():
            return np.zeros(len(sets), np.int64)
        tolerations = [
            item for item in cycle.shape.spec.tolerations or () if item.effect in (None, "", PREFER_NO_SCHEDULE)
        ]
        return self._judge(
            sets,
            lambda taints: sum(
                1 for taint in taints if taint.effect == PREFER_NO_SCHEDULE and not tolerated(tolerations, taint)
            ),
        )

    def normalize(self, cycle: Cycle, scores: FloatArray) -> FloatArray:
        return scaled(scores, reverse=True)

    def hint(self, shape: Shape, event: ClusterEvent) -> bool:
        if not isinstance(event.new, Node):
            return True
        taints = [taint_key(taint) for taint in event.new.spec.taints or ()]
        return admits(shape.spec.tolerations or (), taints)

    def _judge(
        self, sets: np.ndarray[tuple[int], np.dtype[np.int32]], verdict: Callable[[Sequence[TaintKey]], int]
    ) -> IntArray:
        """Returns the verdict on each row's taints."""
        numbers, where = np.unique(sets, return_inverse=True)
        verdicts = np.array([verdict(self.table.taint_sets[number]) for number in numbers], np.int64)
        return verdicts[where]


PLUGIN = PluginSpec(
    "TaintToleration",
    TaintToleration,
    weight=3,
    order=30,
    requeue_on={NODE: Change.ADD | Change.TAINTS, WAITING_POD: Change.SPEC},
    reads_pod=("spec.tolerations",),
)
