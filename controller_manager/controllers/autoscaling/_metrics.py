"""Counts the work of the controller of autoscalers, in the names that upstream's dashboards use."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

_BUCKETS = tuple(0.001 * 2**power for power in range(16))

RECONCILIATIONS = Counter(
    "horizontal_pod_autoscaler_controller_reconciliations",
    "Looks at autoscalers: the action is scale_up, scale_down or none, the error spec, internal or none.",
    ["action", "error"],
)
RECONCILIATION_SECONDS = Histogram(
    "horizontal_pod_autoscaler_controller_reconciliation_duration_seconds",
    "Time that a look at an autoscaler took.",
    ["action", "error"],
    buckets=_BUCKETS,
)
COMPUTATIONS = Counter(
    "horizontal_pod_autoscaler_controller_metric_computation",
    "Metrics that were read and computed.",
    ["action", "error", "metric_type"],
)
COMPUTATION_SECONDS = Histogram(
    "horizontal_pod_autoscaler_controller_metric_computation_duration_seconds",
    "Time that a metric took.",
    ["action", "error", "metric_type"],
    buckets=_BUCKETS,
)


def action(current: int, wanted: int) -> str:
    if wanted == current:
        return "none"
    return "scale_up" if wanted > current else "scale_down"
