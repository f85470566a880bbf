"""The autoscaler: looks at the whole cluster whenever something in it has changed, and lets groups grow and shrink.

A look decides; two tasks beside it do what was decided, one machine after the other: `_grow` adds, `_shrink` empties
and removes. Neither keeps the next look waiting.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from apimachinery.errors import NotFound, StatusError
from apimachinery.meta import Object
from cloudprovider.interface import CloudError, NodeGroup, NodeGroups
from cluster_autoscaler.drain import Drainer, DrainFailed, DrainTimes, with_taint, without_taints
from cluster_autoscaler.expanders._expander import choose
from cluster_autoscaler.groups import CANDIDATE, TO_BE_DELETED, GroupState, group_state, has_taint, pods_by_node
from cluster_autoscaler.options import NAME, Options
from cluster_autoscaler.scaledown import Limits, Removal, Unregistered, plan_scale_down
from cluster_autoscaler.scaleup import Option, ScaleUpPlan, plan_scale_up, taking_pods, unschedulable
from cluster_autoscaler.simulation import Rules
from cluster_autoscaler.status import Observed, StatusWriter
from componentbase import logs
from kubeapi.core.configmap import ConfigMap
from kubeapi.core.node import Node
from kubeapi.core.pod.lifecycle import is_terminal
from kubeapi.core.pod.model import Pod
from kubeapi.policy.poddisruptionbudget import PodDisruptionBudget
from kubeclient.backoff import Backoff
from kubeclient.controller import ControllerContext, ControllerSpec, Result, Source, Watch, after
from kubeclient.workqueue import WorkQueue
from scheduler.core.scheduler import InformerLister

CLUSTER = "cluster"
"""The one key."""
GATHER_SECONDS = 1.0
"""A look waits this long for more changes: pods come in numbers, and each deserves no machine of its own."""
PRIORITIES = "cluster-autoscaler-priority-expander"

log = logs.logger(__name__)


class Autoscaler:
    def __init__(self, context: ControllerContext) -> None:
        options: Options = context.options
        self._options, self._rest, self._recorder, self._clock = options, context.rest, context.recorder, context.clock
        self.provider = options.provider
        self._groups: NodeGroups | None = options.provider.node_groups
        self._nodes, self._pods = context.informers.of(Node), context.informers.of(Pod)
        # Before the plugins, which would have them with fewer fields: informers are shared by the kind.
        self._budgets = context.informers.of(PodDisruptionBudget)
        self._rules = Rules(InformerLister(context.informers))
        for model in self._rules.reads():
            context.informers.of(model)
        times = DrainTimes(options.max_pod_eviction_time, options.max_graceful_termination_sec)
        self._drainer = Drainer(self._rest, self._recorder, self._clock, self._pods, times)
        self._status = StatusWriter(self._rest, self._clock, options.namespace, options.status_config_map_name)
        self._orders: asyncio.Queue[str] = asyncio.Queue()  # holds at most as many as groups may grow by
        self._removals: asyncio.Queue[Removal | Unregistered] = asyncio.Queue(1)
        self._ordered: Counter[str] = Counter()
        """Group -> machines that were asked for, and that the cloud has not said yet to be made."""
        self._goals: dict[str, int] = {}
        """Group -> the size that was asked for, until it is there."""
        self._removing = ""
        """The node or machine whose removal is under way."""
        self._cleaned = False
        self._waited: dict[str, float] = {}
        """Provider id of a machine without a node -> since when (monotonic, as are the times below)."""
        self._unneeded: dict[str, float] = {}
        """Node -> since when."""
        self._refusals: dict[str, tuple[str | None, str]] = {}
        """Key of a pod -> its uid, and why no group helps it, as was told."""
        self._backoffs: dict[str, tuple[Backoff, float]] = {}
        """Group -> its backoff, and until when it lasts."""
        self._no_removal_before = 0.0

    # one look

    async def reconcile(self, key: str) -> Result:
        if self._groups is None:
            return Result()
        if not self._cleaned:
            await self._take_back_removals()
        nodes = [node for node in self._nodes.list() if node.metadata.deletionTimestamp is None]
        pods = [pod for pod in self._pods.list() if not is_terminal(pod.status.phase) and not self._expendable(pod)]
        states = await self._states(await self._groups.list(), nodes, pods)
        usable = taking_pods(nodes, states)
        pending = unschedulable(pods, self._options.expendable_pods_priority_cutoff)
        healthy = Observed(nodes, states, ()).counts().healthy
        plan = plan_scale_up(self._rules, usable, pods, pending, states) if healthy else ScaleUpPlan()
        if plan.options:
            await self._order(plan.options)
        self._tell_refusals(pending, plan)
        if healthy and not self._removing:
            self._consider_late_machines(states)
        growing = plan.options or plan.waiting or any(state.upcoming for state in states)
        if self._options.scale_down_enabled and healthy and not growing and not self._removing:
            await self._consider_removals(usable, pods, states)
        await self._status.write(Observed(nodes, states, sorted(self._unneeded)))
        return after(self._seconds_to_next_look())

    def _expendable(self, pod: Pod) -> bool:
        return (pod.spec.priority or 0) < self._options.expendable_pods_priority_cutoff

    async def _states(
        self, groups: Sequence[NodeGroup], nodes: Sequence[Node], pods: Sequence[Pod]
    ) -> list[GroupState]:
        assert self._groups is not None
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
                goal=self._goals.get(group.name, 0),
                waited=waited,
                now=self._clock.now(),
                provision_seconds=self._options.max_node_provision_time,
                backed_off=self._backed_off(group.name) > now,
            )
            for group in groups
        ]

    def _backed_off(self, group: str) -> float:
        """Returns until when a group is left alone."""
        return self._backoffs[group][1] if group in self._backoffs else 0.0

    async def _take_back_removals(self) -> None:
        """Lets pods onto nodes whose removal an autoscaler before this one did not finish."""
        for node in self._nodes.list():
            if has_taint(node, TO_BE_DELETED, CANDIDATE):
                await self._drainer.give_up(node)
        self._cleaned = True

    def _seconds_to_next_look(self) -> float:
        """A timer that runs out must not wait for a change."""
        now = self._clock.monotonic()
        due = [since + self._options.scale_down_unneeded_time for since in self._unneeded.values()]
        times = [max(time, self._no_removal_before) - now for time in due]
        return min([self._options.scan_interval, *(time for time in times if time > 0)])

    # growth

    async def _order(self, options: Sequence[Option]) -> None:
        option = choose(options, self._options.expander, await self._priorities(options))
        log.info("scale-up", option=str(option), pods=len(option.pods), waste=f"{option.waste:.2f}")
        before, size = option.state.target, option.state.target + option.count
        text = f"group {option.state.name} size to {size} instead of {before} (max: {option.state.group.max_size})"
        self._recorder.event(self._status.stored, "Normal", "ScaledUpGroup", f"Scale-up: setting {text}")
        for pod in option.pods:
            self._recorder.event(pod, "Normal", "TriggeredScaleUp", f"pod triggered scale-up: [{{{option}}}]")
        self._ordered[option.state.name] += option.count
        self._goals[option.state.name] = size
        for _ in range(option.count):
            self._orders.put_nowait(option.state.name)
        self._put_off_removals(self._options.scale_down_delay_after_add)

    async def _priorities(self, options: Sequence[Option]) -> str:
        if len(options) < 2 or all(item.name != "priority" for item in self._options.expander):
            return ""
        try:
            config = await self._rest.get(ConfigMap, PRIORITIES, self._options.namespace)
        except NotFound:
            return ""
        return (config.data or {}).get("priorities", "")

    def _tell_refusals(self, pending: Sequence[Pod], plan: ScaleUpPlan) -> None:
        """Says once why no group helps a pod, and again when that changes."""
        told = {}
        for pod in pending:
            if message := plan.refused.get(pod.key):
                told[pod.key] = (pod.metadata.uid, message)
                if self._refusals.get(pod.key) != told[pod.key]:
                    self._recorder.event(pod, "Normal", "NotTriggerScaleUp", message)
        self._refusals = told

    async def _grow(self, queue: WorkQueue) -> None:
        assert self._groups is not None
        while True:
            group = await self._orders.get()
            try:
                await self._groups.add_machine(group)
                self._backoffs.pop(group, None)
                log.info("machine added", group=group)
            except CloudError as error:
                self._goals[group] -= 1
                self._back_off(group)
                log.warning("machine not added", group=group, error=str(error))
                text = f"Scale-up failed for group {group}: {error}"
                self._recorder.event(self._status.stored, "Warning", "FailedToScaleUpGroup", text)
            finally:
                self._ordered[group] -= 1
            if not self._ordered[group]:
                del self._goals[group]
            self._put_off_removals(self._options.scale_down_delay_after_add)
            queue.add_after(CLUSTER, GATHER_SECONDS)

    def _back_off(self, group: str) -> None:
        options = self._options
        fresh = Backoff(options.initial_node_group_backoff_duration, options.max_node_group_backoff_duration)
        backoff = self._backoffs[group][0] if group in self._backoffs else fresh
        self._backoffs[group] = (backoff, self._clock.monotonic() + backoff.next_seconds())

    # shrinking

    def _put_off_removals(self, seconds: float) -> None:
        self._no_removal_before = max(self._no_removal_before, self._clock.monotonic() + seconds)

    async def _consider_removals(
        self, nodes: Sequence[Node], pods: Sequence[Pod], states: Sequence[GroupState]
    ) -> None:
        """Notes which nodes are unneeded, and has one removed that has been for long enough."""
        options, now = self._options, self._clock.monotonic()
        limits = Limits(options.scale_down_utilization_threshold, options.drain_rules)
        # Members that have not started take no pods, but may have to go.
        members = {node.name: node for state in states for node in state.nodes} | {node.name: node for node in nodes}
        plan = plan_scale_down(
            self._rules, list(members.values()), pods, self._budgets.list(), states, limits, self._unneeded
        )
        removals = {item.node.name: item for item in plan.removals}
        if removals.keys() != self._unneeded.keys():
            log.info("unneeded nodes", nodes=",".join(removals), needed=plan.blocked)
        self._unneeded = {name: self._unneeded.get(name, now) for name in removals}
        await self._mark_candidates(members.values())
        if now < self._no_removal_before:
            return
        for name, removal in removals.items():
            limit = options.scale_down_unneeded_time if removal.ready else options.scale_down_unready_time
            if now - self._unneeded[name] >= limit:
                self._removing = name
                self._removals.put_nowait(removal)
                return

    def _consider_late_machines(self, states: Sequence[GroupState]) -> None:
        """Has a machine removed that never became a node: it would take the place of one that does."""
        for state in states:
            if state.late:
                self._removing = state.late[0]
                self._removals.put_nowait(Unregistered(state.name, state.late[0]))
                return

    async def _mark_candidates(self, nodes: Iterable[Node]) -> None:
        """Has the scheduler rather use other nodes than those that may go."""
        now = self._clock.now()
        for node in nodes:
            unneeded = node.name in self._unneeded
            if unneeded and not has_taint(node, CANDIDATE):
                await self._drainer.change(node.name, lambda item: with_taint(item, CANDIDATE, "PreferNoSchedule", now))
            elif not unneeded and has_taint(node, CANDIDATE):
                await self._drainer.change(node.name, lambda item: without_taints(item, CANDIDATE))

    async def _shrink(self, queue: WorkQueue) -> None:
        while True:
            removal = await self._removals.get()
            try:
                if isinstance(removal, Unregistered):
                    await self._remove_unregistered(removal)
                else:
                    await self._remove(removal)
            finally:
                self._removing = ""
            queue.add(CLUSTER)

    async def _remove_unregistered(self, machine: Unregistered) -> None:
        assert self._groups is not None
        try:
            await self._groups.remove_machine(machine.group, machine.provider_id)
        except CloudError as error:
            log.warning("unregistered machine not removed", machine=machine.provider_id, error=str(error))
            self._waited.pop(machine.provider_id, None)  # it has its time again
            return
        text = f"Removed unregistered node {machine.provider_id}"
        self._recorder.event(self._status.stored, "Normal", "DeleteUnregistered", text)
        log.info("unregistered machine removed", machine=machine.provider_id)

    async def _remove(self, removal: Removal) -> None:
        try:
            await self._drain_and_remove(removal)
        except (DrainFailed, StatusError, ConnectionError, TimeoutError) as error:
            await self._removal_failed(removal, str(error))

    async def _drain_and_remove(self, removal: Removal) -> None:
        """Raises: DrainFailed, CloudError, as RestClient's methods."""
        assert self._groups is not None
        node = removal.node
        log.info("scale-down", node=node.name, pods=len(removal.pods), utilization=f"{removal.utilization:.2f}")
        names = ", ".join(pod.key for pod in removal.pods)
        text = f"removing node {node.name}, utilization: {removal.utilization:.2f}, pods to reschedule: {names}"
        reason, text = ("ScaleDown", text) if names else ("ScaleDownEmpty", f'removing empty node "{node.name}"')
        self._recorder.event(self._status.stored, "Normal", reason, f"Scale-down: {text}")
        await self._drainer.begin(node)
        await self._drainer.evict(removal.pods)
        await self._groups.remove_machine(removal.group, node.spec.providerID or "")
        self._unneeded.pop(node.name, None)
        if removal.group in self._goals:
            self._goals[removal.group] -= 1
        self._recorder.event(node, "Normal", "ScaleDown", "node removed by cluster autoscaler")
        log.info("node removed", node=node.name)

    async def _removal_failed(self, removal: Removal, why: str) -> None:
        log.warning("node not removed", node=removal.node.name, error=why)
        self._recorder.event(
            removal.node, "Warning", "ScaleDownFailed", f"failed to drain the node, aborting ScaleDown: {why}"
        )
        self._put_off_removals(self._options.scale_down_delay_after_failure)
        self._unneeded.pop(removal.node.name, None)
        try:
            await self._drainer.give_up(removal.node)
        except (StatusError, ConnectionError, TimeoutError) as error:
            self._cleaned = False  # the next look tries again
            log.warning("taint not taken off", node=removal.node.name, error=str(error))

    async def work(self, queue: WorkQueue) -> None:
        """Does what looks have decided, until cancelled."""
        self.provider.on_change(lambda: queue.add(CLUSTER))
        queue.add(CLUSTER)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._grow(queue))
            tasks.create_task(self._shrink(queue))


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
