"""Shows how far the ranges of addresses and node ports are used up, under upstream's names."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from apiserver.registry.claims.allocator import Allocator


class ClaimMetrics(Collector):
    def __init__(self, addresses: Collection[Allocator], ports: Allocator) -> None:
        self._addresses, self._ports = addresses, ports

    def collect(self) -> Iterator[Any]:
        yield from _families("kube_apiserver_clusterip_allocator", "ips", self._addresses, ["cidr"])
        yield from _families("kube_apiserver_nodeport_allocator", "ports", [self._ports], [])


def _families(prefix: str, what: str, allocators: Collection[Allocator], labels: list[str]) -> Iterator[Any]:
    """`labels` is ["cidr"] where there are several ranges."""
    allocated = GaugeMetricFamily(f"{prefix}_allocated_{what}", "How many of the range are claimed.", labels=labels)
    available = GaugeMetricFamily(f"{prefix}_available_{what}", "How many of the range are free.", labels=labels)
    claims = CounterMetricFamily(f"{prefix}_allocation", "Claims that were made.", labels=[*labels, "scope"])
    errors = CounterMetricFamily(f"{prefix}_allocation_errors", "Claims that failed.", labels=[*labels, "scope"])
    for allocator in allocators:
        taken = allocator.taken()
        for pool in allocator.pools():
            used = sum(map(pool.contains, taken))
            allocated.add_metric([pool.shown] if labels else [], used)
            available.add_metric([pool.shown] if labels else [], pool.size - used)
        for family, counts in ((claims, allocator.claims), (errors, allocator.errors)):
            for (shown, scope), number in counts.items():
                family.add_metric([shown, scope] if labels else [scope], number)
    yield from (allocated, available, claims, errors)
