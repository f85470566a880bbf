"""NodeResourcesFit: requires what the pod asks for to be free, and prefers the node where most is left afterwards."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scheduler.events import ASSIGNED_POD, NODE, WAITING_POD, Change, ClusterEvent
from scheduler.framework import MAX_SCORE, Cycle, Plugin, PluginSpec
from scheduler.state.resources import PODS, amounts
from scheduler.state.shape import IntArray, Shape
from scheduler.state.table import BoolArray, Rows
from scheduler.views.node import Node


class NodeResourcesFit(Plugin):
    def filter(self, cycle: Cycle, rows: Rows) -> BoolArray:
        numbers, requested = self.table.vector(cycle.shape)
        enough: BoolArray = np.logical_and.reduce(self.table.free[:, rows][numbers] >= requested[:, None])
        return enough

    def reasons(self, cycle: Cycle, rows: IntArray) -> Mapping[str, int]:
        numbers, requested = self.table.vector(cycle.shape)
        short = (self.table.free[:, rows][numbers] < requested[:, None]).sum(axis=1)
        names = {number: name for name, number in self.table.resources.items()}
        counts = {names[number]: int(count) for number, count in zip(numbers.tolist(), short, strict=True) if count}
        return {"Too many pods" if name == PODS else f"Insufficient {name}": count for name, count in counts.items()}

    def score(self, cycle: Cycle, rows: Rows) -> IntArray:
        """Averages the shares of CPU and memory that stay free, with defaults for pods that ask for nothing."""
        requested = np.array(((cycle.shape.scoring_cpu,), (cycle.shape.scoring_memory,)))
        capacity = self.table.allocatable[:2, rows]
        left = np.maximum(capacity - self.table.scoring[:, rows] - requested, 0)
        share = left * MAX_SCORE // np.maximum(capacity, 1)
        present = np.minimum(capacity, 1)
        mean: IntArray = (share[0] + share[1]) // np.maximum(present[0] + present[1], 1)
        return mean

    def hint(self, shape: Shape, event: ClusterEvent) -> bool:
        """Lets a node help if the pod would fit on it while it is empty, and, if it is not new, if it has grown."""
        if not isinstance(event.new, Node):
            return True
        allocatable = amounts(event.new.status.allocatable)
        if any(value > allocatable.get(name, 0) for name, value in shape.requests.items()):
            return False
        if not isinstance(event.old, Node):
            return True
        before = amounts(event.old.status.allocatable)
        return any(allocatable.get(name, 0) > before.get(name, 0) for name in shape.requests)


PLUGIN = PluginSpec(
    "NodeResourcesFit",
    NodeResourcesFit,
    weight=1,
    order=60,
    requeue_on={
        NODE: Change.ADD | Change.ALLOCATABLE,
        ASSIGNED_POD: Change.DELETE | Change.SPEC,
        WAITING_POD: Change.SPEC,
    },
)
