"""Makes the metrics at /metrics/resource: CPU time and memory, of which autoscaling is made. Pure.

Source: Kubernetes documentation, "Node metrics data" and "Kubernetes Metrics Reference".
"""

from __future__ import annotations

from kubelet.stats.cgroups import CoreUsage
from kubelet.stats.exposition import Exposition, label_text
from kubelet.stats.figures import Snapshot

NANO = 1e9


def resource_metrics(snapshot: Snapshot | None) -> bytes:
    """Renders the metrics; None: the figures could not be collected."""
    out = Exposition()
    if snapshot is not None:
        _usage(out, "node", "", snapshot.node.host.core, snapshot.node.time)
        for pod in snapshot.pods:
            of_pod = {"namespace": pod.pod.namespace, "pod": pod.pod.name}
            if pod.groups():
                _usage(out, "pod", label_text(of_pod), pod.core(), pod.time)
            for item in pod.containers:
                labels = label_text({**of_pod, "container": item.status.name})
                _usage(out, "container", labels, item.group.core, item.group.time)
                help = "[STABLE] Start time of the container since unix epoch in seconds"
                out.add("container_start_time_seconds", "gauge", help, labels, item.status.started_at)
    help = "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise"
    out.add("resource_scrape_error", "gauge", help, "", 0 if snapshot is not None else 1)
    return out.render()


def _usage(out: Exposition, what: str, labels: str, core: CoreUsage, time: float) -> None:
    rows: tuple[tuple[str, str, str, float | int], ...] = (
        (
            "cpu_usage_seconds_total",
            "counter",
            f"[STABLE] Cumulative cpu time consumed by the {what} in core-seconds",
            core.cpu_nanoseconds / NANO,
        ),
        (
            "memory_working_set_bytes",
            "gauge",
            f"[STABLE] Current working set of the {what} in bytes",
            core.working_set_bytes,
        ),
        (
            "swap_usage_bytes",
            "gauge",
            f"[ALPHA] Current amount of the {what} swap usage in bytes. Reported only on non-windows systems",
            core.swap_bytes,
        ),
    )
    for name, kind, help, value in rows:
        out.add(f"{what}_{name}", kind, help, labels, value, time)
