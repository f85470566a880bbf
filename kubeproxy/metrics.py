"""kube-proxy's metrics, in upstream's names; a family is "IPv4" or "IPv6"."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from componentbase.metrics import LATENCY_BUCKETS
from kubeproxy.settings import Family

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
