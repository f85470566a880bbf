"""Writes into a pod's status why it has no node, and which node it is promised."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

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
    """Says why a pod has no node."""

    pod: Pod
    reason: str
    message: str
    nominated: str | None = None
    """The node that it is promised; "" for none any more, None leaves it."""


def scheduled_patch(verdict: Verdict, now: float) -> dict[str, object] | None:
    """Returns a strategic merge patch of the status; None when the pod says so already."""
    pod, reason, message = verdict.pod, verdict.reason, verdict.message
    current = get_condition(pod.status.conditions, POD_SCHEDULED)
    told = current is not None and (current.status, current.reason, current.message) == ("False", reason, message)
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
    if not promised:
        status["nominatedNodeName"] = verdict.nominated or None
    return {"metadata": metadata, "status": status}


class StatusWriter:
    def __init__(self, rest: RestClient, clock: Clock) -> None:
        self._rest, self._clock = rest, clock
        self._waiting: dict[str, Verdict] = {}
        self._work = asyncio.Semaphore(0)

    def not_scheduled(self, pod: Pod, reason: str, message: str, nominated: str | None = None) -> None:
        """Writes the latest word on each pod: an earlier one that still waits is replaced."""
        uid = pod_id(pod)
        earlier = self._waiting.get(uid)
        if earlier is None:
            self._work.release()
        elif nominated is None:
            nominated = earlier.nominated
        self._waiting[uid] = Verdict(pod, reason, message, nominated)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(WRITERS):
                tasks.create_task(self._write_all())

    async def _write_all(self) -> None:
        while True:
            await self._work.acquire()
            uid = next(iter(self._waiting))
            await self._write(self._waiting.pop(uid))

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
