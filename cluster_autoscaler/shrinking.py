"""Lets groups shrink: notes which nodes nobody needs, empties one that nobody has needed for long, and removes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from apimachinery.errors import StatusError
from cloudprovider.interface import CloudError, NodeGroups
from cluster_autoscaler.drain import Drainer, DrainFailed, DrainTimes
from cluster_autoscaler.groups import CANDIDATE_TAINT, GroupState
from cluster_autoscaler.options import Options
from cluster_autoscaler.scaledown import Limits, Removal, Unregistered, plan_scale_down
from cluster_autoscaler.simulation import Rules
from cluster_autoscaler.status import StatusWriter
from componentbase import logs
from kubeapi.core.node import TO_BE_DELETED_TAINT, Node, has_taint, without_taints
from kubeapi.core.pod.model import Pod
from kubeapi.policy.poddisruptionbudget import PodDisruptionBudget
from kubeclient.controller import ControllerContext

log = logs.logger(__name__)


class Shrinking:
    def __init__(
        self,
        context: ControllerContext,
        groups: NodeGroups,
        rules: Rules,
        status: StatusWriter,
        on_removal: Callable[[str], None],
    ) -> None:
        """`on_removal` is called with the group that has lost a machine, and with "" when a removal failed."""
        self._options: Options = context.options
        self._recorder, self._clock = context.recorder, context.clock
        self._groups, self._rules, self._status, self._on_removal = groups, rules, status, on_removal
        self._nodes, pods = context.informers.of(Node), context.informers.of(Pod)
        self._budgets = context.informers.of(PodDisruptionBudget)
        times = DrainTimes(self._options.max_pod_eviction_time, self._options.max_graceful_termination_sec)
        self._drainer = Drainer(context.rest, self._recorder, self._clock, pods, times)
        self._removals: asyncio.Queue[Removal | Unregistered] = asyncio.Queue(1)
        self.removing = ""
        """The node or machine whose removal is under way."""
        self._cleaned = False
        self._unneeded: dict[str, float] = {}
        """Node -> since when (monotonic)."""
        self._not_before = 0.0
        """When the next removal may begin (monotonic)."""

    @property
    def unneeded(self) -> list[str]:
        return sorted(self._unneeded)

    def put_off(self, seconds: float) -> None:
        """Lets no removal begin for so long."""
        self._not_before = max(self._not_before, self._clock.monotonic() + seconds)

    def next_due(self) -> list[float]:
        """Returns in how many seconds removals become due."""
        now, limit = self._clock.monotonic(), self._options.scale_down_unneeded_time
        times = [max(since + limit, self._not_before) - now for since in self._unneeded.values()]
        return [time for time in times if time > 0]

    async def clean_up(self) -> None:
        """Lets pods onto nodes whose removal an autoscaler before this one did not finish.

        Raises: as RestClient's methods.
        """
        if self._cleaned:
            return
        for node in self._nodes.list():
            if has_taint(node, TO_BE_DELETED_TAINT, CANDIDATE_TAINT):
                await self._drainer.give_up(node)
        self._cleaned = True

    # what to remove

    def consider_late(self, states: Sequence[GroupState]) -> None:
        """Has a machine removed that never became a node: it would take the place of one that does."""
        for state in states if self._clock.monotonic() >= self._not_before else ():
            if state.late:
                self._begin(state.late[0], Unregistered(state.name, state.late[0]))
                return

    async def consider(self, nodes: Sequence[Node], pods: Sequence[Pod], states: Sequence[GroupState]) -> None:
        """Notes which nodes are unneeded, and has one removed that has been for long enough.

        Raises: as RestClient's methods.
        """
        options, now = self._options, self._clock.monotonic()
        limits = Limits(options.scale_down_utilization_threshold, options.drain_rules)
        # Members that have not started take no pods, but may have to go.
        members = {node.name: node for state in states for node in state.nodes} | {node.name: node for node in nodes}
        budgets = self._budgets.list()
        plan = plan_scale_down(self._rules, list(members.values()), pods, budgets, states, limits, self._unneeded)
        removals = {item.node.name: item for item in plan.removals}
        if removals.keys() != self._unneeded.keys():
            log.info("unneeded nodes", nodes=",".join(removals), needed=plan.blocked)
        self._unneeded = {name: self._unneeded.get(name, now) for name in removals}
        await self._mark_candidates(members.values())
        for name, removal in removals.items() if now >= self._not_before else ():
            limit = options.scale_down_unneeded_time if removal.ready else options.scale_down_unready_time
            if now - self._unneeded[name] >= limit:
                self._begin(name, removal)
                return

    def _begin(self, name: str, removal: Removal | Unregistered) -> None:
        self.removing = name
        self._removals.put_nowait(removal)

    async def _mark_candidates(self, nodes: Iterable[Node]) -> None:
        """Has the scheduler rather use other nodes than those that may go."""
        for node in nodes:
            unneeded = node.name in self._unneeded
            if unneeded and not has_taint(node, CANDIDATE_TAINT):
                await self._drainer.taint(node.name, CANDIDATE_TAINT, "PreferNoSchedule")
            elif not unneeded and has_taint(node, CANDIDATE_TAINT):
                await self._drainer.change(node.name, lambda item: without_taints(item, CANDIDATE_TAINT))

    # removing it

    async def run(self) -> None:
        """Removes what was decided on, until cancelled."""
        while True:
            removal = await self._removals.get()
            removed = await (
                self._remove_unregistered(removal) if isinstance(removal, Unregistered) else self._remove(removal)
            )
            self.removing = ""
            self._on_removal(removal.group if removed else "")

    async def _remove_unregistered(self, machine: Unregistered) -> bool:
        try:
            await self._groups.remove_machine(machine.group, machine.provider_id)
        except CloudError as error:
            log.warning("unregistered machine not removed", machine=machine.provider_id, error=str(error))
            self.put_off(self._options.scale_down_delay_after_failure)
            return False
        text = f"Removed unregistered node {machine.provider_id}"
        self._recorder.event(self._status.stored, "Normal", "DeleteUnregistered", text)
        log.info("unregistered machine removed", machine=machine.provider_id)
        return True

    async def _remove(self, removal: Removal) -> bool:
        node = removal.node
        self._tell(removal)
        try:
            await self._drainer.begin(node)
            await self._drainer.evict(removal.pods)
            await self._groups.remove_machine(removal.group, node.spec.providerID or "")
        except (DrainFailed, StatusError, ConnectionError, TimeoutError) as error:
            await self._give_up(node, str(error))
            return False
        self._unneeded.pop(node.name, None)
        self._recorder.event(node, "Normal", "ScaleDown", "node removed by cluster autoscaler")
        log.info("node removed", node=node.name)
        return True

    def _tell(self, removal: Removal) -> None:
        name, pods = removal.node.name, ", ".join(pod.key for pod in removal.pods)
        log.info("scale-down", node=name, pods=len(removal.pods), utilization=f"{removal.utilization:.2f}")
        text = f"removing node {name}, utilization: {removal.utilization:.2f}, pods to reschedule: {pods}"
        reason, text = ("ScaleDown", text) if pods else ("ScaleDownEmpty", f'removing empty node "{name}"')
        self._recorder.event(self._status.stored, "Normal", reason, f"Scale-down: {text}")

    async def _give_up(self, node: Node, why: str) -> None:
        log.warning("node not removed", node=node.name, error=why)
        text = f"failed to drain the node, aborting ScaleDown: {why}"
        self._recorder.event(node, "Warning", "ScaleDownFailed", text)
        self.put_off(self._options.scale_down_delay_after_failure)
        self._unneeded.pop(node.name, None)
        try:
            await self._drainer.give_up(node)
        except (StatusError, ConnectionError, TimeoutError) as error:
            self._cleaned = False  # the next look tries again
            log.warning("taint not taken off", node=node.name, error=str(error))
