"""kube-proxy's metrics, in upstream's names; a family is "IPv4" or "IPv6"."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

from componentbase.metrics import LATENCY_BUCKETS
from kubeproxy.settings import FAMILIES, Family
from kubeproxy.topology import ServicePort

_PROGRAMMING_BUCKETS = (0.25, 0.5, *range(1, 60), *range(60, 300, 5), 300)

SYNC = Histogram(
    "kubeproxy_sync_proxy_rules_duration_seconds", "Time of one sync.", ["ip_family"], buckets=LATENCY_BUCKETS
)
FULL_SYNC = Histogram(
    "kubeproxy_sync_full_proxy_rules_duration_seconds",
    "Time of one sync that checked all rules.",
    ["ip_family"],
    buckets=LATENCY_BUCKETS,
)
PARTIAL_SYNC = Histogram(
    "kubeproxy_sync_partial_proxy_rules_duration_seconds",
    "Time of one sync that wrote changes alone.",
    ["ip_family"],
    buckets=LATENCY_BUCKETS,
)
PROGRAMMING = Histogram(
    "kubeproxy_network_programming_duration_seconds",
    "Time from a change of a pod or Service to the rules that follow it.",
    ["ip_family"],
    buckets=_PROGRAMMING_BUCKETS,
)
LAST_SYNC = Gauge(
    "kubeproxy_sync_proxy_rules_last_timestamp_seconds", "Unix time of the last sync that succeeded.", ["ip_family"]
)
LAST_QUEUED = Gauge(
    "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds", "Unix time of the last change seen.", ["ip_family"]
)
ENDPOINT_CHANGES = Counter(
    "kubeproxy_sync_proxy_rules_endpoint_changes_total", "Changes of EndpointSlices.", ["ip_family"]
)
SERVICE_CHANGES = Counter("kubeproxy_sync_proxy_rules_service_changes_total", "Changes of Services.", ["ip_family"])
ENDPOINT_CHANGES_PENDING = Gauge(
    "kubeproxy_sync_proxy_rules_endpoint_changes_pending", "Changes of EndpointSlices not yet synced.", ["ip_family"]
)
SERVICE_CHANGES_PENDING = Gauge(
    "kubeproxy_sync_proxy_rules_service_changes_pending", "Changes of Services not yet synced.", ["ip_family"]
)
NO_LOCAL_ENDPOINTS = Gauge(
    "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
    "Service ports with policy Local and no endpoint on this node, but on others.",
    ["ip_family", "traffic_policy"],
)
FAILURES = {
    "iptables": Counter(
        "kubeproxy_sync_proxy_rules_iptables_restore_failures_total", "Syncs that failed.", ["ip_family"]
    ),
    "nftables": Counter("kubeproxy_sync_proxy_rules_nftables_sync_failures_total", "Syncs that failed.", ["ip_family"]),
}
HEALTHZ = Counter("kubeproxy_proxy_healthz_total", "Answers of /healthz.", ["code"])
LIVEZ = Counter("kubeproxy_proxy_livez_total", "Answers of /livez.", ["code"])


def label(family: Family) -> str:
    return f"IPv{family}"


def count_change(changes: Counter, pending: Gauge) -> None:
    """Counts a change that was seen, for either family."""
    for family in FAMILIES:
        changes.labels(label(family)).inc()
        pending.labels(label(family)).inc()


class LocalEndpointCounts:
    """Keeps `NO_LOCAL_ENDPOINTS` of one family, by the changes of Services."""

    def __init__(self, family: Family) -> None:
        self._gauges = [NO_LOCAL_ENDPOINTS.labels(label(family), policy) for policy in ("internal", "external")]
        self._of_service: dict[str, tuple[int, int]] = {}

    def update(self, key: str, ports: Iterable[ServicePort]) -> None:
        served = [port for port in ports if port.has_endpoints]
        internal = sum(port.internal_local and not port.internal_endpoints for port in served)
        external = sum(
            port.external_local and port.externally_accessible and not port.external_endpoints for port in served
        )
        before = self._of_service.pop(key, (0, 0))
        if internal or external:
            self._of_service[key] = internal, external
        for gauge, now, then in zip(self._gauges, (internal, external), before, strict=True):
            gauge.inc(now - then)
