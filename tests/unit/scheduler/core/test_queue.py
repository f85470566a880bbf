"""The pods that wait: order, backoff, and what wakes them."""

from __future__ import annotations

import asyncio
from typing import Any

from scheduler.core.queue import MAX_UNSCHEDULABLE_SECONDS, VOID_ENTRIES, QueuedPod, SchedulingQueue
from scheduler.events import ASSIGNED_POD, NODE, WAITING_POD, Change, ClusterEvent
from scheduler.state.podinfo import pod_id
from scheduler.state.shape import Shape, Shapes
from scheduler.views.pod import Pod
from tests.fakes.clock import FakeClock
from tests.kits.control_plane.scheduler import pod

NODE_ADDED = ClusterEvent(NODE, Change.ADD)


class FakeRules:
    """Priority sorts, gates hold back, and an event helps where the test says so."""

    def __init__(self) -> None:
        self.helps, self.wakes_gated = True, False
        self.asked: list[tuple[frozenset[str], Shape]] = []

    def sort_key(self, pod: Pod) -> int:
        return -(pod.spec.priority or 0)

    def gate(self, pod: Pod) -> tuple[str, str] | None:
        return ("SchedulingGates", "gated") if pod.spec.schedulingGates else None

    def asks_for(self, plugins: frozenset[str], event: ClusterEvent) -> bool:
        return self.wakes_gated

    def may_help(self, plugins: frozenset[str], shape: Shape, event: ClusterEvent) -> bool:
        self.asked.append((plugins, shape))
        return self.helps


class Bench:
    def __init__(self, **backoff: float) -> None:
        self.clock, self.rules = FakeClock(), FakeRules()
        self.queue = SchedulingQueue(self.rules, Shapes(["spec.nodeSelector"]), self.clock, **backoff)

    def add(self, name: str = "web", **spec: Any) -> Pod:
        item = pod(name, **spec)
        self.queue.add(item)
        self.clock.step(0.001)
        return item

    def pop(self) -> QueuedPod:
        queued = self.queue.pop_nowait()
        assert queued is not None
        return queued

    def names(self) -> list[str]:
        """Of all that can be popped now."""
        found = []
        while (queued := self.queue.pop_nowait()) is not None:
            found.append(queued.pod.name)
        return found

    def refuse(self, *plugins: str) -> QueuedPod:
        queued = self.pop()
        self.queue.refused(queued, frozenset(plugins or ("NodeResourcesFit",)))
        return queued

    def counts(self) -> dict[str, int]:
        return {place: count for place, count in self.queue.counts().items() if count}


def test_pods_come_by_priority_and_then_by_age() -> None:
    bench = Bench()
    for name, priority in (("a", 0), ("b", 5), ("c", 0), ("d", 5)):
        bench.add(name, priority=priority)
    assert bench.names() == ["b", "d", "a", "c"]


def test_a_popped_pod_is_nowhere() -> None:
    bench = Bench()
    bench.add()
    bench.pop()
    assert len(bench.queue) == 0
    assert bench.queue.pop_nowait() is None


def test_a_deleted_pod_does_not_come() -> None:
    bench = Bench()
    gone, _ = bench.add("gone"), bench.add("stays")
    bench.queue.delete(pod_id(gone))
    assert bench.names() == ["stays"]


def test_pods_that_come_and_go_unscheduled_leave_nothing_behind() -> None:
    bench = Bench()
    kept = bench.add("kept")
    for _ in range(50 * VOID_ENTRIES):
        bench.queue.delete(pod_id(bench.add()))
    assert len(bench.queue._active) <= VOID_ENTRIES + 2
    assert bench.pop().pod is kept
    for _ in range(50 * VOID_ENTRIES):
        bench.add()
        queued = bench.pop()
        bench.queue.failed(queued)
        bench.queue.delete(queued.uid)
    assert len(bench.queue) == 0
    assert len(bench.queue._backoff) <= VOID_ENTRIES + 2


def test_a_refused_pod_waits_for_an_event() -> None:
    bench = Bench()
    bench.add()
    bench.refuse()
    assert bench.counts() == {"unschedulable": 1}
    bench.clock.step(100)
    assert bench.names() == []
    bench.queue.happened(NODE_ADDED)
    assert bench.names() == ["web"]


def test_an_event_that_does_not_help_wakes_nobody() -> None:
    bench = Bench()
    bench.add()
    bench.refuse()
    bench.rules.helps = False
    bench.clock.step(100)
    bench.queue.happened(NODE_ADDED)
    assert bench.counts() == {"unschedulable": 1}


def test_alike_pods_are_asked_about_once() -> None:
    bench = Bench()
    for number in range(5):
        bench.add(f"alike-{number}", cpu="1")
    bench.add("other", cpu="2")
    for _ in range(6):
        bench.refuse("NodeResourcesFit")
    bench.rules.asked.clear()
    bench.queue.happened(NODE_ADDED)
    assert len(bench.rules.asked) == 2


def test_a_pod_woken_early_is_tried_before_its_backoff_is_over_if_nothing_else_is_to_do() -> None:
    bench = Bench()
    bench.add("refused", priority=5)
    bench.add("important", priority=9)
    bench.refuse()
    bench.refuse()
    bench.queue.happened(NODE_ADDED)
    assert bench.counts() == {"backoff": 2}
    bench.add("fresh")
    assert bench.names() == ["fresh", "important", "refused"]


def test_a_pod_that_failed_sits_out_its_backoff() -> None:
    bench = Bench()
    bench.add()
    bench.queue.failed(bench.pop())
    assert bench.queue.seconds_to_next() == 1.0
    bench.clock.step(0.99)
    assert bench.names() == []
    bench.clock.step(0.02)
    assert bench.names() == ["web"]


def test_backoff_doubles_with_each_attempt_up_to_ten_seconds() -> None:
    bench = Bench()
    bench.add()
    waits = []
    for _ in range(6):
        bench.queue.failed(bench.pop())
        wait = bench.queue.seconds_to_next()
        assert wait is not None
        waits.append(wait)
        bench.clock.step(wait)
    assert waits == [1, 2, 4, 8, 10, 10]


def test_backoff_may_be_configured() -> None:
    bench = Bench(first_backoff_seconds=3, max_backoff_seconds=4)
    bench.add()
    waits = []
    for _ in range(3):
        bench.queue.failed(bench.pop())
        waits.append(bench.queue.seconds_to_next())
        bench.clock.step(4)
    assert waits == [3, 4, 4]


def test_a_pod_that_events_passed_by_during_its_attempt_waits_for_its_backoff_alone() -> None:
    bench = Bench()
    bench.add("web")
    queued, weighed = bench.pop(), bench.queue.events
    bench.queue.happened(NODE_ADDED)
    bench.queue.refused(queued, frozenset({"NodeResourcesFit"}), weighed)
    assert bench.queue.counts()["unschedulable"] == 0
    assert bench.names() == ["web"]
    bench.queue.refused(queued, frozenset({"NodeResourcesFit"}), bench.queue.events)
    assert bench.names() == []


def test_backoff_counts_from_the_attempt_not_from_the_event() -> None:
    bench = Bench()
    bench.add()
    bench.refuse()
    bench.clock.step(5)
    bench.queue.happened(NODE_ADDED)
    assert bench.counts() == {"active": 1}


def test_a_pod_that_no_event_helped_is_tried_again_after_five_minutes() -> None:
    bench = Bench()
    bench.add("first")
    bench.refuse()
    bench.clock.step(60)
    bench.add("second")
    bench.refuse()
    bench.clock.step(MAX_UNSCHEDULABLE_SECONDS - 60)
    assert bench.names() == ["first"]
    bench.clock.step(60)
    assert bench.names() == ["second"]


def test_a_failed_pod_comes_again_without_any_event() -> None:
    bench = Bench()
    bench.add()
    bench.queue.failed(bench.pop())
    assert bench.counts() == {"backoff": 1}
    bench.clock.step(1)
    assert bench.names() == ["web"]


def test_a_retried_pod_goes_behind_those_that_came_meanwhile() -> None:
    bench = Bench()
    bench.add("old")
    bench.clock.step(1)
    bench.queue.failed(bench.pop())
    bench.clock.step(-0.5)
    bench.add("young")
    bench.clock.step(2)
    assert bench.names() == ["young", "old"]


def changed(item: Pod, **metadata: Any) -> Pod:
    new = item.clone()
    for name, value in metadata.items():
        setattr(new.metadata, name, value)
    return new


def test_a_gated_pod_waits_until_its_gates_are_gone() -> None:
    bench = Bench()
    item = bench.add(schedulingGates=[{"name": "wait"}], generation=1)
    bench.queue.happened(NODE_ADDED)
    assert bench.counts() == {"gated": 1}
    bench.queue.update(item, relabelled := changed(item, labels={"a": "b"}))
    assert bench.counts() == {"gated": 1}
    free = changed(relabelled, generation=2)
    free.spec.schedulingGates = None
    bench.queue.update(relabelled, free)
    assert bench.pop().pod is free


def test_a_change_of_the_pod_itself_may_help_it() -> None:
    bench = Bench()
    item = bench.add(generation=1)
    bench.refuse("TaintToleration")
    bench.clock.step(10)
    bench.rules.helps = False
    bench.queue.update(item, item := changed(item, generation=2))
    assert bench.counts() == {"unschedulable": 1}
    bench.rules.helps = True
    bench.queue.update(item, item := changed(item, generation=3))
    assert bench.pop().pod is item


def test_a_new_status_wakes_nobody_but_is_remembered() -> None:
    bench = Bench()
    item = bench.add(generation=1)
    queued = bench.refuse()
    bench.rules.asked.clear()
    new = item.clone()
    new.status.phase = "Pending"
    bench.queue.update(item, new)
    assert bench.rules.asked == []
    assert queued.pod is new


def test_a_changed_pod_that_is_due_keeps_its_place_with_its_new_shape() -> None:
    bench = Bench()
    item = bench.add("first", generation=1)
    bench.add("second")
    new = changed(item, generation=2)
    new.spec.nodeSelector = {"zone": "a"}
    bench.queue.update(item, new)
    queued = bench.pop()
    assert (queued.pod, queued.shape.spec.nodeSelector) == (new, {"zone": "a"})
    assert bench.names() == ["second"]


def test_updates_of_pods_that_are_not_here_are_ignored() -> None:
    bench = Bench()
    item = bench.add()
    bench.pop()
    bench.queue.update(item, changed(item, labels={"a": "b"}))
    assert len(bench.queue) == 0


def test_the_own_change_is_told_as_such() -> None:
    bench = Bench()
    seen: list[ClusterEvent] = []
    bench.rules.may_help = lambda plugins, shape, event: bool(seen.append(event)) or True  # type: ignore[method-assign,func-returns-value]
    item = bench.add()
    bench.refuse()
    bench.queue.update(item, changed(item, labels={"a": "b"}))
    assert [(event.resource, event.change) for event in seen] == [(WAITING_POD, Change.LABELS)]


async def test_pop_waits_for_a_pod() -> None:
    bench = Bench()
    waiting = asyncio.ensure_future(bench.queue.pop())
    await asyncio.sleep(0)
    assert not waiting.done()
    bench.add("late")
    assert (await waiting).pod.name == "late"


async def test_pop_waits_out_a_backoff() -> None:
    bench = Bench()
    bench.add()
    bench.queue.failed(bench.pop())
    bench.clock.step(0.995)
    waiting = asyncio.ensure_future(bench.queue.pop())
    await asyncio.sleep(0)
    assert not waiting.done()
    bench.clock.step(0.01)
    async with asyncio.timeout(5):
        assert (await waiting).pod.name == "web"


def test_nothing_but_an_event_is_due_while_only_gated_pods_wait() -> None:
    bench = Bench()
    bench.add(schedulingGates=[{"name": "wait"}])
    assert bench.queue.seconds_to_next() is None
    bench.queue.happened(ClusterEvent(ASSIGNED_POD, Change.DELETE))
    assert bench.counts() == {"gated": 1}


def test_a_pod_that_is_activated_is_tried_at_once_unless_it_is_gated() -> None:
    bench = Bench()
    bench.add("failed")
    bench.queue.failed(bench.pop())
    bench.add("refused")
    bench.refuse()
    gated = bench.add("gated", schedulingGates=[{"name": "wait"}])
    for queued in list(bench.queue._pods.values()):
        bench.queue.activate(queued.uid)
    assert bench.counts() == {"active": 2, "gated": 1}
    bench.rules.gate = lambda pod: None  # type: ignore[method-assign]
    bench.queue.activate(pod_id(gated))
    assert bench.counts() == {"active": 3}


def test_an_event_wakes_the_gated_pods_whose_plugin_asked_for_it() -> None:
    bench = Bench()
    bench.add("gated", schedulingGates=[{"name": "a"}])
    bench.queue.happened(NODE_ADDED)
    assert bench.rules.asked == []
    bench.rules.wakes_gated = True
    bench.queue.happened(NODE_ADDED)
    assert [plugins for plugins, _ in bench.rules.asked] == [frozenset({"SchedulingGates"})]
    assert bench.names() == []  # its gate is asked again
    bench.rules.gate = lambda pod: None  # type: ignore[method-assign]
    bench.queue.happened(NODE_ADDED)
    assert bench.names() == ["gated"]
    bench.queue.happened(NODE_ADDED)
    assert len(bench.rules.asked) == 2
