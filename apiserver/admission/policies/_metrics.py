"""Counts what policies decide, and how long that takes, under upstream's names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from componentbase.metrics import Latencies

LABELS = ["policy", "policy_binding", "error_type", "enforcement_action"]
NO_ERROR = "no_error"
Key = tuple[str, str, str, str]


class PolicyMetrics(Collector):
    """`prefix` is "apiserver_validating_admission_policy" or its counterpart."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._checks: Counter[Key] = Counter()
        self._seconds: Latencies[Key] = Latencies()

    def observe(self, policy: str, binding: str, error: str, action: str, seconds: float) -> None:
        key = policy, binding, error, action
        self._checks[key] += 1
        self._seconds.observe(key, seconds)

    def collect(self) -> Iterator[Any]:
        checks = CounterMetricFamily(
            f"{self._prefix}_check", "Requests that a policy was evaluated for.", labels=LABELS
        )
        for key, count in self._checks.items():
            checks.add_metric(list(key), count)
        yield checks
        durations = HistogramMetricFamily(
            f"{self._prefix}_check_duration_seconds", "Time to evaluate a policy.", labels=LABELS
        )
        self._seconds.add_to(durations)
        yield durations
