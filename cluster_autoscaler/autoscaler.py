"""The autoscaler: looks at the whole cluster whenever something in it has changed, and lets groups grow and shrink.

A look decides; `Growth` and `Shrinking` do what was decided beside it, one machine after the other each, so that the
next look need not wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from apimachinery.meta import Object
from cloudprovider.interface import NodeGroup, NodeGroups
from cluster_autoscaler.groups import GroupState, group_state, pods_by_node
from cluster_autoscaler.growth import Growth
from cluster_autoscaler.options import NAME, Options
from cluster_autoscaler.scaleup import ScaleUpPlan, plan_scale_up, taking_pods, unschedulable
from cluster_autoscaler.shrinking import Shrinking
from cluster_autoscaler.simulation import Rules
from cluster_autoscaler.status import Observed, StatusWriter
from componentbase.daemon import FatalError
from kubeapi.core.node import Node
from kubeapi.core.pod.lifecycle import is_terminal
from kubeapi.core.pod.model import Pod
from kubeapi.policy.poddisruptionbudget import PodDisruptionBudget
from kubeclient.controller import ControllerContext, ControllerSpec, Result, Source, Watch, after
from kubeclient.workqueue import WorkQueue
from scheduler.core.scheduler import InformerLister

CLUSTER = "cluster"
"""The one key."""
GATHER_SECONDS = 1.0
"""A look waits this long for more changes: pods come in numbers, and each deserves no machine of its own."""


class Autoscaler:
    def __init__(self, context: ControllerContext) -> None:
        """Raises: FatalError for a cloud without node groups, and for plugins of the scheduler that can't work."""
        options: Options = context.options
        groups: NodeGroups | None = options.provider.node_groups
        if groups is None:
            raise FatalError(f"the cloud provider {options.provider.name} has no node groups")
        self._options, self._clock, self.provider, self._groups = options, context.clock, options.provider, groups
        self._nodes, self._pods = context.informers.of(Node), context.informers.of(Pod)
        # Before the plugins, which would have them with fewer fields: informers are shared by the kind.
        context.informers.of(PodDisruptionBudget)
        try:
            self._rules = Rules(InformerLister(context.informers), options.scheduler_config, context.rest)
        except ValueError as error:
            raise FatalError(str(error)) from None
        self._nodes.add_handler(self._rules.node_changed)
        for model in self._rules.reads():
            context.informers.of(model)
        self._status = StatusWriter(context.rest, self._clock, options.namespace, options.status_config_map_name)
        self._growth = Growth(context, groups, self._status, self._has_grown)
        self._shrinking = Shrinking(context, groups, self._rules, self._status, self._has_shrunk)
        self._look_again: Callable[[], None] = lambda: None
        self._waited: dict[str, float] = {}
        """Provider id of a machine without a node -> since when (monotonic)."""

    async def reconcile(self, key: str) -> Result:
        """Looks once."""
        options = self._options
        await self._rules.prepare()
        await self._shrinking.clean_up()
        nodes = [node for node in self._nodes.list() if node.metadata.deletionTimestamp is None]
        pods = [pod for pod in self._pods.list() if not is_terminal(pod.status.phase) and not self._expendable(pod)]
        states = await self._states(await self._groups.list(), nodes, pods)
        usable = taking_pods(nodes, states)
        pending = unschedulable(pods, options.expendable_pods_priority_cutoff)
        healthy = Observed(nodes, states, ()).counts().healthy
        plan = plan_scale_up(self._rules, usable, pods, pending, states) if healthy else ScaleUpPlan()
        if plan.options:
            await self._growth.order(plan.options)
        self._growth.tell_refusals(pending, plan)
        if healthy and not self._shrinking.removing:
            self._shrinking.consider_late(states)
        growing = plan.options or plan.waiting or any(state.upcoming for state in states)
        if options.scale_down_enabled and healthy and not growing and not self._shrinking.removing:
            await self._shrinking.consider(usable, pods, states)
        await self._status.write(Observed(nodes, states, self._shrinking.unneeded))
        return after(min([options.scan_interval, *self._shrinking.next_due()]))

    def _expendable(self, pod: Pod) -> bool:
        return (pod.spec.priority or 0) < self._options.expendable_pods_priority_cutoff

    async def _states(
        self, groups: Sequence[NodeGroup], nodes: Sequence[Node], pods: Sequence[Pod]
    ) -> list[GroupState]:
        now, on_nodes = self._clock.monotonic(), pods_by_node(pods)
        registered = {node.spec.providerID for node in nodes}
        missing = {id for group in groups for id in group.members if id not in registered}
        self._waited = {id: self._waited.get(id, now) for id in missing}
        waited = {id: now - since for id, since in self._waited.items()}
        return [
            group_state(
                group,
                nodes,
                on_nodes,
                await self._groups.template(group.name),
                goal=self._growth.goal(group.name),
                waited=waited,
                now=self._clock.now(),
                provision_seconds=self._options.max_node_provision_time,
                backed_off=self._growth.backed_off(group.name),
            )
            for group in groups
        ]

    def _has_grown(self) -> None:
        self._shrinking.put_off(self._options.scale_down_delay_after_add)
        self._look_again()

    def _has_shrunk(self, group: str) -> None:
        self._growth.machine_removed(group)
        self._look_again()

    async def work(self, queue: WorkQueue) -> None:
        """Does what looks have decided, until cancelled."""
        self._look_again = lambda: queue.add_after(CLUSTER, GATHER_SECONDS)
        self.provider.on_change(self._look_again)
        queue.add(CLUSTER)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._rules.run())
            tasks.create_task(self._growth.run())
            tasks.create_task(self._shrinking.run())


def _pod_matters(_: Any, old: Pod | None, new: Pod | None) -> Iterable[str]:
    return (CLUSTER,) if old is None or new is None or _fit(old) != _fit(new) else ()


def _fit(pod: Pod) -> tuple[object, ...]:
    """Returns what decides on whether a pod needs a node, and which will do."""
    unscheduled = [item.reason for item in pod.status.conditions or () if item.type == "PodScheduled"]
    meta = pod.metadata
    ended = is_terminal(pod.status.phase)
    return (
        pod.spec,
        ended,
        unscheduled,
        pod.status.nominatedNodeName,
        meta.labels,
        meta.annotations,
        meta.deletionTimestamp,
    )


def _node_matters(_: Any, old: Node | None, new: Node | None) -> Iterable[str]:
    return (CLUSTER,) if old is None or new is None or _offer(old) != _offer(new) else ()


def _offer(node: Node) -> tuple[object, ...]:
    """Returns what decides on whether a node takes pods."""
    ready = [item.status for item in node.status.conditions or () if item.type == "Ready"]
    return node.spec, node.metadata.labels, node.metadata.annotations, node.status.allocatable, ready


def _always(_: Any, old: Object | None, new: Object | None) -> Iterable[str]:
    return (CLUSTER,)


CONTROLLER = ControllerSpec(
    NAME,
    Autoscaler,
    [
        Watch(Pod, _pod_matters, delay_seconds=GATHER_SECONDS),
        Watch(Node, _node_matters, delay_seconds=GATHER_SECONDS),
        Watch(PodDisruptionBudget, _always, delay_seconds=GATHER_SECONDS),
        Source(Autoscaler.work),
    ],
    workers=1,
    speaks_as_daemon=True,
)
