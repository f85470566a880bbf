"""NodeResourcesBalancedAllocation: prefers nodes whose CPU and memory would be used to the same degree."""

from __future__ import annotations

import numpy as np

from scheduler.framework import MAX_SCORE, SKIP, Cycle, FloatArray, Plugin, PluginSpec, Skip
from scheduler.state.resources import CPU, MEMORY
from scheduler.state.table import Rows


class NodeResourcesBalancedAllocation(Plugin):
    def pre_score(self, cycle: Cycle) -> Skip | None:
        """Skips a pod that asks for nothing: it changes no balance."""
        requests = cycle.shape.requests
        return None if requests.get(CPU) or requests.get(MEMORY) else SKIP

    def score(self, cycle: Cycle, rows: Rows) -> FloatArray:
        """Takes the deviation of the used shares off MAX_SCORE; a node with only one of the two is balanced."""
        requests = cycle.shape.requests
        requested = np.array(((requests.get(CPU, 0),), (requests.get(MEMORY, 0),)))
        capacity = self.table.allocatable[:2, rows]
        used = capacity - self.table.free[:2, rows] + requested
        share = np.minimum(used / np.maximum(capacity, 1), 1.0)
        deviation = np.abs(share[0] - share[1]) / 2
        score: FloatArray = np.floor((1.0 - deviation) * MAX_SCORE)
        return np.where((capacity[0] > 0) & (capacity[1] > 0), score, MAX_SCORE)


PLUGIN = PluginSpec("NodeResourcesBalancedAllocation", NodeResourcesBalancedAllocation, weight=1, order=61)
