"""Runs the loop: informers mark services as changed, and one sync at a time brings the kernel to what the API says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

from prometheus_client import Counter, Gauge, Histogram

from componentbase import logs, metrics
from componentbase.clock import Clock
from componentbase.process import CommandError
from kubeapi.core.service.model import Service
from kubeapi.discovery.endpointslice import EndpointSlice
from kubeproxy.conntrack import Flow, Frontends, stale_flows, udp_frontends
from kubeproxy.restore import ALL_JUMPS, Current, Installed, checked, restore_text
from kubeproxy.rules import Settings, desired_chains
from kubeproxy.topology import SERVICE_NAME_LABEL, ServicePort, service_ports

RETRY_FIRST_SECONDS = 1.0
RETRY_MAX_SECONDS = 30.0
GONE_FRONTENDS = 4096  # UDP addresses no longer served, kept until conntrack works; the oldest goes: its flows stay

SYNC_DURATION = Histogram(
    "kubeproxy_sync_proxy_rules_duration_seconds", "Time of one sync.", buckets=metrics.LATENCY_BUCKETS
)
SYNC_FAILURES = Counter("kubeproxy_sync_proxy_rules_iptables_restore_failures_total", "Syncs that failed.")
LAST_SYNC = Gauge("kubeproxy_sync_proxy_rules_last_timestamp_seconds", "Unix time of the last sync that succeeded.")

log = logs.logger(__name__)


class Rules(Protocol):
    """Holds the rules: `iptables.Iptables`, or a fake."""

    async def installed(self) -> Installed: ...
    async def restore(self, text: str) -> None: ...


class Tracker(Protocol):
    """Tracks UDP flows: `conntrack.Conntrack`, or a fake."""

    async def udp_flows(self) -> set[Flow]: ...
    async def forget(self, flow: Flow) -> None: ...


def service_key(item: EndpointSlice) -> str:
    """Returns the key of the Service that a slice belongs to; "" when it belongs to none."""
    name = item.labels.get(SERVICE_NAME_LABEL, "")
    return f"{item.namespace}/{name}" if name else ""


class ServiceMap:
    """Holds every service's ports, and works them out anew only for services that have changed."""

    def __init__(
        self,
        service: Callable[[str], Service | None],
        slices: Callable[[str], Iterable[EndpointSlice]],
        node_name: str,
    ) -> None:
        self._service, self._slices, self._node_name = service, slices, node_name
        self._ports: dict[str, tuple[ServicePort, ...]] = {}
        self._dirty: set[str] = set()

    def mark(self, key: str) -> None:
        self._dirty.add(key)

    def update(self) -> bool:
        """Works out the marked services again; True when any port changed."""
        changed = False
        for key in self._dirty:
            service = self._service(key)
            ports = service_ports(service, self._slices(key), self._node_name) if service else ()
            if ports != self._ports.get(key, ()):
                changed = True
                self._ports[key] = ports
                if not ports:
                    del self._ports[key]
        self._dirty.clear()
        return changed

    def ports(self) -> list[ServicePort]:
        return [port for ports in self._ports.values() for port in ports]


class Proxier:
    """Syncs at once on the first change, then at most every `min_sync_seconds`, and every `sync_seconds` anyway."""

    def __init__(
        self,
        services: ServiceMap,
        settings: Settings,
        rules: Rules,
        tracker: Tracker,
        *,
        clock: Clock,
        min_sync_seconds: float,
        sync_seconds: float,
    ) -> None:
        self._services, self._settings, self._rules, self._tracker = services, settings, rules, tracker
        self._clock = clock
        self._min_sync_seconds, self._sync_seconds = min_sync_seconds, sync_seconds
        self._wake = asyncio.Event()
        self._current = Current()
        self._frontends: Frontends = {}
        self._gone: dict[tuple[str, int], frozenset[tuple[str, int]]] = {}
        self._flush_due = True
        self._outdated_since: float | None = clock.monotonic()
        self.synced_at = 0.0
        """Unix seconds of the last sync that succeeded; 0 before the first."""

    def changed(self, key: str) -> None:
        """Takes note that this service or its endpoints have changed."""
        if key:
            self._services.mark(key)
            self._wake.set()

    def check(self) -> str:
        """ "" while the rules are current, or have been out of date for less than two periods."""
        if self._outdated_since is None:
            return ""
        seconds = self._clock.monotonic() - self._outdated_since
        return f"rules are out of date for {seconds:.0f} s" if seconds > 2 * self._sync_seconds else ""

    async def run(self) -> None:
        """Syncs until cancelled; call it when the informers have listed."""
        retry_seconds = next_check = 0.0
        due = True
        while True:
            started = self._clock.monotonic()
            self._wake.clear()
            check = started >= next_check
            due = self._services.update() or due or check
            if due:
                if self._outdated_since is None:
                    self._outdated_since = started
                due = not await self._sync(check)
                if due or check:
                    next_check = started if due else started + self._sync_seconds
                retry_seconds = min(max(2 * retry_seconds, RETRY_FIRST_SECONDS), RETRY_MAX_SECONDS) if due else 0.0
                await self._clock.sleep(retry_seconds or self._min_sync_seconds)
            if not due:
                await self._wait(max(0.0, next_check - self._clock.monotonic()))

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _sync(self, check: bool) -> bool:
        """Writes what changed, and with `check` what others may have damaged; False, logged, to be tried again."""
        ports = self._services.ports()
        chains = desired_chains(ports, self._settings)
        with SYNC_DURATION.time():
            try:
                if check:
                    self._current = checked(self._current, await self._rules.installed())
                text = restore_text(chains, self._current)
                if text:
                    await self._rules.restore(text)
            except CommandError as error:
                SYNC_FAILURES.inc()
                self._current = Current()  # one table may have been written
                log.error("rules could not be synced", error=error)
                return False
        self._current = Current(chains, ALL_JUMPS)
        self._outdated_since = None
        self.synced_at = self._clock.now()
        LAST_SYNC.set(self.synced_at)
        log.debug("rules synced", ports=len(ports), bytes=len(text))
        await self._flush_udp(udp_frontends(ports))
        return True

    async def _flush_udp(self, frontends: Frontends) -> None:
        """Forgets flows that the new rules would not have made; a failure is tried again with the next sync."""
        if frontends != self._frontends:
            self._flush_due = True
            self._gone |= self._frontends
            self._frontends = frontends
        gone = [(key, endpoints) for key, endpoints in self._gone.items() if key not in frontends]
        self._gone = dict(gone[-GONE_FRONTENDS:])
        if not self._flush_due:
            return
        if frontends or self._gone:
            try:
                stale = stale_flows(await self._tracker.udp_flows(), frontends, self._gone)
                for flow in stale:
                    await self._tracker.forget(flow)
            except CommandError as error:
                log.error("stale UDP flows could not be forgotten", error=error)
                return
            if stale:
                log.info("stale UDP flows forgotten", flows=len(stale))
        self._flush_due = False
        self._gone = {}
