"""NodeResourcesFit: requires what the pod asks for to be free, and prefers the node where most is left afterwards.

With the scoring strategy MostAllocated it prefers the one where least is left.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from apimachinery.model import Model
from scheduler.events import ASSIGNED_POD, NODE, WAITING_POD, Change, ClusterEvent
from scheduler.framework import MAX_SCORE, Cycle, Handle, Plugin, PluginSpec
from scheduler.state.resources import CPU, MEMORY, PODS, amounts
from scheduler.state.shape import IntArray, Shape
from scheduler.state.table import BoolArray, Rows
from scheduler.views.node import Node

STRATEGIES = ("LeastAllocated", "MostAllocated")


class ResourceSpec(Model):
    """A resource that nodes are compared by."""

    name: str = ""
    """cpu or memory."""
    weight: int = 1
    """Its weight against the other's, 1 to 100."""


class ScoringStrategy(Model):
    """How nodes are compared."""

    type: str = STRATEGIES[0]
    """LeastAllocated or MostAllocated."""
    resources: list[ResourceSpec] | None = None
    """What they are compared by. Default: cpu and memory alike."""


class NodeResourcesFitArgs(Model):
    """The plugin's arguments."""

    scoringStrategy: ScoringStrategy | None = None
    """How nodes are compared. Default: LeastAllocated."""


class NodeResourcesFit(Plugin):
    def __init__(self, name: str, handle: Handle) -> None:
        """Raises: ValueError for arguments that name another strategy, resource or weight."""
        super().__init__(name, handle)
        args = self.args if isinstance(self.args, NodeResourcesFitArgs) else NodeResourcesFitArgs()
        strategy = args.scoringStrategy or ScoringStrategy()
        if strategy.type not in STRATEGIES:
            raise ValueError(f"{name}: scoringStrategy.type: want one of {', '.join(STRATEGIES)}, not {strategy.type}")
        weights = {item.name: item.weight for item in strategy.resources or ()} or {CPU: 1, MEMORY: 1}
        for resource, weight in weights.items():
            if resource not in (CPU, MEMORY) or not 1 <= weight <= 100:
                raise ValueError(f"{name}: scoringStrategy.resources: want cpu, memory with weights of 1 to 100")
        self._packs = strategy.type == "MostAllocated"
        self._weights = np.array(((weights.get(CPU, 0),), (weights.get(MEMORY, 0),)), np.int64)

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
        """Averages the shares of CPU and memory that stay free, or with MostAllocated those that are taken.

        Pods that ask for nothing count with defaults.
        """
        requested = np.array(((cycle.shape.scoring_cpu,), (cycle.shape.scoring_memory,)))
        capacity = self.table.allocatable[:2, rows]
        used = self.table.scoring[:, rows] + requested
        counted = np.minimum(used, capacity) if self._packs else np.maximum(capacity - used, 0)
        share = counted * MAX_SCORE // np.maximum(capacity, 1) * self._weights
        present = np.minimum(capacity, 1) * self._weights
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
    arguments=NodeResourcesFitArgs,
    requeue_on={
        NODE: Change.ADD | Change.ALLOCATABLE,
        ASSIGNED_POD: Change.DELETE | Change.SPEC,
        WAITING_POD: Change.SPEC,
    },
)
