"""NodePorts: keeps two pods from having the same port of a node."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scheduler.events import ASSIGNED_POD, NODE, Change, ClusterEvent
from scheduler.framework import SKIP, Cycle, Plugin, PluginSpec, Skip
from scheduler.state.shape import IntArray, Shape
from scheduler.state.table import BoolArray, Rows
from scheduler.views.pod import Pod

ANY_ADDRESS = "0.0.0.0"


def conflict(address: str, other: str) -> bool:
    """Tells whether the same port can't be had on both addresses; ANY_ADDRESS collides with each."""
    return address == other or ANY_ADDRESS in (address, other)


class NodePorts(Plugin):
    def pre_filter(self, cycle: Cycle) -> Skip | None:
        return None if cycle.shape.host_ports else SKIP

    def filter(self, cycle: Cycle, rows: Rows) -> BoolArray:
        free = np.ones(len(self.table.valid), np.bool_)
        for protocol, address, number in cycle.shape.host_ports:
            for row, addresses in self.table.port_users.get((protocol, number), {}).items():
                if any(conflict(address, other) for other in addresses):
                    free[row] = False
        return free[rows]

    def reasons(self, cycle: Cycle, rows: IntArray) -> Mapping[str, int]:
        return {"node(s) didn't have free ports for the requested pod ports": len(rows)}

    def hint(self, shape: Shape, event: ClusterEvent) -> bool:
        """Lets a pod that went help if it had one of the ports."""
        if event.resource != ASSIGNED_POD or not isinstance(event.old, Pod):
            return True
        freed = self.handle.cache.shapes.of(event.old).host_ports
        return any(
            (protocol, number) == (freed_protocol, freed_number) and conflict(address, freed_address)
            for protocol, address, number in shape.host_ports
            for freed_protocol, freed_address, freed_number in freed
        )


PLUGIN = PluginSpec(
    "NodePorts",
    NodePorts,
    order=50,
    requeue_on={NODE: Change.ADD, ASSIGNED_POD: Change.DELETE},
)
