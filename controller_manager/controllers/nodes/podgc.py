"""Pod garbage collector: removes pods that no kubelet will: of lost nodes, never scheduled, or too many ended.

Source: Kubernetes documentation, "Pod Lifecycle", "Garbage collection of Pods".
"""

from __future__ import annotations

from collections.abc import Iterable

from apimachinery.errors import Conflict, NotFound
from apimachinery.model import to_dict
from apimachinery.times import format_time
from componentbase import logs
from controller_manager.controllers.nodes._nodehealth import ready_status
from controller_manager.podstate import NODE_INDEX, index_by_node
from kubeapi.core.node import OUT_OF_SERVICE_TAINT, Node, has_taint
from kubeapi.core.pod.lifecycle import is_terminal
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.status import PodCondition
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Every, Result, Watch, after, latest
from kubeclient.wire import STRATEGIC_MERGE_PATCH

QUARANTINE_SECONDS = 40.0
"""A node must be missing this long before its pods are taken for lost: it may be registered anew."""
CHECK_SECONDS = 20.0
"""How often the pods that have ended are counted."""
ENDED_INDEX = "ended"

log = logs.logger(__name__)


def _ended_values(pod: Pod) -> Iterable[str]:
    return (ENDED_INDEX,) if is_terminal(pod.status.phase) else ()


def is_out_of_service(node: Node) -> bool:
    """Tells whether someone has vouched by a taint that the node, which is silent, runs nothing any more."""
    return has_taint(node, OUT_OF_SERVICE_TAINT) and ready_status(node) != "True"


def oldest_beyond(pods: Iterable[Pod], threshold: int) -> list[Pod]:
    """Lists the ended pods to delete so that `threshold` remain; none where it is not above 0."""
    if threshold <= 0:
        return []
    ordered = sorted(pods, key=lambda pod: (pod.metadata.creationTimestamp or "", pod.key))
    return ordered[: max(len(ordered) - threshold, 0)]


class PodGarbageCollector:
    """Keys are pods."""

    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._clock = context.rest, context.clock
        self._pods = context.informers.of(Pod)
        self._nodes = context.informers.of(Node)
        index_by_node(self._pods)
        self._pods.add_index(ENDED_INDEX, _ended_values)
        self._threshold: int = context.options.terminated_pod_gc_threshold
        self._missing_since: dict[str, float] = {}
        self._surplus: set[str | None] = set()
        """The uids of the ended pods that were too many when they were last counted."""

    def pods_of_lost_node(self, old: Node | None, new: Node | None) -> Iterable[str]:
        """Wakes the pods of a node that is gone or out of service; one that is there is not missing any more."""
        node = latest(old, new)
        if new is not None:
            self._missing_since.pop(new.name, None)
        if new is None or is_out_of_service(new):
            for pod in self._pods.by_index(NODE_INDEX, node.name):
                yield pod.key

    def abandoned_pod(self, old: Pod | None, new: Pod | None) -> Iterable[str]:
        """Wakes a pod that no kubelet would remove."""
        return (new.key,) if new is not None and self._is_nobodys(new) else ()

    def surplus_pods(self) -> Iterable[str]:
        """Lists the ended pods that are too many."""
        pods = oldest_beyond(self._pods.by_index(ENDED_INDEX, ENDED_INDEX), self._threshold)
        self._surplus = {pod.metadata.uid for pod in pods}
        return [pod.key for pod in pods]

    def _is_nobodys(self, pod: Pod) -> bool:
        """Tells whether no kubelet would remove it."""
        if not pod.spec.nodeName:
            return pod.metadata.deletionTimestamp is not None
        node = self._nodes.get(pod.spec.nodeName)
        return node is None or (pod.metadata.deletionTimestamp is not None and is_out_of_service(node))

    async def reconcile(self, key: str) -> Result:
        pod = self._pods.get(key)
        if pod is None:
            return DONE
        if pod.metadata.uid in self._surplus:
            await self._remove(pod, "ended long ago")
        elif pod.spec.nodeName and self._is_nobodys(pod):
            if self._nodes.get(pod.spec.nodeName) is None:
                return await self._orphaned(pod, pod.spec.nodeName)
            await self._mark_failed(pod)
            await self._remove(pod, "its node is out of service")
        elif self._is_nobodys(pod):
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
            condition = PodCondition(
                type="DisruptionTarget",
                status="True",
                reason="DeletionByPodGC",
                message="PodGC: node no longer exists",
                lastTransitionTime=format_time(self._clock.now()),
            )
            await self._mark_failed(pod, condition)
            await self._remove(pod, "its node is gone")
        else:
            self._missing_since.pop(node_name, None)
        return DONE

    async def _mark_failed(self, pod: Pod, *why: PodCondition) -> None:
        """Tells whoever watches the pod that it failed, and why: a Job counts it."""
        if is_terminal(pod.status.phase):
            return
        # A patch, as its role lets it neither read one pod nor replace a status; the uid holds it to this pod.
        patch = {
            "metadata": {"uid": pod.metadata.uid},
            "status": {"phase": "Failed", "conditions": list(map(to_dict, why))},
        }
        try:
            await self._rest.patch(
                Pod, pod.name, pod.namespace, patch, content_type=STRATEGIC_MERGE_PATCH, subresource="status"
            )
        except (NotFound, Conflict):
            return  # gone, or another pod of that name

    async def _remove(self, pod: Pod, why: str) -> None:
        try:
            await self._rest.delete(Pod, pod.name, pod.namespace, grace_period_seconds=0, uid=pod.metadata.uid)
        except (NotFound, Conflict):
            return  # gone, or another pod of that name
        log.info("removed pod", pod=pod.key, why=why)


CONTROLLER = ControllerSpec(
    "pod-garbage-collector-controller",
    PodGarbageCollector,
    [
        Watch(Node, PodGarbageCollector.pods_of_lost_node),
        Watch(Pod, PodGarbageCollector.abandoned_pod),
        Every(lambda _: CHECK_SECONDS, PodGarbageCollector.surplus_pods),
    ],
    service_account="pod-garbage-collector",
)
