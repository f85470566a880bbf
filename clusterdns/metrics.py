"""Counts of queries, under CoreDNS' names. A query costs a dict look-up and two sums here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from clusterdns.message import RCODES, Query, Reply, type_name
from componentbase.metrics import Latencies

SERVER, VIEW = "dns://:53", ""
COUNTED_TYPES = frozenset((1, 2, 5, 6, 12, 15, 16, 28, 33, 35, 43, 46, 48, 64, 65, 255))
"""Others count as "other", or clients could make as many time series as they like."""

Labels = tuple[str, ...]
"""Zone, protocol, family, type, response code and plugin."""


def labels(zone: str, protocol: str, family: str, query: Query | None, reply: Reply) -> Labels:
    type = type_name(query.type) if query and query.type in COUNTED_TYPES else "other"
    return zone, protocol, family, type, RCODES.get(reply.rcode, str(reply.rcode)), reply.plugin


class QueryMetrics(Collector):
    """Renders what the servers have counted."""

    def __init__(self, cache_entries: Callable[[], Iterable[tuple[str, int, int]]]) -> None:
        self.times: Latencies[Labels] = Latencies()
        self.dropped = 0
        """Queries from outside of the cluster, which get no answer."""
        self._cache_entries = cache_entries

    def collect(self) -> Iterable[Metric]:
        requests: Counter[Labels] = Counter()
        responses: Counter[Labels] = Counter()
        for (zone, protocol, family, type, rcode, plugin), count in self.times.counts().items():
            requests[zone, protocol, family, type] += count
            responses[zone, rcode, plugin] += count
        base = ["server", "zone", "view"]
        asked = CounterMetricFamily("coredns_dns_requests", "Queries.", labels=[*base, "proto", "family", "type"])
        for (zone, *rest), count in requests.items():
            asked.add_metric([SERVER, zone, VIEW, *rest], count)
        answered = CounterMetricFamily("coredns_dns_responses", "Answers.", labels=[*base, "rcode", "plugin"])
        for (zone, *rest), count in responses.items():
            answered.add_metric([SERVER, zone, VIEW, *rest], count)
        yield from (asked, answered)
        merged = self.times.merged(lambda key: (SERVER, key[0], VIEW))
        seconds = HistogramMetricFamily("coredns_dns_request_duration_seconds", "Time of a query.", labels=base)
        merged.add_to(seconds)
        yield seconds
        yield CounterMetricFamily("kube_dns_dropped_queries", "Queries from outside of the cluster.", self.dropped)
        entries = GaugeMetricFamily(
            "coredns_cache_entries", "Kept answers.", labels=["server", "type", "zones", "view"]
        )
        for zone, success, denial in self._cache_entries():
            entries.add_metric([SERVER, "success", zone, VIEW], success)
            entries.add_metric([SERVER, "denial", zone, VIEW], denial)
        yield entries
