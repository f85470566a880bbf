"""The scheduler as a whole, on a fake API: what it binds, what it says, and how it takes failures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest

from apimachinery.errors import Conflict, NotFound, ServiceUnavailable, StatusError
from apimachinery.meta import Object
from componentbase.clock import Clock
from kubeclient.informer import Informers
from scheduler.configuration.load import DEFAULT_NAME, Configuration, Profile
from scheduler.core import binder
from scheduler.core.scheduler import UNFINISHED_PODS, Scheduler
from scheduler.core.status import Verdict, scheduled_patch
from scheduler.events import NODE, Change
from scheduler.explain import NothingToExplain, explain_pod
from scheduler.framework import Cycle, Plugin, PluginSpec, Rejected, Wait, collect_plugins
from scheduler.state.shape import IntArray
from scheduler.state.table import BoolArray, Rows
from scheduler.views.node import Node
from scheduler.views.pod import Pod, PodCondition
from tests.fakes.clock import FakeClock
from tests.kits.control_plane.scheduler import node, pod
from tests.kits.eventually import eventually_async
from tests.kits.tasks import background

FULL = "0/1 nodes are available: 1 Insufficient cpu."
NO_VICTIMS = "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."


class FakeRest:
    """Notes what is written; `failures` are raised by the next bindings and deletions, `hold` holds bindings up."""

    def __init__(self) -> None:
        self.bindings: list[tuple[str, str]] = []
        self.patches: list[tuple[str, dict[str, Any]]] = []
        self.deletions: list[str] = []
        self.failures: list[Exception] = []
        self.hold, self.hold_deletions = asyncio.Event(), asyncio.Event()
        self.hold.set()
        self.hold_deletions.set()
        self.under_way = self.most_under_way = 0

    async def bind(self, namespace: str, pod_name: str, node_name: str, *, uid: str = "") -> None:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.hold.wait()
        finally:
            self.under_way -= 1
        if self.failures:
            raise self.failures.pop(0)
        self.bindings.append((f"{namespace}/{pod_name}", node_name))

    async def patch(
        self, model: type[Object], name: str, namespace: str, patch: dict[str, Any], **options: Any
    ) -> None:
        assert options["subresource"] == "status"
        self.patches.append((f"{namespace}/{name}", patch))

    async def delete(self, model: type[Object], name: str, namespace: str, **options: Any) -> None:
        assert options["uid"]
        await self.hold_deletions.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.deletions.append(f"{namespace}/{name}")


class FakeRecorder:
    def __init__(self) -> None:
        self.events: list[tuple[str, str, str]] = []

    def event(self, obj: Object, type: str, reason: str, message: str) -> None:
        self.events.append((obj.name, reason, message))


class Bench:
    """A scheduler whose informers are fed by the test."""

    def __init__(
        self,
        clock: Clock | None = None,
        specs: list[PluginSpec] | None = None,
        profiles: list[Profile] | None = None,
    ) -> None:
        self.rest, self.recorder, self.clock = FakeRest(), FakeRecorder(), clock or Clock()
        informers = Informers(self.rest)  # type: ignore[arg-type]
        profiles = profiles or [Profile(DEFAULT_NAME, specs or collect_plugins())]
        recorders = {profile.name: self.recorder for profile in profiles}
        configuration = Configuration(profiles)
        self.scheduler = Scheduler(informers, recorders, self.clock, configuration)  # type: ignore[arg-type]
        self._pods = informers.of(Pod, field_selector=UNFINISHED_PODS)
        self._nodes = informers.of(Node)

    def put(self, obj: Node | Pod) -> None:
        if isinstance(obj, Node):
            self._nodes.apply("MODIFIED", obj)
        else:
            self._pods.apply("MODIFIED", obj)

    def remove(self, obj: Node | Pod) -> None:
        if isinstance(obj, Node):
            self._nodes.apply("DELETED", obj)
        else:
            self._pods.apply("DELETED", obj)

    def bound(self, item: Pod, name: str) -> Pod:
        """The watch shows the pod on the node."""
        new = item.clone()
        new.spec.nodeName = name
        self.put(new)
        return new

    async def until(self, condition: Callable[[], object]) -> None:
        await eventually_async(condition)


Started = Callable[..., Bench]


@pytest.fixture
async def started() -> AsyncIterator[Started]:
    """Makes a bench whose scheduler runs until the test ends."""
    async with background() as tasks:

        def started(**options: Any) -> Bench:
            bench = Bench(**options)
            tasks.create_task(bench.scheduler.run())
            return bench

        yield started


@pytest.fixture
async def bench(started: Started) -> Bench:
    return started()


async def test_a_pod_is_bound_and_its_event_says_where(bench: Bench) -> None:
    bench.put(node("n1"))
    bench.put(pod("web"))
    await bench.until(lambda: bench.recorder.events)
    assert bench.rest.bindings == [("default/web", "n1")]
    assert bench.recorder.events == [("web", "Scheduled", "Successfully assigned default/web to n1")]


async def test_pods_of_other_schedulers_and_pods_with_a_node_are_left_alone(bench: Bench) -> None:
    bench.put(node("n1", cpu="1"))
    bench.put(pod("other", schedulerName="mine"))
    bench.put(pod("placed", nodeName="n1", cpu="800m"))
    bench.put(pod("web", cpu="500m"))
    await bench.until(lambda: bench.recorder.events)
    assert bench.rest.bindings == []
    assert bench.recorder.events == [("web", "FailedScheduling", f"{FULL} {NO_VICTIMS}")]


async def test_a_pod_that_fits_nowhere_says_so_in_its_status_once(bench: Bench) -> None:
    item = pod("web", cpu="8", generation=3)
    bench.put(node("n1"))
    bench.put(item)
    await bench.until(lambda: bench.rest.patches)
    (key, patch) = bench.rest.patches[0]
    (condition,) = patch["status"]["conditions"]
    assert key == "default/web"
    assert condition.pop("lastTransitionTime")
    assert condition == {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": f"{FULL} preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
        "observedGeneration": 3,
    }
    assert patch["metadata"] == {"uid": item.metadata.uid}


async def test_room_that_becomes_free_is_used(started: Started) -> None:
    clock = FakeClock()
    bench = started(clock=clock)
    bench.put(node("n1", cpu="1"))
    first = pod("first", nodeName="n1", cpu="1")
    bench.put(first)
    bench.put(pod("second", cpu="1"))
    await bench.until(lambda: bench.rest.patches)
    bench.remove(first)
    clock.step(2)
    bench.put(pod("wakes the loop", schedulerName="mine"))
    bench.put(pod("third", cpu="4"))
    await bench.until(lambda: bench.rest.bindings)
    assert bench.rest.bindings == [("default/second", "n1")]


async def test_a_new_node_takes_waiting_pods(started: Started) -> None:
    clock = FakeClock()
    bench = started(clock=clock)
    bench.put(pod("web"))
    await bench.until(lambda: bench.recorder.events)
    assert bench.recorder.events[0][2] == "no nodes available to schedule pods"
    clock.step(2)
    bench.put(node("n1"))
    await bench.until(lambda: bench.rest.bindings)


async def test_the_loop_does_not_wait_for_bindings_and_sees_their_room_taken(bench: Bench) -> None:
    bench.rest.hold.clear()
    bench.put(node("n1", cpu="3"))
    for number in range(4):
        bench.put(pod(f"web-{number}", cpu="1"))
    await bench.until(lambda: bench.rest.under_way == 3 and bench.recorder.events)
    assert bench.recorder.events == [("web-3", "FailedScheduling", f"{FULL} {NO_VICTIMS}")]
    bench.rest.hold.set()
    await bench.until(lambda: len(bench.rest.bindings) == 3)


async def test_bindings_under_way_and_waiting_are_bounded(bench: Bench) -> None:
    bench.rest.hold.clear()
    bench.put(node("n1", pods="1000", cpu="1000"))
    count = 2 * (binder.BINDERS + binder.BACKLOG)
    for number in range(count):
        bench.put(pod(f"web-{number}"))
    await bench.until(lambda: len(bench.scheduler.queue) <= count - binder.BINDERS - binder.BACKLOG)
    for _ in range(50):
        await asyncio.sleep(0)
    left = len(bench.scheduler.queue)
    assert count - binder.BINDERS - binder.BACKLOG - 2 <= left
    bench.rest.hold.set()
    await bench.until(lambda: len(bench.rest.bindings) == count)
    assert bench.rest.most_under_way == binder.BINDERS


@pytest.mark.parametrize(
    "error", [Conflict("busy"), ConnectionError("reset"), ServiceUnavailable("later"), TimeoutError()]
)
async def test_a_failed_binding_gives_the_room_back_and_is_tried_again(
    started: Started, error: StatusError | OSError
) -> None:
    clock = FakeClock()
    bench = started(clock=clock)
    bench.rest.failures.append(error)
    bench.put(node("n1", cpu="1"))
    bench.put(pod("web", cpu="1"))
    await bench.until(lambda: bench.recorder.events)
    assert bench.recorder.events[0][1:] == ("FailedScheduling", f"binding rejected: {error}")
    table = bench.scheduler.cache.table
    assert int(table.free[table.resources["cpu"], 0]) == 1000
    clock.step(2)
    bench.put(pod("wakes the loop", schedulerName="mine"))
    bench.put(pod("big", cpu="4"))
    await bench.until(lambda: bench.rest.bindings)
    assert bench.rest.bindings == [("default/web", "n1")]


async def test_a_pod_deleted_while_it_is_bound_is_forgotten(bench: Bench) -> None:
    bench.rest.hold.clear()
    bench.rest.failures.append(NotFound("gone"))
    bench.put(node("n1"))
    item = pod("web", cpu="1")
    bench.put(item)
    await bench.until(lambda: bench.rest.under_way)
    bench.remove(item)
    bench.rest.hold.set()
    await bench.until(lambda: not bench.rest.under_way)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(bench.scheduler.queue) == len(bench.scheduler.cache) == 0
    assert bench.recorder.events == []


async def test_a_binding_that_only_seemed_to_fail_is_taken_as_it_is(bench: Bench) -> None:
    bench.rest.hold.clear()
    bench.rest.failures.append(TimeoutError("no answer"))
    bench.put(node("n1", cpu="1"))
    item = pod("web", cpu="1")
    bench.put(item)
    await bench.until(lambda: bench.rest.under_way)
    bench.bound(item, "n1")
    bench.rest.hold.set()
    await bench.until(lambda: not bench.rest.under_way)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(bench.scheduler.queue) == 0
    known = bench.scheduler.cache.get(item.metadata.uid or "")
    assert known is not None
    assert not known.assumed
    table = bench.scheduler.cache.table
    assert int(table.free[table.resources["cpu"], 0]) == 0


async def test_a_confirmation_that_comes_after_the_failure_takes_the_pod_out_of_the_queue(bench: Bench) -> None:
    bench.rest.failures.append(TimeoutError("no answer"))
    bench.put(node("n1"))
    item = pod("web", cpu="1")
    bench.put(item)
    await bench.until(lambda: len(bench.scheduler.queue) == 1 and bench.recorder.events)
    bench.bound(item, "n1")
    assert len(bench.scheduler.queue) == 0
    assert len(bench.scheduler.cache) == 1


async def test_a_finished_pod_gives_its_room_back(bench: Bench) -> None:
    bench.put(node("n1", cpu="1"))
    item = pod("job", nodeName="n1", cpu="1")
    bench.put(item)
    done = item.clone()
    done.status.phase = "Succeeded"
    bench.put(done)
    bench.put(pod("web", cpu="1"))
    await bench.until(lambda: bench.rest.bindings)


async def test_a_pod_being_deleted_is_not_scheduled(bench: Bench) -> None:
    bench.put(node("n1"))
    bench.put(pod("dying", deleted=True))
    bench.put(pod("web"))
    await bench.until(lambda: bench.rest.bindings)
    assert bench.rest.bindings == [("default/web", "n1")]
    assert ("dying", "FailedScheduling", "skip schedule deleting pod: default/dying") in bench.recorder.events


async def test_heartbeats_of_nodes_wake_nobody_and_spoil_nothing(bench: Bench) -> None:
    bench.put(node("n1"))
    revision = bench.scheduler.cache.table.revision
    bench.put(node("n1"))
    assert bench.scheduler.cache.table.revision == revision


class Faulty(Plugin):
    def pre_filter(self, cycle: Cycle) -> None:
        if cycle.pod.name == "poison":
            raise RuntimeError("cannot divide by zero")

    local = False


async def test_a_fault_of_a_plugin_with_one_pod_does_not_stop_the_others(started: Started) -> None:
    bench = started(specs=[*collect_plugins(), PluginSpec("Faulty", Faulty)])
    bench.put(node("n1"))
    bench.put(pod("poison"))
    bench.put(pod("web"))
    await bench.until(lambda: bench.rest.bindings and bench.rest.patches)
    assert bench.rest.bindings == [("default/web", "n1")]
    (condition,) = bench.rest.patches[0][1]["status"]["conditions"]
    assert (condition["reason"], condition["message"]) == (
        "SchedulerError",
        "scheduling failed: cannot divide by zero",
    )


class Full(Plugin):
    def reserve(self, cycle: Cycle, node: str) -> Rejected | None:
        return Rejected("nothing left to reserve")


async def test_a_refused_reservation_gives_the_room_back(started: Started) -> None:
    bench = started(specs=[*collect_plugins(), PluginSpec("Full", Full)])
    bench.put(node("n1"))
    bench.put(pod("web", cpu="1"))
    await bench.until(lambda: bench.recorder.events)
    assert bench.recorder.events == [("web", "FailedScheduling", "0/1 nodes are available: 1 nothing left to reserve.")]
    assert len(bench.scheduler.cache) == 0
    assert len(bench.scheduler.queue) == 1


def condition(status: str, reason: str, message: str) -> PodCondition:
    return PodCondition(type="PodScheduled", status=status, reason=reason, message=message)


def test_the_condition_is_written_only_when_it_says_something_new() -> None:
    item = pod()
    first = scheduled_patch(Verdict(item, "Unschedulable", "no room"), 0.0)
    assert first is not None
    assert first["status"]["conditions"][0]["lastTransitionTime"] == "1970-01-01T00:00:00Z"  # type: ignore[index]
    item.status.conditions = [condition("False", "Unschedulable", "no room")]
    assert scheduled_patch(Verdict(item, "Unschedulable", "no room"), 9.0) is None
    again = scheduled_patch(Verdict(item, "Unschedulable", "still no room"), 9.0)
    assert again is not None
    assert "lastTransitionTime" not in again["status"]["conditions"][0]  # type: ignore[index]
    told = scheduled_patch(Verdict(item, "Unschedulable", "no room", "n1"), 9.0)
    assert told is not None
    assert told["status"] == {"nominatedNodeName": "n1"}


class Gang(Plugin):
    """Lets pods wait until there are two."""

    def permit(self, cycle: Cycle, node: str) -> Rejected | Wait | None:
        others = list(self.handle.waiting)
        for other in others:
            other.allow(self.name)
        return None if others else Wait(SECONDS["gang"])


SECONDS = {"gang": 60.0}


async def test_pods_wait_at_permit_until_they_are_allowed(started: Started) -> None:
    bench = started(specs=[*collect_plugins(), PluginSpec("Gang", Gang)])
    bench.put(node("n1"))
    bench.put(pod("first", cpu="1"))
    await bench.until(lambda: len(bench.scheduler.cache) == 1)
    assert not bench.rest.bindings
    bench.put(pod("second", cpu="1"))
    await bench.until(lambda: len(bench.rest.bindings) == 2)


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


async def test_each_pod_is_scheduled_by_the_profile_of_its_name(started: Started) -> None:
    """The second profile has a filter of its own, and both see each other's pods."""

    class Never(Plugin):
        def filter(self, cycle: Cycle, rows: Rows) -> BoolArray:
            return np.zeros(len(self.table.valid[rows]), np.bool_)

        def reasons(self, cycle: Cycle, rows: IntArray) -> dict[str, int]:
            return {"node(s) never do": len(rows)}

    never = PluginSpec("Never", Never, requeue_on={NODE: Change.ADD})
    bench = started(profiles=[Profile("a", collect_plugins()), Profile("b", [*collect_plugins(), never])])
    bench.put(node("n1", pods="1"))
    bench.put(pod("other", schedulerName="c"))
    bench.put(pod("refused", schedulerName="b"))
    await bench.until(lambda: bench.recorder.events)
    assert bench.recorder.events[0][2].startswith("0/1 nodes are available: 1 node(s) never do. preemption: ")
    bench.put(pod("first", schedulerName="a"))
    await bench.until(lambda: bench.rest.bindings)
    assert bench.rest.bindings == [("default/first", "n1")]
    bench.put(pod("second", schedulerName="b"))
    await bench.until(lambda: len(bench.recorder.events) == 3)
    assert bench.recorder.events[2][2] == f"0/1 nodes are available: 1 Too many pods. {NO_VICTIMS}"
    assert len(bench.scheduler.queue) == 2


def test_profiles_must_sort_alike() -> None:
    class OtherSort(Plugin):
        def sort_key(self, pod: Pod) -> int:
            return 0

    others = [spec for spec in collect_plugins() if spec.name != "PrioritySort"]
    with pytest.raises(ValueError, match="share a queue"):
        Bench(profiles=[Profile("a", collect_plugins()), Profile("b", [*others, PluginSpec("Other", OtherSort)])])


async def test_a_plugin_prepares_itself_and_works_beside_the_scheduler(started: Started) -> None:
    class Working(Plugin):
        ready = began = False

        async def prepare(self) -> None:
            Working.ready = True

        async def run(self) -> None:
            Working.began = Working.ready

    bench = started(specs=[*collect_plugins(), PluginSpec("Working", Working)])
    await bench.until(lambda: Working.began)


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


async def test_a_pod_is_explained_as_if_it_had_no_node() -> None:
    bench = Bench()
    bench.put(node("n1", cpu="2"))
    bench.put(node("n2", cpu="1"))
    bench.bound(pod("web", cpu="2", schedulerName=DEFAULT_NAME), "n1")
    bench.put(pod("other", schedulerName="other"))
    text = await explain_pod(bench.scheduler, "default/web")
    assert text.startswith("Pod default/web runs on n1. Nodes that would do now: 1 of 2.\n\nScores, times")
    assert text.endswith("\nn2     NodeResourcesFit   Insufficient cpu\n")
    assert "NodeName" not in text
    with pytest.raises(NothingToExplain, match="is for the scheduler other"):
        await explain_pod(bench.scheduler, "default/other")
    with pytest.raises(NothingToExplain, match="no pod default/none"):
        await explain_pod(bench.scheduler, "default/none")


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
