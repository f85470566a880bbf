"""Metrics of the daemons, in the names that upstream's dashboards use.

A metric is a module constant beside the code it measures; this module renders them and offers upstream's buckets.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Generic, TypeVar

from prometheus_client import REGISTRY, Gauge
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.exposition import generate_latest

from componentbase.flags import version

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

LATENCY_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds; for requests and reconciles."""

BUILD_INFO = Gauge("kubernetes_build_info", "Always 1; the version is a label.", ["git_version"])

K = TypeVar("K", bound=tuple[str, ...])


class Latencies(Generic[K]):
    """Times by label values, for what counts itself: a time costs a dict lookup and two sums."""

    def __init__(self) -> None:
        self._rows: dict[K, list[float]] = {}
        """How many times fell into each bucket; last, the sum of seconds."""

    def observe(self, key: K, seconds: float) -> None:
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = [0.0] * (len(LATENCY_BUCKETS) + 2)
        row[bisect_left(LATENCY_BUCKETS, seconds)] += 1
        row[-1] += seconds

    def counts(self) -> dict[K, int]:
        """Returns how many times there are by label values."""
        return {key: int(sum(row[:-1])) for key, row in self._rows.items()}

    def merged(self, group: Callable[[K], K]) -> Latencies[K]:
        """Returns the times under fewer label values."""
        merged: Latencies[K] = Latencies()
        for key, row in self._rows.items():
            other = merged._rows.get(group(key), [0.0] * len(row))
            merged._rows[group(key)] = [a + b for a, b in zip(row, other, strict=True)]
        return merged

    def add_to(self, family: HistogramMetricFamily) -> None:
        """Adds all times to a family, whose labels are those of the keys."""
        for key, row in self._rows.items():
            so_far, buckets = 0.0, []
            for bound, count in zip((*map(str, LATENCY_BUCKETS), "+Inf"), row, strict=False):
                so_far += count
                buckets.append((bound, so_far))
            family.add_metric(list(key), buckets, row[-1])


def render() -> bytes:
    """Renders all metrics of this process, its CPU time, memory and open files included, as Prometheus text."""
    BUILD_INFO.labels(version()).set(1)
    return generate_latest(REGISTRY)
