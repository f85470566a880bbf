"""Evicts pods while the node is short of memory, disk or processes, or that use more storage than their limits.

One pod goes at a time: the next look is made once it has ended, as it may have freed enough.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from prometheus_client import Counter

from componentbase import logs
from componentbase.clock import Clock
from componentbase.tasks import first_of
from kubeapi.core.node import Node
from kubeapi.core.pod.model import Pod
from kubelet.container.events import Events
from kubelet.container.images.gc import GarbageCollector
from kubelet.container.limits import is_critical
from kubelet.eviction.local_storage import is_limited, violation
from kubelet.eviction.pressure import (
    Observation,
    PressureState,
    look,
    memory_room,
    most_urgent,
    observe,
    resolved,
    without_due,
)
from kubelet.eviction.ranking import eviction_message, ranked
from kubelet.eviction.thresholds import EvictionPolicy, Threshold
from kubelet.pod.status.compute import Failure
from kubelet.pod.table import PodTable
from kubelet.pod.work import MIN_GRACE_SECONDS
from kubelet.pod.workers import PodWorkers
from kubelet.runtime.interface import EngineError
from kubelet.stats.collector import Collector
from kubelet.stats.figures import NodeFigures

EVERY_SECONDS = 10.0
POD_END_SECONDS = 30.0  # how long the next look waits for an evicted pod

EVICTIONS = Counter(
    "kubelet_evictions", "[ALPHA] Cumulative number of pod evictions by eviction signal", ["eviction_signal"]
)

log = logs.logger(__name__)


class EvictionManager:
    """`changed()` is called when pressure conditions have changed; `node()` is the subject of the node's events.

    `memory_grown(room)`, if any, returns before the next look is due when a control group has grown by its room.
    """

    def __init__(
        self,
        policy: EvictionPolicy,
        collector: Collector,
        garbage: GarbageCollector,
        workers: PodWorkers,
        table: PodTable,
        events: Events,
        clock: Clock,
        node: Callable[[], Node],
        changed: Callable[[], None],
        memory_grown: Callable[[Mapping[str, int]], Awaitable[None]] | None = None,
    ) -> None:
        self._policy = policy
        self._collector = collector
        self._garbage = garbage
        self._workers = workers
        self._table = table
        self._events = events
        self._clock = clock
        self._node = node
        self._changed = changed
        self._memory_grown = memory_grown
        self._state = PressureState()
        self._room: dict[str, int] = {}

    def conditions(self) -> frozenset[str]:
        """The pressure conditions that hold now."""
        return self._state.conditions

    async def run(self) -> None:
        """Runs until cancelled."""
        early = False
        while True:
            ended = None
            try:
                ended = await self.check()
            except (EngineError, OSError) as error:
                log.warning("resources not checked, will retry", error=str(error))
            if ended is not None:
                await first_of(ended.wait(), self._clock.sleep(POD_END_SECONDS))
            elif early or self._memory_grown is None:  # one early look in a period: use may swing about a threshold
                early = False
                await self._clock.sleep(EVERY_SECONDS)
            else:
                early = await first_of(self._grown(self._memory_grown), self._clock.sleep(EVERY_SECONDS)) == 0

    async def _grown(self, memory_grown: Callable[[Mapping[str, int]], Awaitable[None]]) -> None:
        try:
            await memory_grown(self._room)
        except OSError as error:
            log.warning("memory is not watched until the next look", error=str(error))
            await asyncio.Event().wait()

    async def check(self) -> asyncio.Event | None:
        """Looks once; returns the event of a pod's end when it has evicted one. Raises: EngineError; OSError."""
        figures = await self._collector.node()
        observed = observe(figures)
        self._room = memory_room(self._policy, observed, figures.pods.group if figures.pods else "")
        self._look(observed)
        if ended := await self._enforce_limits():
            return ended
        threshold = most_urgent(self._state.due)
        if threshold is None:
            return None
        resource = threshold.kind.resource
        self._events.event(self._node(), "Warning", "EvictionThresholdMet", f"Attempting to reclaim {resource}")
        log.warning("eviction threshold met", signal=threshold.signal, resource=resource)
        if threshold.kind.condition == "DiskPressure" and await self._reclaim(threshold, figures):
            return None
        return await self._evict_one(threshold)

    def _look(self, observed: dict[str, Observation]) -> None:
        before = self._state.conditions
        self._state = look(self._policy, observed, self._state, self._clock.monotonic())
        if self._state.conditions != before:
            log.info("pressure changed", conditions=",".join(sorted(self._state.conditions)) or "none")
            self._changed()

    async def _enforce_limits(self) -> asyncio.Event | None:
        """Ends the pods over their own limits of storage; the event of the last one's end."""
        limited = [pod for pod in self._table.admitted() if is_limited(pod)]
        if not limited:
            return None
        await self._collector.measure_disk(limited)
        snapshot = await self._collector.snapshot(disk=True, only={pod.metadata.uid or "" for pod in limited})
        ended = None
        for figures in snapshot.pods:
            if message := violation(figures):
                ended = self._evict(figures.pod, message, MIN_GRACE_SECONDS, "ephemeralpodfs.limit") or ended
        return ended

    async def _reclaim(self, threshold: Threshold, figures: NodeFigures) -> bool:
        """Removes dead containers and unused images; True when that was enough. Raises: EngineError; OSError.

        Where images have a file system of their own, that gives the other one no room.
        """
        if threshold.signal.startswith("nodefs.") and _dedicated_imagefs(figures):
            return False
        await self._garbage.remove_unused()
        observed = observe(await self._collector.node())
        if not all(resolved(item, observed) for item in self._state.due if item.kind.condition == "DiskPressure"):
            return False
        log.info("reclaimed enough without evicting a pod", resource=threshold.kind.resource)
        self._state = without_due(self._state)
        return True

    async def _evict_one(self, threshold: Threshold) -> asyncio.Event | None:
        if threshold.kind.condition == "DiskPressure":
            await self._collector.measure_disk()
        snapshot = await self._collector.snapshot(detailed=True, disk=True)
        observed = observe(snapshot.node).get(threshold.signal)
        by_uid = {item.pod.metadata.uid or "": item for item in snapshot.pods}
        pods = [pod for pod in self._table.admitted() if self._table.is_syncing(pod.metadata.uid or "")]
        dedicated = _dedicated_imagefs(snapshot.node)
        for candidate in ranked(pods, by_uid, threshold, dedicated_imagefs=dedicated):
            grace = MIN_GRACE_SECONDS
            if threshold.grace_seconds is not None:
                asked = candidate.pod.spec.terminationGracePeriodSeconds
                grace = min(self._policy.max_pod_grace_seconds, asked if asked is not None else 30)
            message = eviction_message(candidate, threshold, observed)
            if ended := self._evict(candidate.pod, message, grace, threshold.signal, disruption=True):
                return ended
        log.warning("no pod can be evicted", signal=threshold.signal)
        return None

    def _evict(
        self, pod: Pod, message: str, grace_seconds: int, signal: str, *, disruption: bool = False
    ) -> asyncio.Event | None:
        """Ends the pod; None for one that the node cannot do without."""
        if is_critical(pod):
            log.warning("critical pod not evicted", pod=pod.key, why=message.strip())
            return None
        log.info("evicting pod", pod=pod.key, signal=signal, why=message.strip())
        EVICTIONS.labels(signal).inc()
        self._events.event(pod, "Warning", "Evicted", message)
        failure = Failure("Evicted", message, disruption=disruption)
        return self._workers.fail(pod.metadata.uid or "", failure, max(grace_seconds, MIN_GRACE_SECONDS))


def _dedicated_imagefs(node: NodeFigures) -> bool:
    return node.imagefs is not None and node.imagefs.device != node.nodefs.device
