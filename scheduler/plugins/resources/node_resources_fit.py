"""NodeResourcesFit: requires what the pod asks for to be free, and prefers nodes by how much of them would be used."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from apimachinery.errors import FieldError
from scheduler.events import ASSIGNED_POD, NODE, WAITING_POD, Change, ClusterEvent
from scheduler.framework import Cycle, Handle, Plugin, PluginArguments, PluginSpec
from scheduler.plugins.resources._strategies import ScoringStrategy, strategy_of
from scheduler.plugins.resources._usage import ComparedResources
from scheduler.state.resources import PODS, amounts
from scheduler.state.shape import IntArray, Shape
from scheduler.state.table import BoolArray, Rows
from scheduler.views.node import Node


class NodeResourcesFitArgs(PluginArguments):
    """The plugin's arguments."""

    ignoredResources: list[str] | None = None
    """Extended resources that need not be free."""
    ignoredResourceGroups: list[str] | None = None
    """The same for all resources with such a prefix: "example.com" for example.com/gpu."""
    scoringStrategy: ScoringStrategy | None = None
    """How nodes are compared. Default: LeastAllocated."""

    def errors(self) -> list[FieldError]:
        return self.scoringStrategy.errors("scoringStrategy") if self.scoringStrategy else []


class NodeResourcesFit(Plugin):
    def __init__(self, name: str, handle: Handle) -> None:
        super().__init__(name, handle)
        args = self.args(NodeResourcesFitArgs)
        scoring = args.scoringStrategy or ScoringStrategy()
        self._strategy, self._compared = strategy_of(scoring), ComparedResources(scoring.resources)
        self._ignored = frozenset(args.ignoredResources or ())
        self._ignored_groups = frozenset(args.ignoredResourceGroups or ())

    def filter(self, cycle: Cycle, rows: Rows) -> BoolArray:
        numbers, requested = self._required(cycle.shape)
        enough: BoolArray = np.logical_and.reduce(self.table.free[:, rows][numbers] >= requested[:, None])
        return enough

    def reasons(self, cycle: Cycle, rows: IntArray) -> Mapping[str, int]:
        numbers, requested = self._required(cycle.shape)
        short = (self.table.free[:, rows][numbers] < requested[:, None]).sum(axis=1)
        names = {number: name for name, number in self.table.resources.items()}
        counts = {names[number]: int(count) for number, count in zip(numbers.tolist(), short, strict=True) if count}
        return {"Too many pods" if name == PODS else f"Insufficient {name}": count for name, count in counts.items()}

    def curable(self, cycle: Cycle, rows: IntArray) -> BoolArray:
        """Tells which nodes would have enough if they were empty."""
        numbers, requested = self._required(cycle.shape)
        enough: BoolArray = np.logical_and.reduce(self.table.allocatable[:, rows][numbers] >= requested[:, None])
        return enough

    def score(self, cycle: Cycle, rows: Rows) -> IntArray:
        return self._strategy(self._compared.usage(self.table, cycle.shape, rows, defaults=True))

    def hint(self, shape: Shape, event: ClusterEvent) -> bool:
        """Lets a node help if the pod would fit on it while it is empty, and, if it is not new, if it has grown."""
        if not isinstance(event.new, Node):
            return True
        allocatable = amounts(event.new.status.allocatable)
        requests = {name: value for name, value in shape.requests.items() if not self._ignores(name)}
        if any(value > allocatable.get(name, 0) for name, value in requests.items()):
            return False
        if not isinstance(event.old, Node):
            return True
        before = amounts(event.old.status.allocatable)
        return any(allocatable.get(name, 0) > before.get(name, 0) for name in requests)

    def _required(self, shape: Shape) -> tuple[IntArray, IntArray]:
        numbers, requested = self.table.vector(shape)
        if not self._ignored and not self._ignored_groups:
            return numbers, requested
        ignored = [number for name, number in self.table.resources.items() if self._ignores(name)]
        counts = ~np.isin(numbers, ignored)
        return numbers[counts], requested[counts]

    def _ignores(self, resource: str) -> bool:
        group, slash, _ = resource.partition("/")
        return bool(slash) and (resource in self._ignored or group in self._ignored_groups)


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
