"""NodeResourcesFit: what the pod asks for must be free, and the node where most is left afterwards is best."""

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
        numbers, asked = self.table.vector(cycle.shape)
        enough: BoolArray = np.logical_and.reduce(self.table.free[:, rows][numbers] >= asked[:, None])
        return enough

    def reasons(self, cycle: Cycle, rows: IntArray) -> Mapping[str, int]:
        numbers, asked = self.table.vector(cycle.shape)
        short = (self.table.free[:, rows][numbers] < asked[:, None]).sum(axis=1)
        names = {number: name for name, number in self.table.resources.items()}
        found = {names[number]: int(count) for number, count in zip(numbers.tolist(), short, strict=True) if count}
        return {"Too many pods" if name == PODS else f"Insufficient {name}": count for name, count in found.items()}

    def score(self, cycle: Cycle, rows: Rows) -> IntArray:
        """The mean share of CPU and memory that stays free, with defaults for pods that ask for nothing."""
        asked = np.array(((cycle.shape.scoring_cpu,), (cycle.shape.scoring_memory,)))
        capacity = self.table.allocatable[:2, rows]
        left = np.maximum(capacity - self.table.scoring[:, rows] - asked, 0)
        share = left * MAX_SCORE // np.maximum(capacity, 1)
        known = np.minimum(capacity, 1)
        mean: IntArray = (share[0] + share[1]) // np.maximum(known[0] + known[1], 1)
        return mean

    def hint(self, shape: Shape, event: ClusterEvent) -> bool:
        """A node helps if the pod would fit on it while it is empty, and, if it is not new, if it has grown."""
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
