"""Taint eviction: removes pods from nodes whose NoExecute taints they don't tolerate, or only for a time."""

from __future__ import annotations

from collections.abc import Iterable

from apimachinery.conditions import get_condition, set_condition
from apimachinery.errors import Conflict, NotFound
from apimachinery.times import format_time, parse_time
from componentbase import logs
from controller_manager.controllers.nodes._evictiontime import NEVER, eviction_time
from controller_manager.podstate import NODE_INDEX, index_by_node
from kubeapi.core.node import Node
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.scheduling.affinity import Taint
from kubeapi.core.pod.scheduling.tolerations import NO_EXECUTE, TaintKey, taint_key
from kubeapi.core.pod.status import PodCondition
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Watch, after

log = logs.logger(__name__)


def no_execute_taints(node: Node | None) -> list[Taint]:
    return [taint for taint in node.spec.taints or () if taint.effect == NO_EXECUTE] if node is not None else []


def placed_at(pod: Pod) -> float:
    """Returns when the pod came to its node, in Unix seconds: its creation for one that names its node itself."""
    scheduled = get_condition(pod.status.conditions, "PodScheduled")
    text = (scheduled.lastTransitionTime if scheduled is not None else None) or pod.metadata.creationTimestamp
    return parse_time(text) if text else 0.0


class TaintEviction:
    """Keys are pods. When a taint is taken away, the look at its due time finds nothing to do."""

    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._recorder, self._clock = context.rest, context.recorder, context.clock
        self._pods = context.informers.of(Pod)
        self._nodes = context.informers.of(Node)
        self._since: dict[str, dict[TaintKey, float]] = {}  # node -> its NoExecute taints and when they came
        index_by_node(self._pods)

    def _taints_since(self, node: Node | None) -> dict[TaintKey, float]:
        """Returns a node's NoExecute taints with the time each came, in Unix seconds.

        Whoever taints a node by hand writes no timeAdded: then it is when this controller first saw the taint.
        """
        if node is None:
            return {}
        seen, now = self._since.pop(node.name, {}), self._clock.now()
        since = {
            taint_key(taint): parse_time(taint.timeAdded) if taint.timeAdded else seen.get(taint_key(taint), now)
            for taint in no_execute_taints(node)
        }
        if since:
            self._since[node.name] = since
        return since

    def pods_on(self, old: Node | None, new: Node | None) -> Iterable[str]:
        """Wakes a node's pods when it has other NoExecute taints than before."""
        if new is None and old is not None:
            self._since.pop(old.name, None)
        if new is not None and self._taints_since(new) and no_execute_taints(new) != no_execute_taints(old):
            for pod in self._pods.by_index(NODE_INDEX, new.name):
                yield pod.key

    def placed_pod(self, old: Pod | None, new: Pod | None) -> Iterable[str]:
        """Wakes a pod that comes to a tainted node, or tolerates other taints than before."""
        if new is None or not new.spec.nodeName:
            return
        if old is not None and (old.spec.nodeName, old.spec.tolerations) == (new.spec.nodeName, new.spec.tolerations):
            return
        if no_execute_taints(self._nodes.get(new.spec.nodeName)):
            yield new.key

    async def reconcile(self, key: str) -> Result:
        pod = self._pods.get(key)
        if pod is None or pod.metadata.deletionTimestamp is not None or not pod.spec.nodeName:
            return DONE
        taints = self._taints_since(self._nodes.get(pod.spec.nodeName))
        now = self._clock.now()
        due = eviction_time(pod.spec.tolerations or (), taints, placed_at(pod), now)
        if due == NEVER:
            return DONE
        if due > now:
            return after(due - now)
        await self._evict(pod)
        return DONE

    async def _evict(self, pod: Pod) -> None:
        def disrupt(fresh: Pod) -> Pod | None:
            if fresh.metadata.uid != pod.metadata.uid or fresh.metadata.deletionTimestamp is not None:
                return None
            condition = PodCondition(
                type="DisruptionTarget",
                status="True",
                reason="DeletionByTaintManager",
                message="Taint manager: deleting due to NoExecute taint",
                lastTransitionTime=format_time(self._clock.now()),
            )
            fresh.status.conditions = set_condition(fresh.status.conditions, condition)
            return fresh

        self._recorder.event(pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {pod.key}")
        try:
            await self._rest.update_with(Pod, pod.name, pod.namespace, disrupt, subresource="status")
            await self._rest.delete(Pod, pod.name, pod.namespace, uid=pod.metadata.uid)
        except NotFound:
            return
        except Conflict as error:
            log.info("not evicted", pod=pod.key, error=str(error))  # another pod of that name
            return
        log.info("evicted", pod=pod.key, node=pod.spec.nodeName)


CONTROLLER = ControllerSpec(
    "taint-eviction-controller",
    TaintEviction,
    [Watch(Node, TaintEviction.pods_on), Watch(Pod, TaintEviction.placed_pod)],
    workers=8,
    service_account="node-controller",
)
