"""DefaultPreemption: makes room for a pod that fits nowhere by evicting pods of lower priority.

Source: Kubernetes, "Pod Priority and Preemption".
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from operator import attrgetter

import numpy as np

from apimachinery.errors import FieldError, invalid
from scheduler import metrics
from scheduler.framework import Cycle, Handle, Plugin, PluginArguments, PluginSpec, PostFilterResult, Rejected, Unfit
from scheduler.plugins.preemption._budgets import Budgets
from scheduler.plugins.preemption._evictions import Evictions, is_preempted
from scheduler.plugins.preemption._search import VictimSearch
from scheduler.state.podinfo import pod_id
from scheduler.state.victims import Preemption
from scheduler.views.pod import Pod
from scheduler.views.poddisruptionbudget import PodDisruptionBudget

NO_HELP = "Preemption is not helpful for scheduling"


class DefaultPreemptionArgs(PluginArguments):
    """The plugin's arguments: how many nodes it compares before it takes the best of them."""

    minCandidateNodesPercentage: int = 10
    """The share of the nodes in question, 0 to 100."""
    minCandidateNodesAbsolute: int = 100
    """The number of nodes, if the share is less."""

    def errors(self) -> list[FieldError]:
        errors = []
        if not 0 <= self.minCandidateNodesPercentage <= 100:
            message = "not in valid range [0, 100]"
            errors.append(invalid("minCandidateNodesPercentage", self.minCandidateNodesPercentage, message))
        if self.minCandidateNodesAbsolute < 0:
            message = "not in valid range [0, inf)"
            errors.append(invalid("minCandidateNodesAbsolute", self.minCandidateNodesAbsolute, message))
        if not self.minCandidateNodesPercentage and not self.minCandidateNodesAbsolute:
            errors.append(invalid("minCandidateNodesAbsolute", 0, "cannot be zero at the same time as the percentage"))
        return errors


class DefaultPreemption(Plugin):
    def __init__(self, name: str, handle: Handle) -> None:
        super().__init__(name, handle)
        args = self.args(DefaultPreemptionArgs)
        self._percentage, self._least = args.minCandidateNodesPercentage, args.minCandidateNodesAbsolute
        self._budgets = Budgets(handle)
        self._evictions = Evictions(name, handle)
        self._random = random.Random()

    def pre_enqueue(self, pod: Pod) -> Rejected | None:
        held = self._evictions.hold(pod_id(pod))
        return Rejected("waiting for the preemption for this pod to be finished") if held else None

    async def post_filter(self, cycle: Cycle, unfit: Unfit) -> PostFilterResult:
        obstacle = self._obstacle(cycle, unfit)
        if obstacle:
            return PostFilterResult(f"preemption: {obstacle}")
        metrics.PREEMPTION_ATTEMPTS.inc()
        rows = np.zeros(0, np.int64) if unfit.curable is None else unfit.curable
        wanted = min(max(len(rows) * self._percentage // 100, self._least), len(rows))
        rows = np.roll(rows, -self._random.randrange(len(rows))) if len(rows) else rows
        search = VictimSearch(cycle, self.handle.cache, self._budgets)
        best = search.all(rows, wanted) if cycle.reviewers else search.best(rows, wanted)
        if not best:
            return PostFilterResult(self._message(search.reasons, len(rows)), nominated="")
        if not isinstance(best, Preemption):
            left = await _reviewed(cycle, best)
            if isinstance(left, Rejected):
                return PostFilterResult(f"preemption: {left.reason}")
            best = min(left, key=attrgetter("cost"))
        self._preempt(cycle, best)
        return PostFilterResult(nominated=best.node)

    def _obstacle(self, cycle: Cycle, unfit: Unfit) -> str:
        """Says why the pod may not preempt others, now or ever; "" if it may."""
        if cycle.pod.spec.preemptionPolicy == "Never":
            return "not eligible due to preemptionPolicy=Never."
        if self._evictions.under_way(cycle.uid):
            return "not eligible due to a terminating pod on the nominated node."
        node = self.handle.cache.nominations.node_of(cycle.uid) or cycle.pod.status.nominatedNodeName or ""
        row = self.table.rows.get(node)
        if row is None or unfit.curable is None or row not in unfit.curable:
            return ""
        residents = self.handle.cache.residents(node)
        lower = residents.pods[residents.first_below(cycle.pod.spec.priority or 0) :]
        if any(is_preempted(pod) for pod in lower):
            return "not eligible due to a terminating pod on the nominated node."
        return ""

    def _message(self, reasons: Counter[str], looked_at: int) -> str:
        reasons[NO_HELP] += self.table.count - looked_at
        counted = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items() if count))
        return f"preemption: 0/{self.table.count} nodes are available: {counted}."

    def _preempt(self, cycle: Cycle, best: Preemption) -> None:
        """Takes the node from pods of lower priority that were promised it, and has the victims evicted."""
        nominations = self.handle.cache.nominations
        for pod in nominations.on_node(best.node):
            if pod.priority < (cycle.pod.spec.priority or 0):
                nominations.remove(pod.uid)
                self._evictions.take_promise_back(pod.pod)
                self.handle.activate(pod.uid)
        metrics.PREEMPTION_VICTIMS.observe(len(best.victims))
        self._budgets.spend(best.victims)
        self._evictions.start(cycle.pod, best.node, best.victims)

    async def run(self) -> None:
        await self._evictions.run()


async def _reviewed(cycle: Cycle, candidates: Sequence[Preemption]) -> Sequence[Preemption] | Rejected:
    """Returns what the reviewers leave of the candidates, one at least."""
    for plugin in cycle.reviewers:
        answer = await plugin.review_victims(cycle, candidates)
        if isinstance(answer, Rejected):
            return answer
        if not answer:
            return Rejected("no candidate node for preemption")
        candidates = answer
    return candidates


PLUGIN = PluginSpec(
    "DefaultPreemption", DefaultPreemption, arguments=DefaultPreemptionArgs, reads=(PodDisruptionBudget,)
)
