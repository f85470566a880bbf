"""Evicts the victims of preemption: a condition that says why, then a deletion with the pod's own grace period."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass

from apimachinery.conditions import get_condition
from apimachinery.errors import Conflict, NotFound, StatusError
from apimachinery.times import format_time
from componentbase import logs
from componentbase.clock import Clock
from kubeclient.rest import STRATEGIC_MERGE_PATCH
from scheduler.framework import Handle
from scheduler.state.podinfo import PodInfo, pod_id
from scheduler.views.pod import Pod

DISRUPTION_TARGET = "DisruptionTarget"
PREEMPTION_BY_SCHEDULER = "PreemptionByScheduler"
WRITERS = 16  # evictions under way at once; what waits is bounded by the pods that are on nodes and that have none
FORGOTTEN = 64  # preemptors that are remembered beyond their time, before all are looked through

log = logs.logger(__name__)


def is_preempted(pod: PodInfo) -> bool:
    """Tells whether the pod is being deleted because a scheduler preempted it."""
    return pod.terminating and _is_target(pod.pod)


def _is_target(pod: Pod) -> bool:
    """Tells whether the pod's status says that a scheduler preempts it."""
    condition = get_condition(pod.status.conditions, DISRUPTION_TARGET)
    return condition is not None and (condition.status, condition.reason) == ("True", PREEMPTION_BY_SCHEDULER)


@dataclass(frozen=True, slots=True)
class _Eviction:
    preemptor: Pod
    node: str
    victim: Pod


class Evictions:
    """`start` never waits: `run` writes to the API."""

    def __init__(self, plugin: str, handle: Handle) -> None:
        self._plugin, self._handle, self._clock = plugin, handle, Clock()
        self._waiting: deque[_Eviction | Pod] = deque()
        """Evictions, and pods whose promise is taken back."""
        self._work = asyncio.Semaphore(0)
        self._victims: dict[str, set[str]] = {}
        """Preemptor -> victims that the API has not shown to be going yet, by uid."""
        self._evicting: set[str] = set()
        """The victims of all of these."""
        self._forget_at = FORGOTTEN
        self._unwritten: Counter[str] = Counter()
        """Preemptor -> how many of its evictions are still to be written."""
        self._held: set[str] = set()
        """Preemptors that were kept out of the queue meanwhile."""

    def under_way(self, preemptor: str) -> bool:
        """Tells whether victims of this pod are still to go, as far as they have not begun to."""
        victims = self._victims.get(preemptor)
        if victims is None:
            return False
        for uid in [uid for uid in victims if self._is_going(uid)]:
            victims.discard(uid)
            self._evicting.discard(uid)
        if not victims:
            del self._victims[preemptor]
        return bool(victims)

    def hold(self, preemptor: str) -> bool:
        """Tells whether the pod is to stay out of the queue, until all of its evictions are written."""
        if preemptor in self._unwritten:
            self._held.add(preemptor)
            return True
        return False

    def _written(self, preemptor: str) -> None:
        self._unwritten[preemptor] -= 1
        if not self._unwritten[preemptor]:
            del self._unwritten[preemptor]
            if preemptor in self._held:
                self._held.discard(preemptor)
                self._handle.activate(preemptor)

    def _is_going(self, uid: str) -> bool:
        pod = self._handle.cache.get(uid)
        return pod is None or pod.terminating

    def start(self, preemptor: Pod, node: str, victims: Iterable[PodInfo]) -> None:
        """Evicts those of the victims that are not going already. One that waits at Permit is rejected there."""
        if len(self._victims) > self._forget_at:
            for uid in list(self._victims):
                self.under_way(uid)
            self._forget_at = 2 * len(self._victims) + FORGOTTEN
        for pod in victims:
            if pod.terminating:
                continue
            if pod.uid in self._evicting:
                self._victims.setdefault(pod_id(preemptor), set()).add(pod.uid)
                continue
            if self._handle.waiting.reject(pod.uid, self._plugin, "preempted"):
                self._tell(_Eviction(preemptor, node, pod.pod))
                continue
            self._victims.setdefault(pod_id(preemptor), set()).add(pod.uid)
            self._evicting.add(pod.uid)
            self._unwritten[pod_id(preemptor)] += 1
            self._submit(_Eviction(preemptor, node, pod.pod))

    def take_promise_back(self, pod: Pod) -> None:
        """Has `nominatedNodeName` cleared: the node goes to a pod of higher priority."""
        self._submit(pod)

    def _submit(self, item: _Eviction | Pod) -> None:
        self._waiting.append(item)
        self._work.release()

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(WRITERS):
                    tasks.create_task(self._write_all())
        finally:
            self._waiting.clear()
            self._victims.clear()
            self._evicting.clear()
            self._unwritten.clear()
            self._work = asyncio.Semaphore(0)
            for preemptor in self._held:
                self._handle.activate(preemptor)
            self._held.clear()

    async def _write_all(self) -> None:
        while True:
            await self._work.acquire()
            item = self._waiting.popleft()
            try:
                await (self._clear(item) if isinstance(item, Pod) else self._evict(item))
            except (NotFound, Conflict):
                continue  # gone, or another pod of that name
            except (StatusError, ConnectionError, TimeoutError) as error:
                if isinstance(item, Pod):
                    log.warning("nomination not cleared", pod=item.key, error=str(error))
                else:
                    self._failed(item, str(error))
            finally:
                if isinstance(item, _Eviction):
                    self._written(pod_id(item.preemptor))

    async def _clear(self, pod: Pod) -> None:
        await self._patch_status(pod, {"nominatedNodeName": None})

    async def _evict(self, item: _Eviction) -> None:
        """Raises: what the API server answers."""
        victim = item.victim
        if not _is_target(victim):
            await self._patch_status(victim, {"conditions": [self._condition(item)]})
        rest = self._handle.rest
        assert rest is not None
        await rest.delete(Pod, victim.name, victim.namespace, uid=victim.metadata.uid)
        log.info("preempted", pod=victim.key, preemptor=item.preemptor.key, node=item.node)
        self._tell(item)

    def _condition(self, item: _Eviction) -> dict[str, object]:
        condition: dict[str, object] = {
            "type": DISRUPTION_TARGET,
            "status": "True",
            "reason": PREEMPTION_BY_SCHEDULER,
            "message": f"{item.preemptor.spec.schedulerName}: preempting to accommodate a higher priority pod",
            "lastTransitionTime": format_time(self._clock.now()),
        }
        if item.victim.metadata.generation is not None:
            condition["observedGeneration"] = item.victim.metadata.generation
        return condition

    async def _patch_status(self, pod: Pod, status: dict[str, object]) -> None:
        rest = self._handle.rest
        if rest is None:
            raise RuntimeError("preemption needs an API server")
        patch = {"metadata": {"uid": pod.metadata.uid} if pod.metadata.uid else {}, "status": status}
        await rest.patch(Pod, pod.name, pod.namespace, patch, content_type=STRATEGIC_MERGE_PATCH, subresource="status")

    def _tell(self, item: _Eviction) -> None:
        if self._handle.recorder is not None:
            message = f"Preempted by pod {pod_id(item.preemptor)} on node {item.node}"
            self._handle.recorder.event(
                item.victim, "Normal", "Preempted", message, action="Preempting", related=item.preemptor
            )

    def _failed(self, item: _Eviction, why: str) -> None:
        """Has those tried again that wait for the victim to go: it stays where it is."""
        log.warning("pod not preempted", pod=item.victim.key, preemptor=item.preemptor.key, error=why)
        uid = pod_id(item.victim)
        self._evicting.discard(uid)
        for preemptor, victims in self._victims.items():
            if uid in victims:
                victims.discard(uid)
                self._handle.activate(preemptor)
