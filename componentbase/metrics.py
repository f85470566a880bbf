"""Metrics of the daemons, in the names that upstream's dashboards use.

A metric is a module constant beside the code it measures; this module renders them and offers upstream's buckets.
"""

from __future__ import annotations

from prometheus_client import REGISTRY, Gauge
from prometheus_client.exposition import generate_latest

from componentbase.flags import version

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

LATENCY_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds; for requests and reconciles."""

BUILD_INFO = Gauge("kubernetes_build_info", "Always 1; the version is a label.", ["git_version"])


def render() -> bytes:
    """Renders all metrics of this process, its CPU time, memory and open files included, as Prometheus text."""
    BUILD_INFO.labels(version()).set(1)
    return generate_latest(REGISTRY)
