"""Measures of the server's requests, under upstream's names: counting is a dict update."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from apiserver.pipeline.inflight import InFlight
from componentbase.metrics import Latencies

Key = tuple[str, str, str, str, str]
"""verb, group, version, resource, subresource: bounded, for only served resources get their names here."""


class RequestMetrics:
    """A collector in a registry of its own: a process may have several servers."""

    def __init__(self, inflight: InFlight) -> None:
        self._inflight = inflight
        self._codes: dict[tuple[Key, int], int] = {}
        self._durations: Latencies[Key] = Latencies()
        self.long_running = 0
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def add(self, collector: Collector) -> None:
        """Shows further figures of this server beside its requests."""
        self._registry.register(collector)

    def observe(self, key: Key, code: int, seconds: float) -> None:
        counted = (key, code)
        self._codes[counted] = self._codes.get(counted, 0) + 1
        self._durations.observe(key, seconds)

    def collect(self) -> Iterator[Any]:
        names = ["verb", "group", "version", "resource", "subresource"]
        total = CounterMetricFamily(
            "apiserver_request", "Requests by verb, resource and code.", labels=[*names, "code"]
        )
        for (key, code), requests in self._codes.items():
            total.add_metric([*key, str(code)], requests)
        yield total
        durations = HistogramMetricFamily(
            "apiserver_request_duration_seconds", "Time to answer; watches excluded.", labels=names
        )
        self._durations.add_to(durations)
        yield durations
        current = GaugeMetricFamily(
            "apiserver_current_inflight_requests", "Requests being worked on.", labels=["request_kind"]
        )
        current.add_metric(["readOnly"], self._inflight.reads)
        current.add_metric(["mutating"], self._inflight.writes)
        yield current
        yield GaugeMetricFamily("apiserver_longrunning_requests", "Open watches, logs and execs.", self.long_running)

    def render(self) -> bytes:
        """As Prometheus text."""
        return generate_latest(self._registry)
