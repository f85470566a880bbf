"""NodeResourcesBalancedAllocation: prefers nodes whose CPU and memory would be used to the same degree."""

from __future__ import annotations

import numpy as np

from apimachinery.errors import FieldError
from scheduler.framework import MAX_SCORE, SKIP, Cycle, FloatArray, Handle, Plugin, PluginArguments, PluginSpec, Skip
from scheduler.plugins.resources._usage import ComparedResources, ResourceSpec, resource_errors
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
        self._compared = ComparedResources(self.args(NodeResourcesBalancedAllocationArgs).resources)

    def pre_score(self, cycle: Cycle) -> Skip | None:
        """Skips a pod that asks for nothing: it changes no balance."""
        return None if any(map(cycle.shape.requests.get, self._compared.weights)) else SKIP

    def score(self, cycle: Cycle, rows: Rows) -> FloatArray:
        """Takes the standard deviation of the used shares off MAX_SCORE; one resource is always in balance."""
        usage = self._compared.usage(self.table, cycle.shape, rows, defaults=False)
        share = np.minimum(usage.used / np.maximum(usage.capacity, 1), 1.0)
        present = usage.capacity > 0
        if self._compared.are_core:
            deviation = np.abs(share[0] - share[1]) / 2 * (present[0] & present[1])
        else:
            count = np.maximum(np.add.reduce(present), 1)
            mean = np.add.reduce(share * present) / count
            deviation = np.sqrt(np.add.reduce((share - mean) ** 2 * present) / count)
        score: FloatArray = np.floor((1.0 - deviation) * MAX_SCORE)
        return score


PLUGIN = PluginSpec(
    "NodeResourcesBalancedAllocation",
    NodeResourcesBalancedAllocation,
    weight=1,
    order=61,
    arguments=NodeResourcesBalancedAllocationArgs,
)
