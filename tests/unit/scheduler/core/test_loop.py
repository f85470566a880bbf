"""The scheduler as a whole, on a fake API: what it binds, what it says, and how it takes failures."""

from __future__ import annotations

import asyncio

import pytest

from apimachinery.errors import Conflict, NotFound, ServiceUnavailable, StatusError
from scheduler.core import binder
from scheduler.core.status import Verdict, scheduled_patch
from scheduler.framework import Cycle, Plugin, PluginSpec, Rejected, collect_plugins
from scheduler.views.pod import PodCondition
from tests.fakes.clock import FakeClock
from tests.kits.control_plane.scheduler import node, pod
from tests.kits.control_plane.schedulerbench import FULL, NO_VICTIMS, Bench, Started


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


async def test_a_plugin_prepares_itself_and_works_beside_the_scheduler(started: Started) -> None:
    class Working(Plugin):
        ready = began = False

        async def prepare(self) -> None:
            Working.ready = True

        async def run(self) -> None:
            Working.began = Working.ready

    bench = started(specs=[*collect_plugins(), PluginSpec("Working", Working)])
    await bench.until(lambda: Working.began)
