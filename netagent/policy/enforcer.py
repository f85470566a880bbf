"""Runs the loop: informers say what has changed, and one sync at a time brings the kernel to what policies say."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from prometheus_client import Counter, Gauge, Histogram

from componentbase import logs, metrics
from componentbase.clock import Clock
from componentbase.host.process import CommandError
from componentbase.tasks import wait_for
from kubeapi.core.node import Node
from kubeapi.networking.networkpolicy import NetworkPolicy
from netagent.nft import Table
from netagent.policy.plan import plan
from netagent.policy.pods import Population, facts_of
from netagent.policy.rules import Policy, policy_of
from netagent.policy.ruleset import Ruleset, shape, transaction
from netagent.policy.views import Namespace, Pod
from netagent.room import CHECK_SECONDS, MIN_SYNC_SECONDS

RETRY_FIRST_SECONDS, RETRY_MAX_SECONDS = 0.5, 30.0
LATE_SECONDS = 60.0

SYNC_DURATION = Histogram(
    "netagent_policy_sync_duration_seconds", "Time of one sync of policy rules.", buckets=metrics.LATENCY_BUCKETS
)
SYNC_FAILURES = Counter("netagent_policy_sync_failures_total", "Syncs of policy rules that failed.")
LAST_SYNC = Gauge("netagent_policy_sync_last_timestamp_seconds", "Unix time of the last sync that succeeded.")

log = logs.logger(__name__)


class Enforcer:
    """Keeps the rules of one node. The methods named `on_…` are handlers of informers."""

    def __init__(self, node_name: str, table: Table, clock: Clock, *, check_seconds: float = CHECK_SECONDS) -> None:
        """`check_seconds` are those between looks at what others may have done to the table."""
        self._node_name, self._table, self._clock = node_name, table, clock
        self._check_seconds = check_seconds
        self._population = Population()
        self._policies: dict[str, Policy] = {}
        self._pod_cidrs: Sequence[str] = ()
        self._wake = asyncio.Event()
        self._wake.set()
        self._current: Ruleset | None = None
        self._outdated_since: float | None = clock.monotonic()

    def on_pod(self, old: Pod | None, new: Pod | None) -> None:
        pod = new or old
        if pod is not None and self._population.put_pod(pod.key, facts_of(new) if new else None):
            self._wake.set()

    def on_namespace(self, old: Namespace | None, new: Namespace | None) -> None:
        namespace = new or old
        if namespace is not None and self._population.put_namespace(namespace.name, new.labels if new else None):
            self._wake.set()

    def on_policy(self, old: NetworkPolicy | None, new: NetworkPolicy | None) -> None:
        if new is not None:
            self._policies[new.key] = policy_of(new)
        elif old is not None:
            del self._policies[old.key]
        self._wake.set()

    def on_node(self, old: Node | None, new: Node | None) -> None:
        ranges = (new.spec.podCIDRs or ()) if new is not None else ()
        if ranges != self._pod_cidrs:
            self._pod_cidrs = ranges
            self._wake.set()

    def check(self) -> str:
        """ "" while the rules are what policies say, or have not been for less than a minute."""
        if self._outdated_since is None:
            return ""
        seconds = self._clock.monotonic() - self._outdated_since
        return f"policy rules are out of date for {seconds:.0f} s" if seconds > LATE_SECONDS else ""

    async def run(self) -> None:
        """Syncs until cancelled; call it when the informers have listed."""
        retry_seconds = 0.0
        while True:
            check = not await wait_for(self._wake, self._check_seconds)
            self._wake.clear()
            if self._outdated_since is None and not check:
                self._outdated_since = self._clock.monotonic()
            if await self._sync(check):
                self._outdated_since, retry_seconds = None, 0.0
            else:
                retry_seconds = min(max(2 * retry_seconds, RETRY_FIRST_SECONDS), RETRY_MAX_SECONDS)
                self._wake.set()
            await self._clock.sleep(retry_seconds or MIN_SYNC_SECONDS)

    async def _sync(self, check: bool) -> bool:
        """Writes what has changed, and with `check` all anew where others have touched it; False, logged, to be tried
        again."""
        with SYNC_DURATION.time():
            try:
                if check and self._current is not None and await self._table.shape() != shape(self._current):
                    log.warning("policy rules were changed by others, writing them anew")
                    self._current = None
                wanted = plan(self._policies.values(), self._population, self._node_name, self._pod_cidrs)
                text = transaction(self._current, wanted)
                if text:
                    await self._table.apply(text)
            except CommandError as error:
                SYNC_FAILURES.inc()
                self._current = None  # the next try starts from nothing
                log.error("policy rules could not be synced", error=error)
                return False
        self._current = wanted
        LAST_SYNC.set(self._clock.now())
        if text:
            log.debug("policy rules synced", chains=len(wanted.chains), sets=len(wanted.sets))
        return True
