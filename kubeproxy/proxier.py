"""Runs the loop: informers mark services as changed, and one sync at a time brings the kernel to what the API says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from componentbase import logs
from componentbase.clock import Clock
from componentbase.host.process import CommandError
from componentbase.tasks import wait_for
from kubeproxy import metrics
from kubeproxy.family import Changes, FamilyRules
from kubeproxy.flows.conntrack import UdpCleaner
from kubeproxy.service_map import ServiceMap
from kubeproxy.settings import Family

RETRY_FIRST_SECONDS = 1.0
RETRY_MAX_SECONDS = 30.0

NodePortsOn = Mapping[Family, tuple[str, ...] | None]
"""The addresses that NodePorts answer on, by family; None for any of the node's."""

log = logs.logger(__name__)


class Proxier:
    """Syncs at once on the first change, then at most every `min_sync_seconds`.

    Every `sync_seconds` it looks for what no event tells: the addresses of the node's interfaces and, where the kernel
    does not tell of changed rules, the rules.
    """

    def __init__(
        self,
        services: ServiceMap,
        families: Sequence[FamilyRules],
        cleaner: UdpCleaner,
        node_ports_on: Callable[[], Awaitable[NodePortsOn]],
        *,
        clock: Clock,
        min_sync_seconds: float,
        sync_seconds: float,
    ) -> None:
        """`node_ports_on` may raise CommandError."""
        self._services, self._families, self._cleaner = services, families, cleaner
        self._find_node_ports_on = node_ports_on
        self._node_ports_on: NodePortsOn = {}
        self._clock = clock
        self._min_sync_seconds, self._sync_seconds = min_sync_seconds, sync_seconds
        self._wake = asyncio.Event()
        self._changed = True
        self._started = clock.now()
        self._outdated_since: float | None = clock.monotonic()
        self.synced = asyncio.Event()
        """Set once a sync has succeeded."""
        self.synced_at = 0.0
        """Unix seconds of the last sync that succeeded; 0 before the first."""
        self.on_changes: list[Callable[[Changes], None]] = []
        """Called with the changes that the next rules will have."""
        for family in families:
            family.kernel.monitor.on_change = self._rules_touched

    def changed(self) -> None:
        """Takes note that the service map has marked something, or that the node has other addresses."""
        self._changed = True
        for family in self._families:
            metrics.LAST_QUEUED.labels(metrics.label(family.family)).set(self._clock.now())
        self._wake.set()

    def _rules_touched(self) -> None:
        log.info("somebody else changed the rules")
        self._wake.set()

    def check(self) -> str:
        """ "" while the rules are current, or have been out of date for less than two periods."""
        if self._outdated_since is None:
            return ""
        seconds = self._clock.monotonic() - self._outdated_since
        return f"rules are out of date for {seconds:.0f} s" if seconds > 2 * self._sync_seconds else ""

    async def run(self) -> None:
        """Syncs until cancelled; call it when the informers have listed."""
        retry_seconds = next_period = 0.0
        failed = False
        while True:
            started = self._clock.monotonic()
            self._wake.clear()
            periodic = started >= next_period
            if periodic:
                next_period = started + self._sync_seconds
            due = self._changed or failed or periodic
            if due or any(family.needs_check(periodic=False) for family in self._families):
                if self._outdated_since is None:
                    self._outdated_since = started
                self._changed = False
                failed = not await self._sync(periodic=periodic)
                retry_seconds = min(max(2 * retry_seconds, RETRY_FIRST_SECONDS), RETRY_MAX_SECONDS) if failed else 0.0
                await self._clock.sleep(retry_seconds or self._min_sync_seconds)
            if not failed:
                await wait_for(self._wake, max(0.0, next_period - self._clock.monotonic()))

    async def _sync(self, *, periodic: bool) -> bool:
        """Writes what changed; False, logged, if anything is to be tried again."""
        changes = self._services.update()
        triggers = self._services.triggers()
        self._cleaner.update(changes)
        for listener in self.on_changes:
            listener(changes)
        unread = False
        try:
            self._node_ports_on = await self._find_node_ports_on()
        except CommandError as error:
            log.error("the node's addresses could not be read", error=error)
            unread = True
        results = [
            await self._sync_family(
                family, changes, self._node_ports_on.get(family.family, ()), triggers, periodic=periodic
            )
            for family in self._families
        ]
        if not all(results):
            return False
        self._outdated_since = None
        self.synced_at = self._clock.now()
        self.synced.set()
        await self._cleaner.clean()
        return not unread

    async def _sync_family(
        self,
        family: FamilyRules,
        changes: Changes,
        node_ports_on: tuple[str, ...] | None,
        triggers: Sequence[float],
        *,
        periodic: bool,
    ) -> bool:
        label = metrics.label(family.family)
        started = self._clock.monotonic()
        try:
            checked = await family.sync(changes, node_ports_on, periodic=periodic)
        except CommandError as error:
            metrics.FAILURES[family.kernel.mode].labels(label).inc()
            log.error("rules could not be synced", family=label, error=error)
            return False
        seconds, now = self._clock.monotonic() - started, self._clock.now()
        metrics.SYNC.labels(label).observe(seconds)
        for pending in (metrics.ENDPOINT_CHANGES_PENDING, metrics.SERVICE_CHANGES_PENDING):
            pending.labels(label).set(0)
        (metrics.FULL_SYNC if checked else metrics.PARTIAL_SYNC).labels(label).observe(seconds)
        metrics.LAST_SYNC.labels(label).set(now)
        for began in triggers:
            if began >= self._started:
                metrics.PROGRAMMING.labels(label).observe(max(0.0, now - began))
        log.debug("rules synced", family=label, services=len(changes), checked=checked, seconds=round(seconds, 3))
        return True
