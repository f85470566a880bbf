"""Answers plain HTTP: `/healthz` for load balancers, `/metrics` and `/proxyMode` on loopback."""

from __future__ import annotations

import orjson

from apimachinery.times import format_time
from componentbase.clock import Clock
from componentbase.health import HealthHandler
from kubeproxy.proxier import Proxier


class HealthzHandler(HealthHandler):
    """Answers `/healthz` and `/livez` as upstream does: when the rules were last synced, as JSON."""

    def __init__(self, proxier: Proxier, clock: Clock) -> None:
        super().__init__()
        self._proxier, self._clock = proxier, clock

    def respond(self, path: str, query: bytes, verified: bool) -> tuple[int, str, bytes]:
        if path not in ("/healthz", "/livez"):
            return 404, "text/plain; charset=utf-8", b"404 page not found\n"
        body = {
            "lastUpdated": format_time(self._proxier.synced_at),
            "currentTime": format_time(self._clock.now()),
        }
        return (503 if self._proxier.check() else 200), "application/json", orjson.dumps(body)


class MetricsHandler(HealthHandler):
    def __init__(self, proxier: Proxier) -> None:
        super().__init__(open_metrics=True)
        self.add_check("sync", proxier.check)

    def respond(self, path: str, query: bytes, verified: bool) -> tuple[int, str, bytes]:
        if path == "/proxyMode":
            return 200, "text/plain; charset=utf-8", b"iptables"
        return super().respond(path, query, verified)
