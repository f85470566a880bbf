"""Preemption at work: what victims are told, and when the preemptor is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from apimachinery.errors import ServiceUnavailable
from scheduler.framework import Cycle, Handle, Plugin, PluginSpec, Rejected, collect_plugins
from scheduler.state.victims import Preemption as PreemptionCandidate
from scheduler.views.pod import Pod
from tests.fakes.clock import FakeClock
from tests.kits.control_plane.scheduler import node, pod
from tests.kits.control_plane.schedulerbench import FULL, Bench, Started


class Preemption:
    """A node full of pods of low priority, and one of high priority that is told about."""

    def __init__(self, bench: Bench, clock: FakeClock) -> None:
        self.bench, self.clock = bench, clock
        bench.put(node("n1", cpu="2"))
        self.victims = [pod(f"low-{number}", nodeName="n1", cpu="1", generation=2) for number in range(2)]
        for victim in self.victims:
            bench.put(victim)
        self.preemptor = pod("high", cpu="2", priority=9, uid="high-uid")
        bench.put(self.preemptor)

    def victim_goes(self, victim: Pod) -> None:
        self.bench.remove(victim)
        self.clock.step(2)
        self.bench.put(pod("wakes the loop", schedulerName="mine"))


async def test_victims_are_told_why_deleted_with_their_grace_and_replaced(started: Started) -> None:
    clock = FakeClock()
    bench = started(clock=clock)
    case = Preemption(bench, clock)
    await bench.until(lambda: len(bench.rest.deletions) == 2 and len(bench.rest.patches) == 3)
    patches = dict(bench.rest.patches)
    assert patches["default/high"]["status"]["nominatedNodeName"] == "n1"
    assert patches["default/high"]["status"]["conditions"][0]["message"] == FULL
    (condition,) = patches["default/low-0"]["status"]["conditions"]
    assert condition.pop("lastTransitionTime")
    assert condition == {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "PreemptionByScheduler",
        "message": "default-scheduler: preempting to accommodate a higher priority pod",
        "observedGeneration": 2,
    }
    told = ("low-0", "Preempted", "Preempted by pod high-uid on node n1")
    assert told in bench.recorder.events
    bench.put(pod("late", cpu="1", priority=8))
    for victim in case.victims:
        case.victim_goes(victim)
    await bench.until(lambda: bench.rest.bindings)
    assert bench.rest.bindings == [("default/high", "n1")]
    assert len(bench.rest.deletions) == 2


async def test_a_victim_that_could_not_be_evicted_is_tried_again(started: Started) -> None:
    clock = FakeClock()
    bench = started(clock=clock)
    bench.rest.failures = [ServiceUnavailable("busy")]
    case = Preemption(bench, clock)
    await bench.until(lambda: bench.rest.deletions)
    (gone,) = (victim for victim in case.victims if victim.key in bench.rest.deletions)
    case.victim_goes(gone)
    await bench.until(lambda: len(bench.rest.deletions) == 2)


async def test_a_preemptor_is_not_tried_again_before_its_evictions_are_written(started: Started) -> None:
    """Whatever happens meanwhile; the last victim may be gone before its eviction is known to be written."""
    clock = FakeClock()
    bench = started(clock=clock)
    bench.rest.hold_deletions.clear()
    case = Preemption(bench, clock)
    await bench.until(lambda: len(bench.rest.patches) == 3)
    for victim in case.victims:
        case.victim_goes(victim)
    await bench.until(lambda: bench.scheduler.queue.counts()["gated"] == 1)
    assert not bench.rest.bindings
    bench.rest.hold_deletions.set()
    await bench.until(lambda: bench.rest.bindings)
    assert bench.rest.bindings == [("default/high", "n1")]


class Reviewer(Plugin):
    """Spares all victims once the test lets it answer; the next time, none."""

    def __init__(self, name: str, handle: Handle) -> None:
        super().__init__(name, handle)
        self.asked, self.answer = asyncio.Event(), asyncio.Event()

    async def review_victims(
        self, cycle: Cycle, candidates: Sequence[PreemptionCandidate]
    ) -> Sequence[PreemptionCandidate] | Rejected:
        if self.asked.is_set():
            return candidates
        self.asked.set()
        await self.answer.wait()
        return Rejected("all of them are dear")


async def reviewed(started: Started) -> tuple[Preemption, Reviewer]:
    """A preemption that is being reviewed."""
    clock = FakeClock()
    bench = started(clock=clock, specs=[*collect_plugins(), PluginSpec("Reviewer", Reviewer)])
    case = Preemption(bench, clock)
    (reviewer,) = (item for item in bench.scheduler.profiles.plugins() if isinstance(item, Reviewer))
    await bench.until(reviewer.asked.is_set)
    return case, reviewer


async def test_what_happens_while_victims_are_reviewed_is_made_up_for(started: Started) -> None:
    case, reviewer = await reviewed(started)
    case.bench.put(node("n2", cpu="2"))
    reviewer.answer.set()
    await case.bench.until(lambda: case.bench.rest.bindings)
    assert case.bench.rest.bindings == [("default/high", "n2")]
    assert ("high", "FailedScheduling", f"{FULL} preemption: all of them are dear") in case.bench.recorder.events
    assert case.bench.rest.deletions == []


async def test_a_preemptor_that_goes_while_victims_are_reviewed_is_not_queued_again(started: Started) -> None:
    case, reviewer = await reviewed(started)
    case.bench.remove(case.preemptor)
    case.bench.put(pod("next", cpu="2", priority=9))
    reviewer.answer.set()
    await case.bench.until(lambda: len(case.bench.rest.deletions) == 2)
    assert [name for name, _, _ in case.bench.recorder.events if name == "high"] == []
    assert len(case.bench.scheduler.queue) == 1
