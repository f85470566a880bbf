"""Measures the scheduler, in upstream's names."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from prometheus_client import REGISTRY, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from componentbase.metrics import LATENCY_BUCKETS

SCHEDULED, UNSCHEDULABLE, ERROR = "scheduled", "unschedulable", "error"

_SECONDS = Histogram(
    "scheduler_scheduling_attempt_duration_seconds", "Time of one attempt, without binding.", ["result"],
    buckets=(0.00005, 0.0001, 0.00025, 0.0005, *LATENCY_BUCKETS),
)  # fmt: skip
_ATTEMPTS = Counter("scheduler_schedule_attempts", "Attempts to schedule pods.", ["result"])
POD_SECONDS = Histogram(
    "scheduler_pod_scheduling_sli_duration_seconds", "From when a pod was first seen until it was bound.",
    buckets=LATENCY_BUCKETS,
)  # fmt: skip

PREEMPTION_ATTEMPTS = Counter("scheduler_preemption_attempts", "Searches for pods to preempt.")
PREEMPTION_VICTIMS = Histogram(
    "scheduler_preemption_victims", "Number of victims of one preemption.", buckets=(1, 2, 4, 8, 16, 32, 64)
)

_BY_RESULT = {
    result: (_SECONDS.labels(result), _ATTEMPTS.labels(result)) for result in (SCHEDULED, UNSCHEDULABLE, ERROR)
}


def attempted(result: str, started: float) -> None:
    """Counts and times one attempt; `started` comes from `time.perf_counter`."""
    seconds, attempts = _BY_RESULT[result]
    seconds.observe(time.perf_counter() - started)
    attempts.inc()


class _PendingPods(Collector):
    def __init__(self, counts: Callable[[], dict[str, int]]) -> None:
        self.counts = counts

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily("scheduler_pending_pods", "Pods that wait, by where.", labels=["queue"])
        for place, count in self.counts().items():
            family.add_metric([place], count)
        yield family


_pending = _PendingPods(dict)
REGISTRY.register(_pending)


def watch_queue(counts: Callable[[], dict[str, int]]) -> None:
    """Has the queue counted when the metrics are asked for."""
    _pending.counts = counts
