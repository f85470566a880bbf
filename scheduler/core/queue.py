"""Queues the pods that wait for a node, and decides when each is tried (again).

- active: to be tried now, by QueueSort's key and age;
- backoff: to be tried again once its backoff is over (1 s, doubled by each attempt, up to 10 s); one that plugins
  refused is tried before that if nothing else is to do;
- unschedulable: refused by plugins; an event that one of those finds helpful moves it on, and so do five minutes;
- gated: kept out by PreEnqueue until the pod itself changes, or an event that the plugin asked for.

The queue is bounded by the pods that exist and have no node.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol

from componentbase.clock import Clock
from componentbase.tasks import wait_for
from scheduler.events import WAITING_POD, ClusterEvent, pod_change
from scheduler.state.podinfo import pod_id
from scheduler.state.shape import Shape, Shapes
from scheduler.views.pod import Pod

FIRST_BACKOFF_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 10.0
"""A configuration may say otherwise."""
MAX_DOUBLINGS = 64  # by then any wait is the longest one
MAX_UNSCHEDULABLE_SECONDS = 300.0
"""After this long a pod is tried again even if no event helped: hints may be wrong."""
STALE_CHECK_SECONDS = 30.0
VOID_ENTRIES = 64  # entries of pods that are gone, beyond as many as there are pods, before a heap is made anew


class QueueState(Enum):
    ACTIVE = "active"
    BACKOFF = "backoff"
    UNSCHEDULABLE = "unschedulable"
    GATED = "gated"
    NOWHERE = "nowhere"
    """Popped: it is being scheduled."""


class QueuedPod:
    """Holds a waiting pod and its history."""

    __slots__ = (
        "added_at", "attempts", "backoff_until", "failed", "gate", "gated_by", "place", "plugins", "pod", "queued_at",
        "shape", "sort_key", "ticket", "uid",
    )  # fmt: skip

    def __init__(self, pod: Pod, shape: Shape, sort_key: Any, now: float) -> None:
        self.pod, self.shape, self.sort_key = pod, shape, sort_key
        self.uid = pod_id(pod)
        self.added_at = now
        """When it came here, in monotonic seconds like all times in this class."""
        self.queued_at = now
        """When it came or was tried last: among pods of equal key the earliest goes first."""
        self.attempts = 0
        self.plugins: frozenset[str] = frozenset()
        """The plugins that refused it last."""
        self.failed = False
        """True when its last attempt ended with an error, not with a refusal."""
        self.gate = ""
        self.gated_by: frozenset[str] = frozenset()
        """The plugin whose PreEnqueue keeps it out, for the reason `gate`."""
        self.backoff_until = 0.0
        self.place = QueueState.NOWHERE
        self.ticket = 0
        """The generation of its heap entry; older entries are ignored."""


class _Heap:
    """Orders waiting pods by a key. A pod that is taken out leaves a void entry, until those are the greater part."""

    def __init__(self) -> None:
        self._entries: list[tuple[Any, int, QueuedPod]] = []
        self._tickets = 0
        self._live = 0

    def __len__(self) -> int:
        """Counts the entries, void ones included."""
        return len(self._entries)

    def push(self, key: Any, queued: QueuedPod) -> None:
        self._tickets += 1
        queued.ticket = self._tickets
        heapq.heappush(self._entries, (key, queued.ticket, queued))
        self._live += 1

    def discard(self, queued: QueuedPod) -> None:
        """Takes out a pod, which must be in here."""
        queued.ticket = 0
        self._live -= 1
        if len(self._entries) > 2 * self._live + VOID_ENTRIES:
            self._entries = [entry for entry in self._entries if entry[1] == entry[2].ticket]
            heapq.heapify(self._entries)

    def first_key(self) -> Any:
        """Returns the least key; None when nobody is here."""
        while self._entries and self._entries[0][1] != self._entries[0][2].ticket:
            heapq.heappop(self._entries)
        return self._entries[0][0] if self._entries else None

    def pop(self) -> QueuedPod | None:
        if self.first_key() is None:
            return None
        queued = heapq.heappop(self._entries)[2]
        queued.ticket = 0
        self._live -= 1
        return queued


class QueueRules(Protocol):
    """Lists what the queue asks the framework."""

    @property
    def sort_key(self) -> Callable[[Pod], Any]: ...

    def gate(self, pod: Pod) -> tuple[str, str] | None: ...
    def asks_for(self, plugins: frozenset[str], event: ClusterEvent) -> bool: ...
    def may_help(self, plugins: frozenset[str], shape: Shape, event: ClusterEvent) -> bool: ...


class SchedulingQueue:
    def __init__(
        self,
        rules: QueueRules,
        shapes: Shapes,
        clock: Clock,
        *,
        first_backoff_seconds: float = FIRST_BACKOFF_SECONDS,
        max_backoff_seconds: float = MAX_BACKOFF_SECONDS,
    ) -> None:
        self._rules, self._shapes, self._clock = rules, shapes, clock
        self._first_backoff, self._max_backoff = first_backoff_seconds, max_backoff_seconds
        self._pods: dict[str, QueuedPod] = {}
        self._active = _Heap()
        self._backoff = {False: _Heap(), True: _Heap()}
        """By whether the last attempt failed."""
        self._unschedulable: dict[str, QueuedPod] = {}
        self._gated: dict[frozenset[str], dict[str, QueuedPod]] = {}
        """By the plugin that keeps the pods out."""
        self._wake = asyncio.Event()
        self.events = 0
        """How many events there have been."""

    def __len__(self) -> int:
        return len(self._pods)

    def counts(self) -> dict[str, int]:
        """Counts the pods by place, for metrics."""
        counts = dict.fromkeys((place.value for place in QueueState if place is not QueueState.NOWHERE), 0)
        for queued in self._pods.values():
            counts[queued.place.value] += 1
        return counts

    def find(self, uid: str) -> QueuedPod | None:
        return self._pods.get(uid)

    # what happens to pods

    def add(self, pod: Pod) -> None:
        """Takes in a pod without a node that was not here."""
        queued = QueuedPod(pod, self._shapes.of(pod), self._rules.sort_key(pod), self._clock.monotonic())
        self._pods[queued.uid] = queued
        self._enqueue(queued)

    def update(self, old: Pod, new: Pod) -> None:
        """Takes in a change of a waiting pod; one that is not here is being scheduled, and read again after that."""
        queued = self._pods.get(pod_id(new))
        if queued is None:
            return
        queued.pod = new
        change = pod_change(old, new)
        if not change:
            return
        queued.shape, queued.sort_key = self._shapes.of(new), self._rules.sort_key(new)
        event = ClusterEvent(WAITING_POD, change, old, new)
        if queued.place in (QueueState.ACTIVE, QueueState.BACKOFF):
            return
        if queued.place is QueueState.GATED:
            self._ungate(queued)
            self._enqueue(queued)
        elif self._rules.may_help(queued.plugins, queued.shape, event):
            self._unschedulable.pop(queued.uid, None)
            self._enqueue(queued)

    def delete(self, uid: str) -> None:
        queued = self._pods.pop(uid, None)
        if queued is None:
            return
        if queued.place is QueueState.ACTIVE:
            self._active.discard(queued)
        elif queued.place is QueueState.BACKOFF:
            self._backoff[queued.failed].discard(queued)
        self._unschedulable.pop(uid, None)
        self._ungate(queued)
        queued.place = QueueState.NOWHERE

    # the outcome of an attempt

    def refused(self, queued: QueuedPod, plugins: frozenset[str], weighed: int | None = None) -> None:
        """Lets a pod that no node fits wait for an event that helps.

        It waits for its backoff alone where there have been more events than the `weighed` ones that its attempt knew.
        """
        queued.plugins, queued.failed = plugins, False
        self._back_off(queued)
        self._pods[queued.uid] = queued
        if weighed not in (None, self.events):
            self._enqueue(queued)
            return
        queued.place = QueueState.UNSCHEDULABLE
        self._unschedulable[queued.uid] = queued

    def failed(self, queued: QueuedPod) -> None:
        """Lets a pod try again after its backoff: something went wrong that may go right the next time."""
        queued.plugins, queued.failed = frozenset(), True
        self._back_off(queued)
        self._pods[queued.uid] = queued
        self._enqueue(queued)

    def _back_off(self, queued: QueuedPod) -> None:
        """Notes when the pod may be tried again: each attempt doubles the wait."""
        queued.queued_at = self._clock.monotonic()
        seconds = self._first_backoff * 2.0 ** min(queued.attempts - 1, MAX_DOUBLINGS) if queued.attempts else 0.0
        queued.backoff_until = queued.queued_at + min(seconds, self._max_backoff)

    def happened(self, event: ClusterEvent) -> None:
        """Moves on the pods that the event may help. Pods of one shape get one answer."""
        self.events += 1
        for plugin in [item for item in self._gated if self._rules.asks_for(item, event)]:
            self._wake_helped(self._gated[plugin], event)
        if self._unschedulable:
            self._wake_helped(self._unschedulable, event)

    def _wake_helped(self, waiting: dict[str, QueuedPod], event: ClusterEvent) -> None:
        answers: dict[tuple[Shape, frozenset[str]], bool] = {}
        for queued in list(waiting.values()):
            question = (queued.shape, queued.gated_by or queued.plugins)
            helps = answers.get(question)
            if helps is None:
                helps = answers[question] = self._rules.may_help(question[1], queued.shape, event)
            if helps:
                del waiting[queued.uid]
                self._enqueue(queued)

    def activate(self, uid: str) -> None:
        """Has a pod that waits tried now, whatever its backoff, unless a gate still holds it."""
        queued = self._pods.get(uid)
        if queued is None or queued.place is QueueState.ACTIVE:
            return
        if queued.place is QueueState.BACKOFF:
            self._backoff[queued.failed].discard(queued)
        self._unschedulable.pop(uid, None)
        self._ungate(queued)
        queued.backoff_until = 0.0
        self._enqueue(queued)

    # taking pods out

    async def pop(self) -> QueuedPod:
        """Waits for the next pod to try."""
        while True:
            queued = self.pop_nowait()
            if queued is not None:
                return queued
            self._wake.clear()
            await wait_for(self._wake, self.seconds_to_next())

    def pop_nowait(self) -> QueuedPod | None:
        self.flush()
        queued = self._active.pop() or self._backoff[False].pop()
        if queued is not None:
            del self._pods[queued.uid]
            queued.place = QueueState.NOWHERE
            queued.attempts += 1
        return queued

    def flush(self) -> None:
        """Moves on the pods whose time has come."""
        now = self._clock.monotonic()
        for heap in self._backoff.values():
            while (key := heap.first_key()) is not None and key[0] <= now:
                queued = heap.pop()
                assert queued is not None
                queued.backoff_until = 0.0
                self._enqueue(queued)
        while self._unschedulable:
            queued = next(iter(self._unschedulable.values()))
            if now - queued.queued_at < MAX_UNSCHEDULABLE_SECONDS:
                break
            del self._unschedulable[queued.uid]
            self._enqueue(queued)

    def seconds_to_next(self) -> float | None:
        """Returns the time until `flush` may move something; None when only an event can."""
        now = self._clock.monotonic()
        waits = [key[0] - now for heap in self._backoff.values() if (key := heap.first_key()) is not None]
        if self._unschedulable:
            waits.append(STALE_CHECK_SECONDS)
        return max(min(waits), 0.0) if waits else None

    def _enqueue(self, queued: QueuedPod) -> None:
        """Moves a pod to gated, backoff or active, as it stands."""
        rejected = self._rules.gate(queued.pod)
        queued.gate, queued.gated_by = (rejected[1], frozenset((rejected[0],))) if rejected else ("", frozenset())
        if rejected:
            queued.place = QueueState.GATED
            self._gated.setdefault(queued.gated_by, {})[queued.uid] = queued
        elif queued.backoff_until > self._clock.monotonic():
            queued.place = QueueState.BACKOFF
            # refused pods that are due within one second go by their sort key
            due = queued.backoff_until if queued.failed else math.floor(queued.backoff_until)
            self._backoff[queued.failed].push((due, queued.sort_key, queued.queued_at), queued)
            self._wake.set()
        else:
            queued.place = QueueState.ACTIVE
            self._active.push((queued.sort_key, queued.queued_at), queued)
            self._wake.set()

    def _ungate(self, queued: QueuedPod) -> None:
        self._gated.get(queued.gated_by, {}).pop(queued.uid, None)
