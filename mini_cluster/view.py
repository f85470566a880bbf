"""What `mini-cluster status` shows."""

from __future__ import annotations

from dataclasses import dataclass

from mini_cluster.supervision.keeper import READY, ComponentStatus


@dataclass(frozen=True)
class NodeView:
    """A worker host as `status` and `node list` show it."""

    name: str
    address: str
    pod_cidr: str
    """The ranges of its pods' addresses; "" while it has none, or the API server can't be asked."""
    stopped: bool
    disconnected: bool
    ready: str
    """The Ready condition of the Node object: "True", "False", "Unknown"; "" when the API server can't be asked."""


@dataclass(frozen=True)
class ClusterView:
    """The cluster as `status` shows it."""

    up: bool
    """Whether the supervisor runs."""
    server: str
    components: list[ComponentStatus]
    nodes: list[NodeView]

    @property
    def healthy(self) -> bool:
        """Tells whether everything that should run is ready, and every node, too."""
        return (
            self.up
            and all(status.state == READY for status in self.components)
            and all(node.ready == "True" and not node.stopped for node in self.nodes)
        )
