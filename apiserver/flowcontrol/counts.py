"""What has been let through and refused, for metrics: counting is a dict update."""

from __future__ import annotations

from bisect import bisect_left

from apiserver.flowcontrol.classify import Flow
from componentbase.metrics import LATENCY_BUCKETS


class Counts:
    """Keys have names of levels and schemas, which are few."""

    def __init__(self) -> None:
        self.dispatches: dict[tuple[str, str], int] = {}
        """(level, schema) -> requests."""
        self.rejections: dict[tuple[str, str, str], int] = {}
        """(level, schema, reason) -> requests."""
        self.waits: dict[tuple[str, str], list[float]] = {}
        """(level, schema) -> how many of those that waited fell into each latency bucket; last, the sum of seconds."""

    def dispatched(self, flow: Flow, waited_seconds: float = 0.0) -> None:
        key = (flow.level, flow.schema)
        self.dispatches[key] = self.dispatches.get(key, 0) + 1
        if waited_seconds:
            row = self.waits.get(key)
            if row is None:
                row = self.waits[key] = [0.0] * (len(LATENCY_BUCKETS) + 2)
            row[bisect_left(LATENCY_BUCKETS, waited_seconds)] += 1
            row[-1] += waited_seconds

    def rejected(self, flow: Flow, reason: str) -> None:
        key = (flow.level, flow.schema, reason)
        self.rejections[key] = self.rejections.get(key, 0) + 1
