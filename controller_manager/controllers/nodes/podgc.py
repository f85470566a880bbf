"""Pod garbage collector: removes pods that no kubelet will: of nodes that are gone, never scheduled, or too many ended.

Source: Kubernetes documentation, "Pod Lifecycle", "Garbage collection of Pods".
"""

from __future__ import annotations

from collections.abc import Iterable

from apimachinery.conditions import set_condition
from apimachinery.errors import Conflict, NotFound
from apimachinery.times import format_time
from componentbase import logs
from controller_manager.controllers.network._podplace import NODE_INDEX, node_values
from kubeapi.core.node import Node
from kubeapi.core.pod.lifecycle import is_terminal
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.status import PodCondition
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, after
from kubeclient.workqueue import WorkQueue

QUARANTINE_SECONDS = 40.0
"""A node must be missing this long before its pods are taken for lost: it may be registered anew."""
TERMINATED = "terminated"
PHASE_INDEX = "terminated"

log = logs.logger(__name__)


def _terminated_values(pod: Pod) -> Iterable[str]:
    return (TERMINATED,) if is_terminal(pod.status.phase) else ()


def oldest_beyond(pods: Iterable[Pod], threshold: int) -> list[Pod]:
    """The ended pods to delete so that `threshold` remain; none where it is not above 0."""
    if threshold <= 0:
        return []
    ordered = sorted(pods, key=lambda pod: (pod.metadata.creationTimestamp or "", pod.key))
    return ordered[: max(len(ordered) - threshold, 0)]


class PodGarbageCollector:
    """Keys are pods; the key TERMINATED (no pod has it: it lacks a namespace) stands for all that have ended."""

    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._clock = context.rest, context.clock
        self._pods = context.informers.of(Pod)
        self._nodes = context.informers.of(Node)
        self._pods.add_index(NODE_INDEX, node_values)
        self._pods.add_index(PHASE_INDEX, _terminated_values)
        self._threshold: int = context.options.terminated_pod_gc_threshold
        self._missing_since: dict[str, float] = {}

    def use_queue(self, queue: WorkQueue) -> None:
        def node_changed(old: Node | None, new: Node | None) -> None:
            if new is not None:
                self._missing_since.pop(new.name, None)
            elif old is not None:
                for pod in self._pods.by_index(NODE_INDEX, old.name):
                    queue.add(pod.key)

        def pod_changed(old: Pod | None, new: Pod | None) -> None:
            if new is None:
                return
            if _terminated_values(new) and not (old is not None and _terminated_values(old)):
                queue.add(TERMINATED)
            if self._is_nobodys(new):
                queue.add(new.key)

        self._nodes.add_handler(node_changed)
        self._pods.add_handler(pod_changed)

    def _is_nobodys(self, pod: Pod) -> bool:
        """Whether no kubelet would remove it."""
        if not pod.spec.nodeName:
            return pod.metadata.deletionTimestamp is not None
        return self._nodes.get(pod.spec.nodeName) is None

    async def reconcile(self, key: str) -> Result:
        if key == TERMINATED:
            for ended in oldest_beyond(self._pods.by_index(PHASE_INDEX, TERMINATED), self._threshold):
                await self._remove(ended, "ended long ago")
            return DONE
        pod = self._pods.get(key)
        if pod is None or not self._is_nobodys(pod):
            return DONE
        if pod.spec.nodeName:
            return await self._orphaned(pod, pod.spec.nodeName)
        await self._remove(pod, "deleted before it was scheduled")
        return DONE

    async def _orphaned(self, pod: Pod, node_name: str) -> Result:
        now = self._clock.monotonic()
        waited = now - self._missing_since.setdefault(node_name, now)
        if waited < QUARANTINE_SECONDS:
            return after(QUARANTINE_SECONDS - waited)
        try:
            await self._rest.get(Node, node_name)
        except NotFound:
            await self._mark_failed(pod)
            await self._remove(pod, "its node is gone")
        else:
            self._missing_since.pop(node_name, None)
        return DONE

    async def _mark_failed(self, pod: Pod) -> None:
        """Says why, for whoever watches the pod: a Job counts it as failed."""
        if is_terminal(pod.status.phase):
            return

        def fail(fresh: Pod) -> Pod | None:
            if fresh.metadata.uid != pod.metadata.uid:
                return None
            condition = PodCondition(
                type="DisruptionTarget",
                status="True",
                reason="DeletionByPodGC",
                message="PodGC: node no longer exists",
                lastTransitionTime=format_time(self._clock.now()),
            )
            fresh.status.conditions = set_condition(fresh.status.conditions, condition)
            fresh.status.phase = "Failed"
            return fresh

        try:
            await self._rest.update_with(Pod, pod.name, pod.namespace, fail, subresource="status")
        except NotFound:
            return

    async def _remove(self, pod: Pod, why: str) -> None:
        try:
            await self._rest.delete(Pod, pod.name, pod.namespace, grace_period_seconds=0, uid=pod.metadata.uid)
        except (NotFound, Conflict):
            return  # gone, or another pod of that name
        log.info("removed pod", pod=pod.key, why=why)


CONTROLLER = ControllerSpec("pod-garbage-collector-controller", PodGarbageCollector)
