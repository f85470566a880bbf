"""Writes into a pod's status why it has no node, and which node it is promised."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, replace

from apimachinery.conditions import get_condition
from apimachinery.errors import Conflict, NotFound, StatusError
from apimachinery.times import format_time
from componentbase import logs
from componentbase.clock import Clock
from kubeclient.rest import STRATEGIC_MERGE_PATCH, RestClient
from scheduler.state.podinfo import pod_id
from scheduler.views.pod import Pod

POD_SCHEDULED = "PodScheduled"
UNSCHEDULABLE = "Unschedulable"
SCHEDULER_ERROR = "SchedulerError"

WRITERS = 4  # patches under way at once; what waits is bounded by the waiting pods, each of which has one at most

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Says why a pod has no node, or without a reason that it is about to get one."""

    pod: Pod
    reason: str
    message: str
    nominated: str | None = None
    """The node that it is promised, or expected on; "" for none any more, None leaves it."""


def scheduled_patch(verdict: Verdict, now: float) -> dict[str, object] | None:
    """Returns a strategic merge patch of the status; None when the pod says so already."""
    pod, reason, message = verdict.pod, verdict.reason, verdict.message
    current = get_condition(pod.status.conditions, POD_SCHEDULED)
    told = not reason or (
        current is not None and (current.status, current.reason, current.message) == ("False", reason, message)
    )
    promised = verdict.nominated is None or verdict.nominated == (pod.status.nominatedNodeName or "")
    if told and promised:
        return None
    condition: dict[str, object] = {"type": POD_SCHEDULED, "status": "False", "reason": reason, "message": message}
    if current is None or current.status != "False":
        condition["lastTransitionTime"] = format_time(now)
    if pod.metadata.generation is not None:
        condition["observedGeneration"] = pod.metadata.generation
    metadata = {"uid": pod.metadata.uid} if pod.metadata.uid else {}
    status: dict[str, object] = {} if told else {"conditions": [condition]}
    if not promised or verdict.nominated == "":  # what the pod says may be behind an expectation
        status["nominatedNodeName"] = verdict.nominated or None
    return {"metadata": metadata, "status": status}


class StatusWriter:
    def __init__(self, rest: RestClient, clock: Clock) -> None:
        self._rest, self._clock = rest, clock
        self._waiting: dict[str, Verdict] = {}
        self._order: deque[str] = deque()
        self._unwritten: dict[str, asyncio.Event] = {}
        """Pods of which something waits or is under way; set when there is nothing more."""
        self._work = asyncio.Semaphore(0)

    def not_scheduled(self, pod: Pod, reason: str, message: str, nominated: str | None = None) -> None:
        """Writes the latest word on each pod: an earlier one that still waits is replaced."""
        verdict = Verdict(pod, reason, message, nominated)
        earlier = self._waiting.get(pod_id(pod))
        if earlier is not None and nominated is None:
            verdict = replace(verdict, nominated=earlier.nominated)
        self._put(verdict)

    def placed(self, pod: Pod, expected: str = "") -> None:
        """Drops what waits to be written, as the pod has a node now; `expected` tells others which, where that takes
        a while."""
        self._waiting.pop(pod_id(pod), None)
        if expected:
            self._put(Verdict(pod, "", "", expected))

    async def settled(self, pod: Pod) -> None:
        """Waits until nothing is being written about the pod: after its binding it would no longer be true."""
        if (unwritten := self._unwritten.get(pod_id(pod))) is not None:
            await unwritten.wait()

    def _put(self, verdict: Verdict) -> None:
        uid = pod_id(verdict.pod)
        self._waiting[uid] = verdict
        if uid not in self._unwritten:
            self._unwritten[uid] = asyncio.Event()
            self._order.append(uid)
            self._work.release()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(WRITERS):
                tasks.create_task(self._write_all())

    async def _write_all(self) -> None:
        while True:
            await self._work.acquire()
            uid = self._order.popleft()
            while (verdict := self._waiting.pop(uid, None)) is not None:
                await self._write(verdict)
            self._unwritten.pop(uid).set()

    async def _write(self, verdict: Verdict) -> None:
        """Writes once: the next attempt at the pod makes up for a lost write."""
        pod = verdict.pod
        patch = scheduled_patch(verdict, self._clock.now())
        if patch is None:
            return
        try:
            await self._rest.patch(
                Pod, pod.name, pod.namespace, patch, content_type=STRATEGIC_MERGE_PATCH, subresource="status"
            )
        except (NotFound, Conflict):
            return  # gone, or another pod of that name
        except (StatusError, ConnectionError, TimeoutError) as error:
            log.warning("pod status not written", pod=pod.key, error=str(error))
