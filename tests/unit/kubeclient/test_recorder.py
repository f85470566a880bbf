"""Events: repetitions are counted, chatter is combined and cut, and the caller never waits."""

from __future__ import annotations

import asyncio
from typing import Any

from apimachinery.errors import NotFound
from apimachinery.meta import ObjectMeta
from kubeapi.core.configmap import ConfigMap
from kubeapi.core.event import Event
from kubeclient.recorder import BURST_PER_OBJECT, REFILL_SECONDS, Correlator, EventRecorder, Subject, build_event
from tests.fakes.clock import QuickClock
from tests.kits.eventually import eventually_async

SUBJECT = Subject("Pod", "v1", "default", "web", "uid", "Normal", "Pulled")


def test_the_same_message_is_one_event() -> None:
    correlator = Correlator()
    keys = {found.key for _ in range(5) if (found := correlator.correlate(SUBJECT, "same", 0.0))}
    assert len(keys) == 1


def test_messages_beyond_ten_are_combined() -> None:
    correlator = Correlator()
    found = [correlator.correlate(SUBJECT, f"message {n}", 0.0) for n in range(15)]
    assert [f.message for f in found[:2] if f] == ["message 0", "message 1"]
    assert {f.message for f in found[10:] if f} == {
        f"(combined from similar events): message {n}" for n in range(10, 15)
    }
    assert len({f.key for f in found if f}) == 11


def test_a_combined_event_is_not_attributed_to_its_reporter() -> None:
    correlator = Correlator()
    occurrences = [correlator.correlate(SUBJECT, f"message {n}", 0.0) for n in (*range(10), 10)]
    events = [build_event(each, "x", "some-controller", "") for each in occurrences if each is not None]
    assert {event.reportingComponent for event in events[:10]} == {"some-controller"}
    assert events[10].reportingComponent == ""
    assert events[10].source is not None
    assert events[10].source.component == "some-controller"


def test_an_object_that_talks_too_much_is_cut_off_for_a_while() -> None:
    correlator = Correlator()
    allowed = [correlator.correlate(SUBJECT, "x", 0.0) is not None for _ in range(40)]
    assert allowed.count(True) == BURST_PER_OBJECT
    assert correlator.correlate(SUBJECT, "x", REFILL_SECONDS - 1) is None
    assert correlator.correlate(SUBJECT, "x", REFILL_SECONDS + 1) is not None
    other = SUBJECT._replace(name="other", uid="2")
    assert correlator.correlate(other, "x", 0.0) is not None


class EventServer:
    """Keeps what is written; can refuse or lose."""

    def __init__(self) -> None:
        self.stored: dict[str, Event] = {}
        self.writes: list[str] = []
        self.error: Exception | None = None

    async def create(self, event: Event) -> Event:
        self.writes.append("create")
        if self.error:
            raise self.error
        self.stored[event.name] = event
        return event

    async def patch(self, model: type[Event], name: str, namespace: str, patch: dict[str, Any]) -> Event:
        self.writes.append("patch")
        if name not in self.stored:
            raise NotFound("gone")
        self.stored[name].count = patch["count"]
        self.stored[name].lastTimestamp = patch["lastTimestamp"]
        return self.stored[name]


POD = ConfigMap(metadata=ObjectMeta(name="web", namespace="team", uid="u1"))


async def until_written(recorder: EventRecorder, server: EventServer, writes: int) -> None:
    await eventually_async(lambda: len(server.writes) >= writes and not recorder._pending)


async def test_a_repeated_event_raises_the_count_of_the_stored_one() -> None:
    server, clock = EventServer(), QuickClock()
    recorder = EventRecorder(server, "kubelet", "worker-1", clock=clock)  # type: ignore[arg-type]
    task = asyncio.ensure_future(recorder.run())
    recorder.event(POD, "Warning", "BackOff", "restarting")
    recorder.event(POD, "Warning", "BackOff", "restarting")
    await until_written(recorder, server, 1)
    clock.step(60)
    recorder.event(POD, "Warning", "BackOff", "restarting")
    await until_written(recorder, server, 2)
    task.cancel()
    (event,) = server.stored.values()
    assert (event.count, event.namespace, event.type, event.reason) == (3, "team", "Warning", "BackOff")
    assert (event.involvedObject.kind, event.involvedObject.uid) == ("ConfigMap", "u1")
    assert (event.source.component, event.source.host) == ("kubelet", "worker-1")
    assert event.firstTimestamp != event.lastTimestamp
    assert server.writes == ["create", "patch"]


async def test_an_event_that_expired_is_written_anew() -> None:
    server = EventServer()
    recorder = EventRecorder(server, "kubelet", clock=QuickClock())  # type: ignore[arg-type]
    task = asyncio.ensure_future(recorder.run())
    recorder.event(POD, "Normal", "Pulled", "m")
    await until_written(recorder, server, 1)
    server.stored.clear()
    recorder.event(POD, "Normal", "Pulled", "m")
    await until_written(recorder, server, 3)
    task.cancel()
    assert server.writes == ["create", "patch", "create"]
    assert len(server.stored) == 1


async def test_what_waits_is_written_at_shutdown() -> None:
    server = EventServer()
    recorder = EventRecorder(server, "kubelet", clock=QuickClock())  # type: ignore[arg-type]
    task = asyncio.ensure_future(recorder.run())
    await asyncio.sleep(0)
    recorder.event(POD, "Normal", "Killing", "bye")
    task.cancel()
    await asyncio.wait([task])
    assert [event.reason for event in server.stored.values()] == ["Killing"]


async def test_a_refused_event_is_dropped_and_the_next_one_written() -> None:
    server = EventServer()
    recorder = EventRecorder(server, "kubelet", clock=QuickClock())  # type: ignore[arg-type]
    task = asyncio.ensure_future(recorder.run())
    server.error = NotFound("namespace gone")
    recorder.event(POD, "Normal", "One", "m")
    await until_written(recorder, server, 1)
    server.error = None
    recorder.event(POD, "Normal", "Two", "m")
    await until_written(recorder, server, 2)
    task.cancel()
    assert [event.reason for event in server.stored.values()] == ["Two"]
