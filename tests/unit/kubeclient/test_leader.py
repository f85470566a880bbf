"""Leader election: who may take a Lease, and that there is never more than one leader."""

from __future__ import annotations

import asyncio

import pytest

from apimachinery.errors import NotFound, object_conflict, object_exists, object_not_found
from apimachinery.meta import ObjectMeta
from kubeapi.coordination.lease import Lease, LeaseSpec
from kubeclient.leader import LeaderElector, LeadershipLost, NotLeading, Timing, is_free, taken
from tests.fakes.clock import FakeClock, idle


class LeaseServer:
    """The part of a RestClient that election uses, on one Lease in memory."""

    def __init__(self) -> None:
        self.lease: Lease | None = None
        self.revision = 0
        self.down = False

    async def get(self, model: type[Lease], name: str, namespace: str) -> Lease:
        self._check()
        if self.lease is None:
            raise object_not_found("leases", "coordination.k8s.io", name)
        return self.lease.clone()

    async def create(self, lease: Lease) -> Lease:
        self._check()
        if self.lease is not None:
            raise object_exists("leases", "coordination.k8s.io", lease.name)
        return self._store(lease)

    async def update(self, lease: Lease) -> Lease:
        self._check()
        if self.lease is None:
            raise NotFound("gone")
        if lease.metadata.resourceVersion != self.lease.metadata.resourceVersion:
            raise object_conflict("leases", "coordination.k8s.io", lease.name)
        return self._store(lease)

    def _store(self, lease: Lease) -> Lease:
        self.revision += 1
        self.lease = lease.clone()
        self.lease.metadata.resourceVersion = str(self.revision)
        return self.lease.clone()

    def _check(self) -> None:
        if self.down:
            raise ConnectionError("refused")

    @property
    def holder(self) -> str | None:
        return self.lease.spec.holderIdentity if self.lease else None


class Candidate:
    """An elector and whether its work runs."""

    def __init__(self, server: LeaseServer, clock: FakeClock, identity: str) -> None:
        self.elector = LeaderElector(server, "kube-system/test", identity, clock=clock)  # type: ignore[arg-type]
        self.working = False
        self.task = asyncio.ensure_future(self.elector.run(self._work))

    async def _work(self) -> None:
        self.working = True
        try:
            await asyncio.Future()
        finally:
            self.working = False

    async def kill(self) -> None:
        """Ends it without giving the Lease back, as `kill -9` would."""
        self.elector._lease = None
        self.task.cancel()
        await asyncio.wait([self.task])

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


async def advance(clock: FakeClock, seconds: float) -> None:
    for _ in range(int(seconds * 2)):
        await clock.advance(0.5)


async def test_one_leads_and_the_other_takes_over_when_it_is_killed() -> None:
    server, clock = LeaseServer(), FakeClock()
    first = Candidate(server, clock, "first")
    await idle()
    second = Candidate(server, clock, "second")
    await advance(clock, 60)
    assert (first.working, second.working, server.holder) == (True, False, "first")
    await first.kill()
    await advance(clock, 10)
    assert not second.working
    await advance(clock, 15)  # it looks up to 4.4 s late, twice: to see the last renewal, and its end
    assert (second.working, server.holder) == (True, "second")
    assert server.lease is not None
    assert server.lease.spec.leaseTransitions == 1
    await second.stop()


async def test_a_stopped_leader_gives_the_lease_back_at_once() -> None:
    server, clock = LeaseServer(), FakeClock()
    first = Candidate(server, clock, "first")
    await idle()
    second = Candidate(server, clock, "second")
    await first.stop()
    assert (first.working, server.holder) == (False, None)
    await advance(clock, 5)
    assert second.working
    await second.stop()


async def test_a_leader_cut_off_ends_before_another_may_start() -> None:
    server, clock = LeaseServer(), FakeClock()
    first = Candidate(server, clock, "first")
    await idle()
    server.down = True
    await advance(clock, 9)
    assert first.working
    await advance(clock, 4)
    assert not first.working
    with pytest.raises(BaseExceptionGroup) as caught:
        await first.task
    assert caught.group_contains(LeadershipLost)


async def test_a_leader_whose_lease_was_taken_ends() -> None:
    server, clock = LeaseServer(), FakeClock()
    first = Candidate(server, clock, "first")
    await idle()
    assert server.lease is not None
    server._store(taken(server.lease, "thief", 15, clock.now()))
    await advance(clock, 3)
    assert not first.working
    assert server.holder == "thief"
    await asyncio.wait([first.task])
    assert first.task.exception() is not None


def lease(holder: str | None, duration: int = 15) -> Lease:
    spec = LeaseSpec(holderIdentity=holder, leaseDurationSeconds=duration)
    return Lease(metadata=ObjectMeta(name="l", resourceVersion="1"), spec=spec)


@pytest.mark.parametrize(
    ("holder", "unchanged_seconds", "free"),
    [("me", 0, True), (None, 0, True), ("", 0, True), ("other", 14.9, False), ("other", 15, True)],
)
def test_whether_a_lease_may_be_taken(holder: str | None, unchanged_seconds: float, free: bool) -> None:
    assert is_free(lease(holder), "me", unchanged_seconds) is free


def test_renewing_keeps_when_it_was_acquired_and_taking_counts_a_transition() -> None:
    first = taken(lease(None), "me", 15, 1000)
    again = taken(first, "me", 15, 2000)
    assert again.spec.acquireTime == first.spec.acquireTime
    assert again.spec.renewTime != first.spec.renewTime
    assert (again.spec.leaseTransitions, taken(again, "you", 15, 3000).spec.leaseTransitions) == (1, 2)


def test_times_that_could_make_two_leaders_are_refused() -> None:
    for timing in (Timing(10, 10, 2), Timing(15, 10, 9), Timing(15, 10, 0)):
        with pytest.raises(ValueError, match="leader election needs"):
            timing.check()


async def test_a_leader_that_was_stopped_writes_nothing_when_it_goes_on() -> None:
    server, clock = LeaseServer(), FakeClock()
    first = Candidate(server, clock, "first")
    with pytest.raises(NotLeading):
        first.elector.require()
    await advance(clock, 4)
    clock.step(7)
    first.elector.require()
    clock.step(4)  # nothing has run since: its loop does not know yet
    with pytest.raises(NotLeading):
        first.elector.require()
    assert first.working
    await advance(clock, 4)
    assert not first.working


async def test_a_renewal_counts_from_when_it_was_sent() -> None:
    server, clock = LeaseServer(), FakeClock()
    first = Candidate(server, clock, "first")
    await advance(clock, 1)
    update, answered = server.update, asyncio.Event()

    async def update_and_wait(lease: Lease) -> Lease:
        stored = await update(lease)
        await answered.wait()
        return stored

    server.update = update_and_wait  # type: ignore[method-assign]
    await advance(clock, 2)
    first.elector.require()
    clock.step(20)  # the process is stopped before it reads the answer
    answered.set()
    await idle()
    with pytest.raises(NotLeading):
        first.elector.require()
    await first.stop()
