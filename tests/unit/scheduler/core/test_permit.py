"""Pods that wait at Permit: until they are allowed, for too long, or until something befalls them."""

from __future__ import annotations

import asyncio

import pytest

from apimachinery.errors import Conflict
from scheduler.framework import Cycle, Plugin, PluginSpec, Rejected, Wait, collect_plugins
from tests.fakes.clock import FakeClock
from tests.kits.control_plane.scheduler import node, pod
from tests.kits.control_plane.schedulerbench import Started


class Gang(Plugin):
    """Lets pods wait until there are two."""

    def permit(self, cycle: Cycle, node: str) -> Rejected | Wait | None:
        others = list(self.handle.waiting)
        for other in others:
            other.allow(self.name)
        return None if others else Wait(SECONDS["gang"])


SECONDS = {"gang": 60.0}
EXPECTED = {"nominatedNodeName": "n1"}


class Volumes(Plugin):
    """Has something to do before pods are bound."""

    def is_slow(self, cycle: Cycle) -> bool:
        return True

    async def pre_bind(self, cycle: Cycle, node: str) -> Rejected | None:
        return None


async def test_pods_wait_at_permit_until_they_are_allowed(started: Started) -> None:
    bench = started(specs=[*collect_plugins(), PluginSpec("Gang", Gang)])
    bench.put(node("n1"))
    bench.put(pod("first", cpu="1"))
    await bench.until(lambda: bench.rest.patches)
    assert [(key, patch["status"]) for key, patch in bench.rest.patches] == [("default/first", EXPECTED)]
    assert not bench.rest.bindings
    bench.put(pod("second", cpu="1"))
    await bench.until(lambda: len(bench.rest.bindings) == 2)
    assert len(bench.rest.patches) == 1  # the second did not wait


async def test_where_a_pod_is_expected_is_written_before_it_is_bound(started: Started) -> None:
    bench = started(specs=[*collect_plugins(), PluginSpec("Volumes", Volumes)])
    bench.rest.hold_patches.clear()
    bench.put(node("n1"))
    bench.put(pod("web", cpu="1"))
    await bench.until(lambda: len(bench.scheduler.cache) == 1)
    for _ in range(20):
        await asyncio.sleep(0)
    assert not bench.rest.bindings
    bench.rest.hold_patches.set()
    await bench.until(lambda: bench.rest.bindings)
    assert [patch["status"] for _, patch in bench.rest.patches] == [EXPECTED]


async def test_a_pod_that_could_not_be_bound_is_expected_nowhere(started: Started) -> None:
    bench = started(specs=[*collect_plugins(), PluginSpec("Volumes", Volumes)])
    bench.rest.failures.append(Conflict("changed"))
    bench.put(node("n1"))
    bench.put(pod("web", cpu="1"))
    await bench.until(lambda: len(bench.rest.patches) == 2)
    assert bench.rest.patches[1][1]["status"]["nominatedNodeName"] is None


async def test_a_wait_at_permit_ends_with_its_time(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SECONDS, "gang", 0.01)
    bench = started(specs=[*collect_plugins(), PluginSpec("Gang", Gang)])
    bench.put(node("n1"))
    bench.put(pod("web", cpu="1"))
    await bench.until(lambda: bench.recorder.events)
    message = "0/1 nodes are available: 1 rejected due to timeout after waiting 0.01s at plugin Gang."
    assert bench.recorder.events == [("web", "FailedScheduling", message)]
    assert len(bench.scheduler.cache) == 0
    assert len(bench.scheduler.queue) == 1


async def test_a_pod_deleted_while_it_waits_at_permit_is_forgotten(started: Started) -> None:
    bench = started(specs=[*collect_plugins(), PluginSpec("Gang", Gang)])
    bench.put(node("n1"))
    item = pod("web", cpu="1")
    bench.put(item)
    await bench.until(lambda: len(bench.scheduler.cache) == 1)
    bench.remove(item)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(bench.scheduler.cache) == len(bench.scheduler.queue) == 0
    bench.put(pod("next", cpu="1"))
    await bench.until(lambda: len(bench.scheduler.cache) == 1)
    assert not bench.rest.bindings


async def test_a_victim_that_waits_at_permit_is_rejected_there(started: Started) -> None:
    clock = FakeClock()
    bench = started(clock=clock, specs=[*collect_plugins(), PluginSpec("Gang", Gang)])
    bench.put(node("n1", cpu="1"))
    bench.put(pod("low", cpu="1"))
    await bench.until(lambda: len(bench.scheduler.cache) == 1)
    bench.put(pod("high", cpu="1", priority=9, uid="high-uid"))
    rejected = ("low", "FailedScheduling", "0/1 nodes are available: 1 preempted.")
    await bench.until(lambda: rejected in bench.recorder.events)
    assert bench.rest.deletions == []
    assert ("low", "Preempted", "Preempted by pod high-uid on node n1") in bench.recorder.events
