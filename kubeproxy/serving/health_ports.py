"""Serves each Service's `healthCheckNodePort`: load balancers ask it whether this node has endpoints of the Service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from componentbase import logs
from componentbase.clock import Clock
from componentbase.health import LIMITS
from componentbase.net.http1_exchange import HttpExchange
from componentbase.net.http1_server import HttpServer
from kubeproxy.family import Changes

RETRY_SECONDS = 10.0  # until a port that something else listens on is tried again: nothing tells when it is free

log = logs.logger(__name__)


@dataclass(slots=True)
class HealthPort:
    """One Service's, as it is now."""

    namespace: str
    name: str
    port: int
    local_endpoints: int

    def answer(self, proxy_is_well: bool) -> tuple[int, bytes, bytes]:
        """Returns status, headers and body."""
        body = {
            "service": {"namespace": self.namespace, "name": self.name},
            "localEndpoints": self.local_endpoints,
            "serviceProxyHealthy": proxy_is_well,
        }
        headers = (
            b"content-type: application/json\r\nx-content-type-options: nosniff\r\n"
            b"x-load-balancing-endpoint-weight: %d\r\n" % self.local_endpoints
        )
        return (200 if self.local_endpoints and proxy_is_well else 503), headers, orjson.dumps(body)


def wanted_ports(changes: Changes) -> dict[str, HealthPort | None]:
    """Returns each changed Service's health check port; None for one that has none."""
    wanted: dict[str, HealthPort | None] = {}
    for key, ports in changes.items():
        number = next((port.health_check_node_port for port in ports if port.health_check_node_port), 0)
        endpoints = max((port.ready_here for port in ports), default=0)
        namespace, _, name = key.partition("/")
        wanted[key] = HealthPort(namespace, name, number, endpoints) if number else None
    return wanted


class HealthPorts:
    """The servers, one a Service."""

    def __init__(self, check: Callable[[], str], on_taken: Callable[[HealthPort, str], None], clock: Clock) -> None:
        """`check` tells what is wrong with the proxy; `on_taken` hears of a port that can't be had, and why."""
        self._check, self._on_taken, self._clock = check, on_taken, clock
        self._ports: dict[str, HealthPort] = {}
        self._servers: dict[str, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()

    def update(self, changes: Changes) -> None:
        for key, wanted in wanted_ports(changes).items():
            present = self._ports.get(key)
            if wanted is None:
                self._ports.pop(key, None)
            elif present is not None and present.port == wanted.port:
                present.local_endpoints = wanted.local_endpoints
            else:
                self._ports[key] = wanted
        self._wake.set()

    async def run(self) -> None:
        """Serves until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            serving: dict[str, HealthPort] = {}
            while True:
                await self._wake.wait()
                self._wake.clear()
                for key in [key for key, port in serving.items() if self._ports.get(key) is not port]:
                    del serving[key]
                    server = self._servers.pop(key)
                    server.cancel()
                    await asyncio.wait([server])  # or its port could not be had again
                for key, port in self._ports.items():
                    if key not in serving:
                        serving[key] = port
                        self._servers[key] = tasks.create_task(self._serve(port))

    async def _serve(self, port: HealthPort) -> None:
        def handle(exchange: HttpExchange) -> None:
            exchange.respond(*port.answer(not self._check()))

        while True:
            try:
                await HttpServer(handle, LIMITS).run("", port.port, None)
            except OSError as error:
                log.error("health check port can't be served", service=port.name, port=port.port, error=error)
                self._on_taken(port, str(error))
                await self._clock.sleep(RETRY_SECONDS)
