"""Holds the pods that plugins let wait at Permit: they have a node, and are bound once every such plugin allows it.

A waiting pod costs no task. It is bounded by the room in the cluster, as each of them is assumed on its node.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from scheduler.state.podinfo import pod_id
from scheduler.views.pod import Pod

MAX_WAIT_SECONDS = 900.0  # a longer wait is cut to this, as upstream's


@dataclass(frozen=True, slots=True)
class Refusal:
    """Says which plugin won't have the pod on its node, and why."""

    plugin: str
    reason: str


Answer = Callable[[Refusal | None], None]


class WaitingPod:
    """`allow` and `reject` may be called from any plugin; the scheduler hears of the outcome in the next turn."""

    def __init__(self, pod: Pod, node: str, waits: Mapping[str, float], answer: Answer) -> None:
        """`waits` are the seconds that each plugin gives itself before the pod is rejected."""
        self.pod, self.node = pod, node
        self._answer: Answer | None = answer
        self._loop = asyncio.get_running_loop()
        self._timers = {plugin: self._timer(plugin, seconds) for plugin, seconds in waits.items()}

    def allow(self, plugin: str) -> None:
        timer = self._timers.pop(plugin, None)
        if timer is not None:
            timer.cancel()
        if not self._timers:
            self._end(None)

    def reject(self, plugin: str, reason: str) -> None:
        self._end(Refusal(plugin, reason))

    def cancel(self) -> None:
        """Forgets the pod without an answer."""
        self._answer = None
        for timer in self._timers.values():
            timer.cancel()

    def _timer(self, plugin: str, seconds: float) -> asyncio.TimerHandle:
        seconds = min(seconds, MAX_WAIT_SECONDS)
        reason = f"rejected due to timeout after waiting {seconds:g}s at plugin {plugin}"
        return self._loop.call_later(seconds, self.reject, plugin, reason)

    def _end(self, refusal: Refusal | None) -> None:
        answer = self._answer
        self.cancel()
        if answer is not None:
            self._loop.call_soon(answer, refusal)


class WaitingPods:
    def __init__(self) -> None:
        self._pods: dict[str, WaitingPod] = {}

    def __iter__(self) -> Iterator[WaitingPod]:
        """Goes over a copy: whoever looks through them may allow or reject."""
        return iter(list(self._pods.values()))

    def add(self, pod: Pod, node: str, waits: Mapping[str, float], answer: Answer) -> None:
        uid = pod_id(pod)

        def ended(refusal: Refusal | None) -> None:
            del self._pods[uid]
            answer(refusal)

        self._pods[uid] = WaitingPod(pod, node, waits, ended)

    def reject(self, uid: str, plugin: str, reason: str) -> bool:
        """Tells whether such a pod was waiting."""
        waiting = self._pods.get(uid)
        if waiting is not None:
            waiting.reject(plugin, reason)
        return waiting is not None

    def close(self) -> None:
        for waiting in self._pods.values():
            waiting.cancel()
        self._pods.clear()
