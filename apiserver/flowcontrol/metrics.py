"""Flow control's figures under upstream's names, read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from apiserver.flowcontrol.control import FlowControl, Level

PREFIX = "apiserver_flowcontrol_"


class FlowMetrics(Collector):
    """A collector for a registry."""

    def __init__(self, control: FlowControl) -> None:
        self._control = control

    def collect(self) -> Iterator[Any]:
        yield from self._counters()
        yield self._waits()
        gauges: dict[str, tuple[str, Callable[[Level], float]]] = {
            "nominal_limit_seats": ("The level's own seats.", lambda level: level.bounds.nominal),
            "lower_limit_seats": ("The seats that the level never lends.", lambda level: level.bounds.lower),
            "upper_limit_seats": ("The most seats that the level may have.", lambda level: level.bounds.upper),
            "current_limit_seats": ("The seats that the level has now.", _current_limit),
            "current_executing_seats": ("Seats in use.", lambda level: level.queues.seats_in_use),
            "current_executing_requests": ("Requests being served.", lambda level: level.queues.executing),
            "current_inqueue_requests": ("Requests that wait.", lambda level: level.queues.waiting),
            "demand_seats_smoothed": ("The seats that the level wants.", lambda level: level.smooth_demand),
        }
        for name, (text, value) in gauges.items():
            gauge = GaugeMetricFamily(PREFIX + name, text, labels=["priority_level"])
            for level in self._control.levels.values():
                gauge.add_metric([level.name], value(level))
            yield gauge

    def _counters(self) -> Iterator[CounterMetricFamily]:
        counts, labels = self._control.counts, ["priority_level", "flow_schema"]
        dispatched = CounterMetricFamily(PREFIX + "dispatched_requests", "Requests that were served.", labels=labels)
        for key, requests in counts.dispatches.items():
            dispatched.add_metric(list(key), requests)
        yield dispatched
        text = "Requests that were refused or gave up."
        rejected = CounterMetricFamily(PREFIX + "rejected_requests", text, labels=[*labels, "reason"])
        for full_key, requests in counts.rejections.items():
            rejected.add_metric(list(full_key), requests)
        yield rejected

    def _waits(self) -> HistogramMetricFamily:
        labels = ["priority_level", "flow_schema"]
        waits = HistogramMetricFamily(PREFIX + "request_wait_duration_seconds", "Time in a queue.", labels=labels)
        self._control.counts.waits.add_to(waits)
        return waits


def _current_limit(level: Level) -> int:
    limit = level.queues.limit
    return level.bounds.nominal if limit is None else limit
