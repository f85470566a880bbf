"""NodeName: sends a pod that names its node there or nowhere."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scheduler.events import NODE, Change
from scheduler.framework import SKIP, Cycle, Plugin, PluginSpec, Skip
from scheduler.state.shape import IntArray
from scheduler.state.table import BoolArray, Rows


class NodeName(Plugin):
    counts_pods = False

    local = False  # the name is not in the shape, so that pods keep theirs once they have a node

    def pre_filter(self, cycle: Cycle) -> Skip | None:
        return None if cycle.pod.spec.nodeName else SKIP

    def filter(self, cycle: Cycle, rows: Rows) -> BoolArray:
        mask = np.zeros(len(self.table.valid), np.bool_)
        row = self.table.rows.get(cycle.pod.spec.nodeName or "")
        if row is not None:
            mask[row] = True
        return mask[rows]

    def reasons(self, cycle: Cycle, rows: IntArray) -> Mapping[str, int]:
        return {"node(s) didn't match the requested node name": len(rows)}


PLUGIN = PluginSpec("NodeName", NodeName, order=20, requeue_on={NODE: Change.ADD})
