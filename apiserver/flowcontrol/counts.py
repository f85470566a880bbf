"""What has been let through and refused, for metrics: counting is a dict update."""

from __future__ import annotations

from apiserver.flowcontrol.classify import Flow
from componentbase.metrics import Latencies


class Counts:
    """Keys have names of levels and schemas, which are few."""

    def __init__(self) -> None:
        self.dispatches: dict[tuple[str, str], int] = {}
        """(level, schema) -> requests."""
        self.rejections: dict[tuple[str, str, str], int] = {}
        """(level, schema, reason) -> requests."""
        self.waits: Latencies[tuple[str, str]] = Latencies()
        """(level, schema) -> the times of those that waited."""

    def dispatched(self, flow: Flow, waited_seconds: float = 0.0) -> None:
        key = (flow.level, flow.schema)
        self.dispatches[key] = self.dispatches.get(key, 0) + 1
        if waited_seconds:
            self.waits.observe(key, waited_seconds)

    def rejected(self, flow: Flow, reason: str) -> None:
        key = (flow.level, flow.schema, reason)
        self.rejections[key] = self.rejections.get(key, 0) + 1
