"""Counts probes, for /metrics/probes. The series of a container go with its pod."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import generate_latest

from kubeapi.core.pod.model import Pod
from kubelet.probe.state import ProbeResult

REGISTRY = CollectorRegistry(auto_describe=False)
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
RESULTS = {"success": "successful", "warning": "successful", "failure": "failed", "error": "unknown"}

PROBES = Counter(
    "prober_probe",
    "[BETA] Cumulative number of a liveness, readiness or startup probe for a container by result.",
    ["probe_type", "result", "container", "pod", "namespace", "pod_uid"],
    registry=REGISTRY,
)
SECONDS = Histogram(
    "prober_probe_duration_seconds",
    "[ALPHA] Duration in seconds for a probe response.",
    ["probe_type", "container", "pod", "namespace"],
    buckets=BUCKETS,
    registry=REGISTRY,
)


def observe(pod: Pod, container: str, kind: str, result: ProbeResult, seconds: float) -> None:
    where = (container, pod.name, pod.namespace)
    PROBES.labels(kind.capitalize(), RESULTS[result.outcome], *where, pod.metadata.uid or "").inc()
    SECONDS.labels(kind.capitalize(), *where).observe(seconds)


def forget(pod: Pod, container: str) -> None:
    PROBES.remove_by_labels({"container": container, "pod_uid": pod.metadata.uid or ""})
    SECONDS.remove_by_labels({"container": container, "pod": pod.name, "namespace": pod.namespace})


def render_probes() -> bytes:
    return generate_latest(REGISTRY)
