"""NodeUnschedulable: keeps pods off cordoned nodes unless they tolerate that."""

from __future__ import annotations

from collections.abc import Mapping

from kubeapi.core.pod.scheduling.tolerations import NO_SCHEDULE, TaintKey, tolerated
from scheduler.events import NODE, WAITING_POD, Change, ClusterEvent
from scheduler.framework import SKIP, Cycle, Plugin, PluginSpec, Skip
from scheduler.state.shape import IntArray, Shape
from scheduler.state.table import BoolArray, Rows
from scheduler.views.node import Node

TAINT = TaintKey("node.kubernetes.io/unschedulable", "", NO_SCHEDULE)


class NodeUnschedulable(Plugin):
    counts_pods = False

    def pre_filter(self, cycle: Cycle) -> Skip | None:
        return SKIP if tolerated(cycle.shape.spec.tolerations or (), TAINT) else None

    def filter(self, cycle: Cycle, rows: Rows) -> BoolArray:
        return ~self.table.unschedulable[rows]

    def reasons(self, cycle: Cycle, rows: IntArray) -> Mapping[str, int]:
        return {"node(s) were unschedulable": len(rows)}

    def hint(self, shape: Shape, event: ClusterEvent) -> bool:
        return not isinstance(event.new, Node) or not event.new.spec.unschedulable


PLUGIN = PluginSpec(
    "NodeUnschedulable",
    NodeUnschedulable,
    order=10,
    requeue_on={NODE: Change.ADD | Change.TAINTS, WAITING_POD: Change.SPEC},
    reads_pod=("spec.tolerations",),
)
