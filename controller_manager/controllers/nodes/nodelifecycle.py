"""Node lifecycle: notices nodes that fell silent, says so in their status, and taints them so that pods go elsewhere.

A node is alive while its Lease in kube-node-lease is renewed or its status reported. Both are judged by this process'
own clock, from when it saw them change: clocks of hosts are never compared.
"""

from __future__ import annotations

from collections.abc import Iterable

from apimachinery.conditions import get_condition
from apimachinery.errors import Conflict, NotFound
from apimachinery.times import format_time
from componentbase import logs
from controller_manager.controllers.nodes._nodehealth import (
    READY,
    EvictionLimits,
    conditions_after_silence,
    eviction_key,
    eviction_rates,
    has_eviction_taint,
    ready_status,
    updated_taints,
    zone_of,
)
from controller_manager.podstate import NODE_INDEX, index_by_node, is_ready
from kubeapi.coordination.lease import NODE_LEASES, Lease
from kubeapi.core.node import Node
from kubeapi.core.pod.model import Pod
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Every, Result, Watch, after

log = logs.logger(__name__)


class NodeLifecycle:
    def __init__(self, context: ControllerContext) -> None:
        options = context.options
        self._rest, self._recorder, self._clock = context.rest, context.recorder, context.clock
        self.period_seconds: float = options.node_monitor_period
        self._grace: float = options.node_monitor_grace_period
        self._startup_grace: float = options.node_startup_grace_period
        self._limits = EvictionLimits(
            options.node_eviction_rate,
            options.secondary_node_eviction_rate,
            options.unhealthy_zone_threshold,
            options.large_cluster_size_threshold,
        )
        self._nodes = context.informers.of(Node)
        self._pods = context.informers.of(Pod)
        index_by_node(self._pods)
        self._heard: dict[str, float] = {}
        """Node -> when it last gave a sign of life (monotonic)."""
        self._next_eviction: dict[str, float] = {}
        """Zone -> when its next node may be evicted (monotonic)."""

    def heard_lease(self, old: Lease | None, new: Lease | None) -> Iterable[str]:
        """Notes a sign of life; nobody need look at the node for that."""
        if new is not None and (old is None or old.spec.renewTime != new.spec.renewTime):
            self._heard[new.name] = self._clock.monotonic()
        return ()

    def heard_node(self, old: Node | None, new: Node | None) -> Iterable[str]:
        """Notes a sign of life where the node's status was reported, and wakes the node."""
        if new is None:
            if old is not None:
                self._heard.pop(old.name, None)
                yield old.name
            return
        before = get_condition(old.status.conditions, READY) if old is not None else None
        now = get_condition(new.status.conditions, READY)
        if old is None or (now is not None and (before is None or before.lastHeartbeatTime != now.lastHeartbeatTime)):
            self._heard[new.name] = self._clock.monotonic()
        yield new.name

    def unhealthy_nodes(self) -> Iterable[str]:
        """Lists the nodes that need a look: silence is not an event."""
        return [node.name for node in self._nodes.list() if self._is_silent(node) or eviction_key(node)]

    def _is_silent(self, node: Node) -> bool:
        grace = self._grace if ready_status(node) else self._startup_grace
        now = self._clock.monotonic()
        return now - self._heard.setdefault(node.name, now) > grace

    async def reconcile(self, key: str) -> Result:
        node = self._nodes.get(key)
        if node is None or node.metadata.deletionTimestamp is not None:
            return DONE
        if self._is_silent(node):
            node = await self._declare_unknown(node)
        evicting, wait = self._eviction(node)
        taints = updated_taints(node, evicting=evicting, now=self._clock.now())
        if taints is not None:
            changed = node.clone()
            changed.spec.taints = taints or None
            await self._rest.update(changed)
            log.info("taints changed", node=key, taints=",".join(f"{taint.key}:{taint.effect}" for taint in taints))
        if ready_status(node) == "Unknown":
            await self._mark_pods_not_ready(node)
        return after(wait) if wait else DONE

    async def _declare_unknown(self, node: Node) -> Node:
        conditions = conditions_after_silence(node, self._clock.now())
        if conditions is None:
            return node
        changed = node.clone()
        changed.status.conditions = conditions
        stored = await self._rest.update(changed, "status")
        log.warning("node is silent", node=node.name, seconds=self._grace)
        if ready_status(node) == "True":
            message = f"Node {node.name} status is now: NodeNotReady"
            self._recorder.event(node, "Normal", "NodeNotReady", message)
        return stored

    def _eviction(self, node: Node) -> tuple[str, float]:
        """Returns the NoExecute taint that the node should have now, and in how many seconds to ask again for one."""
        key = eviction_key(node)
        nodes = [node if each.name == node.name else each for each in self._nodes.list()]
        rates = eviction_rates(nodes, self._limits)
        if not key or not any(rates.values()):
            return "", self.period_seconds if key else 0.0
        if has_eviction_taint(node):
            return key, 0.0
        zone, now = zone_of(node), self._clock.monotonic()
        rate, allowed_at = rates[zone], self._next_eviction.get(zone, now)
        if rate <= 0:
            return "", self.period_seconds
        if allowed_at > now:
            return "", allowed_at - now
        self._next_eviction[zone] = now + 1 / rate
        return key, 0.0

    async def _mark_pods_not_ready(self, node: Node) -> None:
        """Marks the pods of a silent node, whose kubelet can't, so that Services stop sending to them.

        Raises: Conflict, after all pods, where the cache was behind for one.
        """
        behind: Conflict | None = None
        for pod in self._pods.by_index(NODE_INDEX, node.name):
            if not is_ready(pod):
                continue
            changed = pod.clone()
            condition = get_condition(changed.status.conditions, READY)
            assert condition is not None
            condition.status, condition.lastTransitionTime = "False", format_time(self._clock.now())
            try:
                await self._rest.update(changed, "status")
            except NotFound:
                continue
            except Conflict as error:
                behind = error
                continue
            self._recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")
        if behind is not None:
            raise behind


CONTROLLER = ControllerSpec(
    "node-lifecycle-controller",
    NodeLifecycle,
    [
        Watch(Node, NodeLifecycle.heard_node),
        Watch(Lease, NodeLifecycle.heard_lease, namespace=NODE_LEASES),
        Every(lambda reconciler: reconciler.period_seconds, NodeLifecycle.unhealthy_nodes),
    ],
    workers=4,
    service_account="node-controller",
)
