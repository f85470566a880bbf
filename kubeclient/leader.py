"""Elects, by a Lease, which of several equal processes works while the others stand by.

A candidate takes over when the Lease's holder has not renewed it for its whole duration, judged by the candidate's own
clock since it last saw the Lease change: clocks of different hosts are never compared.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self

from prometheus_client import Gauge

from apimachinery.errors import AlreadyExists, Conflict, NotFound, StatusError
from apimachinery.meta import ObjectMeta
from apimachinery.times import format_micro_time
from componentbase import logs
from componentbase.clock import Clock
from componentbase.flags import host_name
from kubeapi.coordination.lease import Lease, LeaseSpec
from kubeclient.rest import RestClient

RELEASE_SECONDS = 2.0
"""How long giving the Lease back may take at shutdown."""
JITTER = 1.2
"""A candidate waits up to this much longer than the retry period, so that candidates don't try in step."""

log = logs.logger(__name__)

IS_LEADER = Gauge("leader_election_master_status", "1 while this process leads.", ["name"])


class LeadershipLost(Exception):
    """Says that the Lease was not renewed in time: another may lead by now, and this process must end."""


class NotLeading(ConnectionError):
    """Says that a write was not sent, because the Lease may have run out."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Times an election, in seconds: a leader gives up after `renew_deadline`, before others may take over."""

    lease_duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0

    def check(self) -> None:
        """Raises: ValueError for times that could make two leaders."""
        if not 0 < self.retry_period * JITTER < self.renew_deadline < self.lease_duration:
            raise ValueError(
                "leader election needs retry period x 1.2 < renew deadline < lease duration, not "
                f"{self.retry_period:g}s, {self.renew_deadline:g}s, {self.lease_duration:g}s"
            )


@dataclass(frozen=True, slots=True)
class Election:
    """Says whether a daemon stands for election, and for which Lease ("namespace/name"): the --leader-elect… flags."""

    enabled: bool
    lease: str
    timing: Timing

    @classmethod
    def of(cls, args: argparse.Namespace) -> Self:
        return cls(
            args.leader_elect,
            f"{args.leader_elect_resource_namespace}/{args.leader_elect_resource_name}",
            Timing(args.leader_elect_lease_duration, args.leader_elect_renew_deadline, args.leader_elect_retry_period),
        )


def make_identity() -> str:
    """Makes a name, "host_random", that is unique to this process: a restarted one may look the same otherwise."""
    return f"{host_name()}_{secrets.token_hex(8)}"


def is_free(lease: Lease, identity: str, unchanged_seconds: float) -> bool:
    """Tells whether `identity` may take the Lease, whose record has not changed for so long as seen from here."""
    spec = lease.spec
    if not spec.holderIdentity or spec.holderIdentity == identity:
        return True
    return unchanged_seconds >= (spec.leaseDurationSeconds or 0)


def taken(lease: Lease, identity: str, duration_seconds: float, now: float) -> Lease:
    """Returns a copy of the Lease, held by `identity` ("" for nobody) and renewed now."""
    old = lease.spec
    stamp = format_micro_time(now)
    same = old.holderIdentity == identity
    new_holder = bool(identity) and not same and lease.metadata.resourceVersion is not None
    spec = LeaseSpec(
        holderIdentity=identity or None,
        leaseDurationSeconds=max(int(duration_seconds), 1),
        acquireTime=old.acquireTime if same and old.acquireTime else stamp,
        renewTime=stamp,
        leaseTransitions=(old.leaseTransitions or 0) + new_holder,
    )
    copy = lease.clone()
    copy.spec = spec
    return copy


class LeaderElector:
    """`await elector.run(work)`: waits for the Lease, then runs `work` for as long as it is held."""

    def __init__(
        self,
        rest: RestClient,
        lease: str,
        identity: str = "",
        *,
        timing: Timing | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`lease` is "namespace/name". Raises: ValueError for unsafe times."""
        self._timing = timing or Timing()
        self._timing.check()
        self._rest = rest
        self._namespace, _, self._name = lease.partition("/")
        self.identity = identity or make_identity()
        self._clock = clock or Clock()
        self._lease: Lease | None = None
        self._changed_at = 0.0
        self._valid_until = -math.inf
        self._gauge = IS_LEADER.labels(self._name)

    async def run(self, on_started: Callable[[], Awaitable[None]]) -> None:
        """Runs until cancelled, then gives the Lease back. Raises: LeadershipLost; whatever `on_started` raises."""
        self._gauge.set(0)
        log.info("waiting for leadership", lease=f"{self._namespace}/{self._name}", identity=self.identity)
        while not await self._try():
            await self._clock.sleep(self._timing.retry_period * random.uniform(1.0, 1.0 + JITTER))
        self._gauge.set(1)
        log.info("leading", lease=f"{self._namespace}/{self._name}", identity=self.identity)
        lost = False
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._renew())
                group.create_task(_until_done(on_started))
        except* LeadershipLost:
            lost = True
            raise
        finally:
            # The group has ended: nothing of `on_started` runs any more, so another may start at once.
            self._valid_until = -math.inf
            self._gauge.set(0)
            if not lost:
                await self._release()

    def require(self) -> None:
        """Is asked before each write of the leader's work (`RestClient.fenced`).

        A process that was stopped goes on in the middle of its work, before it learns that another leads by now.
        Raises: NotLeading.
        """
        if self._clock.monotonic() >= self._valid_until:
            raise NotLeading(f"lease {self._namespace}/{self._name} may have run out")

    async def _renew(self) -> None:
        while True:
            await self._clock.sleep(self._timing.retry_period)
            left = self._valid_until - self._clock.monotonic()
            renewed = False
            if left > 0:
                try:
                    async with asyncio.timeout(left):
                        renewed = await self._try()
                except TimeoutError:
                    left = 0.0
            if not renewed and (left <= 0 or not self._is_ours()):
                log.error("leadership lost", lease=f"{self._namespace}/{self._name}", identity=self.identity)
                raise LeadershipLost(f"lease {self._namespace}/{self._name} was not renewed in time")

    def _is_ours(self) -> bool:
        """Tells whether the Lease, as last seen, names us; an unreachable server does not change that."""
        return self._lease is not None and self._lease.spec.holderIdentity == self.identity

    async def _try(self) -> bool:
        """Takes or renews the Lease if it may, and tells whether we hold it now."""
        started = self._clock.monotonic()  # from here on it may run out, however late the answer comes
        if not await self._attempt():
            return False
        self._valid_until = started + self._timing.renew_deadline
        return True

    async def _attempt(self) -> bool:
        try:
            if self._is_ours() and self._lease is not None:  # the usual renewal: no read before the write
                try:
                    return await self._put(self._lease)
                except Conflict:
                    pass
            lease = await self._rest.get(Lease, self._name, self._namespace)
            self._note(lease)
            if not is_free(lease, self.identity, self._clock.monotonic() - self._changed_at):
                return False
            return await self._put(lease)
        except NotFound:
            return await self._create()
        except Conflict:
            return False
        except (StatusError, ConnectionError, TimeoutError) as error:
            log.warning("election request failed", lease=f"{self._namespace}/{self._name}", error=str(error))
            return False

    async def _put(self, lease: Lease) -> bool:
        changed = taken(lease, self.identity, self._timing.lease_duration, self._clock.now())
        self._note(await self._rest.update(changed))
        return True

    async def _create(self) -> bool:
        fresh = Lease(metadata=ObjectMeta(name=self._name, namespace=self._namespace))
        fresh = taken(fresh, self.identity, self._timing.lease_duration, self._clock.now())
        try:
            self._note(await self._rest.create(fresh))
        except AlreadyExists:
            return False
        except (StatusError, ConnectionError, TimeoutError) as error:
            log.warning("election request failed", lease=f"{self._namespace}/{self._name}", error=str(error))
            return False
        return True

    def _note(self, lease: Lease) -> None:
        if self._lease is None or self._lease.metadata.resourceVersion != lease.metadata.resourceVersion:
            self._lease, self._changed_at = lease, self._clock.monotonic()

    async def _release(self) -> None:
        """Empties the Lease, so that the next candidate need not wait for it to expire."""
        lease = self._lease
        if lease is None or not self._is_ours():
            return
        changed = taken(lease, "", 1, self._clock.now())
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._rest.update(changed)
            log.info("leadership released", lease=f"{self._namespace}/{self._name}")
        except (StatusError, ConnectionError, TimeoutError) as error:
            log.warning("could not release the lease", lease=f"{self._namespace}/{self._name}", error=str(error))


async def _until_done(on_started: Callable[[], Awaitable[None]]) -> None:
    await on_started()
    raise RuntimeError("the leader's work ended by itself")
