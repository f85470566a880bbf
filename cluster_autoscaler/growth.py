"""Lets groups grow: orders machines of the cloud, one after the other, and tells pods what came of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

from apimachinery.errors import NotFound
from cloudprovider.interface import CloudError, NodeGroups
from cluster_autoscaler.expanders._expander import choose
from cluster_autoscaler.options import Options
from cluster_autoscaler.scaleup import Option, ScaleUpPlan
from cluster_autoscaler.status import StatusWriter
from componentbase import logs
from kubeapi.core.configmap import ConfigMap
from kubeapi.core.pod.model import Pod
from kubeclient.backoff import Backoff
from kubeclient.controller import ControllerContext

PRIORITIES = "cluster-autoscaler-priority-expander"

log = logs.logger(__name__)


class Growth:
    def __init__(
        self, context: ControllerContext, groups: NodeGroups, status: StatusWriter, on_growth: Callable[[], None]
    ) -> None:
        """`on_growth` is called when machines are ordered, and when one has been made or could not be."""
        self._options: Options = context.options
        self._rest, self._recorder, self._clock = context.rest, context.recorder, context.clock
        self._groups, self._status, self._on_growth = groups, status, on_growth
        self._orders: asyncio.Queue[str] = asyncio.Queue()  # holds at most as many as groups may grow by
        self._ordered: Counter[str] = Counter()
        """Group -> machines that were asked for, and that the cloud has not said yet to be made."""
        self._goals: dict[str, int] = {}
        self._refusals: dict[str, tuple[str | None, str]] = {}
        """Key of a pod -> its uid, and why no group helps it, as was told."""
        self._backoffs: dict[str, tuple[Backoff, float]] = {}
        """Group -> its backoff, and until when it lasts (monotonic)."""

    def goal(self, group: str) -> int:
        """Returns the size that was asked for, 0 once it is there."""
        return self._goals.get(group, 0)

    def backed_off(self, group: str) -> bool:
        """Tells whether the group is left alone because a machine could not be made."""
        return group in self._backoffs and self._backoffs[group][1] > self._clock.monotonic()

    def machine_removed(self, group: str) -> None:
        if group in self._goals:
            self._goals[group] -= 1

    async def order(self, options: Sequence[Option]) -> None:
        """Has the best of the options made. Raises: as RestClient's methods."""
        option = choose(options, self._options.expander, await self._priorities(options))
        group, before, size = option.state.group, option.state.target, option.state.target + option.count
        log.info("scale-up", option=str(option), pods=len(option.pods), waste=f"{option.waste:.2f}")
        text = f"Scale-up: setting group {group.name} size to {size} instead of {before} (max: {group.max_size})"
        self._recorder.event(self._status.stored, "Normal", "ScaledUpGroup", text)
        for pod in option.pods:
            self._recorder.event(pod, "Normal", "TriggeredScaleUp", f"pod triggered scale-up: [{{{option}}}]")
        self._ordered[group.name] += option.count
        self._goals[group.name] = size
        for _ in range(option.count):
            self._orders.put_nowait(group.name)
        self._on_growth()

    async def _priorities(self, options: Sequence[Option]) -> str:
        if len(options) < 2 or all(item.name != "priority" for item in self._options.expander):
            return ""
        try:
            config = await self._rest.get(ConfigMap, PRIORITIES, self._options.namespace)
        except NotFound:
            return ""
        return (config.data or {}).get("priorities", "")

    def tell_refusals(self, pending: Sequence[Pod], plan: ScaleUpPlan) -> None:
        """Says once why no group helps a pod, and again when that changes."""
        refusals = {}
        for pod in pending:
            if message := plan.refused.get(pod.key):
                refusals[pod.key] = (pod.metadata.uid, message)
                if self._refusals.get(pod.key) != refusals[pod.key]:
                    self._recorder.event(pod, "Normal", "NotTriggerScaleUp", message)
        self._refusals = refusals

    async def run(self) -> None:
        """Has the cloud make what was ordered, until cancelled."""
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
            self._ordered[group] -= 1
            if not self._ordered[group]:
                del self._goals[group]
            self._on_growth()

    def _back_off(self, group: str) -> None:
        options = self._options
        fresh = Backoff(options.initial_node_group_backoff_duration, options.max_node_group_backoff_duration)
        backoff = self._backoffs[group][0] if group in self._backoffs else fresh
        self._backoffs[group] = (backoff, self._clock.monotonic() + backoff.next_seconds())
