"""NodeResourcesBalancedAllocation: prefers nodes whose CPU and memory would be used to the same degree."""

from __future__ import annotations

import numpy as np

from apimachinery.errors import FieldError
from scheduler.framework import MAX_SCORE, SKIP, Cycle, FloatArray, Handle, Plugin, PluginArguments, PluginSpec, Skip
from scheduler.plugins.resources._usage import ResourceSpec, resource_errors, resource_weights, usage
from scheduler.state.table import Rows


class NodeResourcesBalancedAllocationArgs(PluginArguments):
    """The plugin's arguments."""

    resources: list[ResourceSpec] | None = None
    """What is to be balanced; each has the weight 1. Default: cpu and memory."""

    def errors(self) -> list[FieldError]:
        return resource_errors(self.resources, "resources", heaviest=1)


class NodeResourcesBalancedAllocation(Plugin):
    def __init__(self, name: str, handle: Handle) -> None:
        super().__init__(name, handle)
        self._weights = resource_weights(self.args(NodeResourcesBalancedAllocationArgs).resources)

    def pre_score(self, cycle: Cycle) -> Skip | None:
        """Skips a pod that asks for nothing: it changes no balance."""
        return None if any(cycle.shape.requests.get(name) for name in self._weights) else SKIP

    def score(self, cycle: Cycle, rows: Rows) -> FloatArray:
        """Takes the standard deviation of the used shares off MAX_SCORE; one resource is always in balance."""
        known = usage(self.table, self._weights, cycle.shape, rows, defaults=False)
        present = (known.capacity > 0) & (known.weights > 0)
        share = np.where(present, np.minimum(known.used / np.maximum(known.capacity, 1), 1.0), 0.0)
        if len(share) == 2:
            deviation = np.where(present[0] & present[1], np.abs(share[0] - share[1]) / 2, 0.0)
        else:
            count = np.maximum(present.sum(axis=0), 1)
            distance = np.where(present, share - share.sum(axis=0) / count, 0.0)
            deviation = np.sqrt((distance**2).sum(axis=0) / count)
        score: FloatArray = np.floor((1.0 - deviation) * MAX_SCORE)
        return score


PLUGIN = PluginSpec(
    "NodeResourcesBalancedAllocation",
    NodeResourcesBalancedAllocation,
    weight=1,
    order=61,
    arguments=NodeResourcesBalancedAllocationArgs,
)
