"""Empties a node: keeps new pods away, evicts those that have to move, and waits until they are gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from apimachinery.errors import NotFound, StatusError
from apimachinery.meta import DeleteOptions, ObjectMeta, Preconditions
from cluster_autoscaler.groups import CANDIDATE_TAINT
from componentbase import logs
from componentbase.clock import Clock
from kubeapi.core.node import TO_BE_DELETED_TAINT, Node, with_taint, without_taints
from kubeapi.core.pod.lifecycle import is_terminal
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.scheduling.affinity import Taint
from kubeapi.policy.eviction import Eviction
from kubeclient.informer import Informer
from kubeclient.recorder import EventRecorder
from kubeclient.rest import RestClient

RETRY_SECONDS = 10.0  # between tries at an eviction that was refused, as upstream's
HEADROOM_SECONDS = 30.0
"""What a pod may take to go beyond its grace period."""
DEFAULT_GRACE_SECONDS = 30

log = logs.logger(__name__)


class DrainFailed(Exception):
    """The node has pods that did not go in time; the message names them."""


@dataclass(frozen=True, slots=True)
class DrainTimes:
    """Limits the seconds that pods may take."""

    eviction: float
    """For evictions to be allowed."""
    grace: int
    """The most that a pod has to end."""


class Drainer:
    def __init__(
        self, rest: RestClient, recorder: EventRecorder, clock: Clock, pods: Informer[Pod], times: DrainTimes
    ) -> None:
        self._rest, self._recorder, self._clock = rest, recorder, clock
        self._pods, self._times = pods, times
        self._gone = asyncio.Event()
        pods.add_handler(self._observe)

    def _observe(self, old: Pod | None, new: Pod | None) -> None:
        if new is None or is_terminal(new.status.phase):
            self._gone.set()

    async def change(self, name: str, change: Callable[[Node], Node | None]) -> None:
        """Changes a node, if it is still there. Raises: as RestClient's methods."""
        try:
            await self._rest.update_with(Node, name, "", change)
        except NotFound:
            return

    async def taint(self, name: str, key: str, effect: str) -> None:
        """Gives the node a taint, whose value is the time, where it has none with that key."""
        taint = Taint(key=key, value=str(int(self._clock.now())), effect=effect)
        await self.change(name, lambda node: with_taint(node, taint))

    async def begin(self, node: Node) -> None:
        """Keeps new pods off the node."""
        await self.taint(node.name, TO_BE_DELETED_TAINT, "NoSchedule")
        message = "marked the node as toBeDeleted/unschedulable"
        self._recorder.event(node, "Normal", "ScaleDown", message)

    async def give_up(self, node: Node) -> None:
        """Lets pods onto the node again."""
        await self.change(node.name, lambda item: without_taints(item, TO_BE_DELETED_TAINT, CANDIDATE_TAINT))

    async def evict(self, pods: Sequence[Pod]) -> None:
        """Returns when all of the pods are gone. Raises: DrainFailed, as RestClient's methods."""
        deadline = self._clock.monotonic() + self._times.eviction
        async with asyncio.TaskGroup() as tasks:
            evictions = [tasks.create_task(self._evict(pod, deadline)) for pod in pods]
        refused = [why for task in evictions if (why := task.result())]
        if refused:
            raise DrainFailed("; ".join(refused))
        await self._await_end(pods)

    async def _evict(self, pod: Pod, deadline: float) -> str:
        """Returns why the pod could not be evicted in time, or ""."""
        grace = pod.spec.terminationGracePeriodSeconds
        seconds = min(DEFAULT_GRACE_SECONDS if grace is None else grace, self._times.grace)
        eviction = Eviction(
            metadata=ObjectMeta(name=pod.name, namespace=pod.namespace),
            deleteOptions=DeleteOptions(gracePeriodSeconds=seconds, preconditions=Preconditions(uid=pod.metadata.uid)),
        )
        while self._is_there(pod):  # else another pod may have its name, which is not to go
            try:
                await self._rest.create(eviction, subresource_of=f"{pod.name}/eviction")
            except NotFound:
                return ""
            except (StatusError, ConnectionError, TimeoutError) as error:
                why = str(error)
            else:
                self._recorder.event(pod, "Normal", "ScaleDown", "deleting pod for node scale down")
                return ""
            if self._clock.monotonic() + RETRY_SECONDS > deadline:
                return f"failed to evict pod {pod.key}: {why}"
            log.info("eviction refused, will retry", pod=pod.key, error=why)
            await self._clock.sleep(RETRY_SECONDS)
        return ""

    async def _await_end(self, pods: Sequence[Pod]) -> None:
        try:
            async with asyncio.timeout(self._times.grace + HEADROOM_SECONDS):
                while left := [pod.key for pod in pods if self._is_there(pod)]:
                    self._gone.clear()
                    await self._gone.wait()
        except TimeoutError:
            raise DrainFailed(f"pods remaining after timeout: {', '.join(left)}") from None

    def _is_there(self, pod: Pod) -> bool:
        current = self._pods.get(pod.key)
        same = current is not None and current.metadata.uid == pod.metadata.uid
        return same and current is not None and not is_terminal(current.status.phase)
