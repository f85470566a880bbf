"""Answers plain HTTP: `/healthz` and `/livez` for load balancers, `/metrics` and `/proxyMode` on loopback."""

from __future__ import annotations

import orjson

from apimachinery.times import format_time
from componentbase.clock import Clock
from componentbase.health import HealthHandler
from kubeproxy import metrics
from kubeproxy.node import ThisNode
from kubeproxy.proxier import Proxier
from kubeproxy.settings import Mode

LAST_UPDATED, NOW, NODE_ELIGIBLE = "lastUpdated", "currentTime", "nodeEligible"


class HealthzHandler(HealthHandler):
    """Answers as upstream does: 503 when syncs have stopped, and on `/healthz` also when the node is about to go."""

    def __init__(self, proxier: Proxier, node: ThisNode, clock: Clock) -> None:
        super().__init__()
        self._proxier, self._node, self._clock = proxier, node, clock

    def respond(self, path: str, query: bytes, verified: bool) -> tuple[int, str, bytes]:
        if path not in ("/healthz", "/livez"):
            return 404, "text/plain; charset=utf-8", b"404 page not found\n"
        well, now = not self._proxier.check(), self._clock.now()
        body: dict[str, object] = {
            LAST_UPDATED: format_time(now if well else self._proxier.synced_at),
            NOW: format_time(now),
        }
        if path == "/healthz":
            body[NODE_ELIGIBLE] = self._node.eligible
            well = well and self._node.eligible
        status = 200 if well else 503
        (metrics.HEALTHZ if path == "/healthz" else metrics.LIVEZ).labels(str(status)).inc()
        return status, "application/json", orjson.dumps(body)


class MetricsHandler(HealthHandler):
    def __init__(self, proxier: Proxier, mode: Mode) -> None:
        super().__init__(open_metrics=True)
        self._mode = mode
        self.add_check("sync", proxier.check)

    def respond(self, path: str, query: bytes, verified: bool) -> tuple[int, str, bytes]:
        if path == "/proxyMode":
            return 200, "text/plain; charset=utf-8", self._mode.value.encode()
        return super().respond(path, query, verified)
