"""Decides whether one more machine would help a pod that fits nowhere, and of which group. Pure but for chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from apimachinery.conditions import get_condition
from cluster_autoscaler.groups import GroupState, Template, is_daemon
from cluster_autoscaler.simulation import Rules, Simulation
from kubeapi.core.node import Node
from kubeapi.core.pod.model import Pod

MAX_REACHED = "max node group size reached"
IN_BACKOFF = "in backoff after failed scale-up"


@dataclass(frozen=True, slots=True)
class Option:
    """A way to help: so many machines of a group, for these pods."""

    state: GroupState
    count: int
    pods: Sequence[Pod]
    waste: float
    """The share of the new machines' CPU and memory that nobody would ask for."""

    def __str__(self) -> str:
        group = self.state.group
        return f"{group.name} {self.state.target}->{self.state.target + self.count} (max: {group.max_size})"


@dataclass(frozen=True, slots=True)
class ScaleUpPlan:
    options: Sequence[Option] = ()
    waiting: Sequence[Pod] = ()
    """Pods that fit on nodes that are there, or on their way."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Key of a pod that no group helps -> why, as its event says it."""


def unschedulable(pods: Iterable[Pod], lowest_priority: int) -> list[Pod]:
    """Returns the pods that the scheduler found no node for, the most important first.

    Those of a priority below `lowest_priority` don't count, nor those of DaemonSets, which have their one node.
    """
    waiting = []
    for pod in pods:
        condition = get_condition(pod.status.conditions, "PodScheduled")
        refused = condition is not None and condition.status == "False" and condition.reason == "Unschedulable"
        gone = pod.metadata.deletionTimestamp is not None or pod.spec.nodeName or pod.status.nominatedNodeName
        if refused and not gone and not is_daemon(pod) and (pod.spec.priority or 0) >= lowest_priority:
            waiting.append(pod)
    return sorted(waiting, key=lambda pod: (-(pod.spec.priority or 0), pod.metadata.creationTimestamp or "", pod.key))


def plan_scale_up(
    rules: Rules, nodes: Sequence[Node], pods: Sequence[Pod], pending: Sequence[Pod], states: Sequence[GroupState]
) -> ScaleUpPlan:
    """`nodes` are all that can take pods, `pods` those that have not ended."""
    if not pending:
        return ScaleUpPlan()
    coming = [
        state.template.instance(number)
        for state in states
        for number in range(state.target, state.target + state.upcoming)
    ]
    stage = _Stage(
        rules, [*nodes, *(item.node for item in coming)], [*pods, *(p for item in coming for p in item.pods)]
    )
    waiting = stage.settle(pending)
    placed = {pod.key for pod in waiting}
    left = [pod for pod in pending if pod.key not in placed]
    options = [option for state in states if state.room and (option := stage.option(state, left)) is not None]
    helped = {pod.key for option in options for pod in option.pods}
    refused = {pod.key: _refusal(rules, pod, states) for pod in left if pod.key not in helped}
    return ScaleUpPlan(options, waiting, refused)


class _Stage:
    """Nodes and pods from which each group starts anew."""

    def __init__(self, rules: Rules, nodes: Sequence[Node], pods: Sequence[Pod]) -> None:
        self._rules, self._nodes, self._pods = rules, nodes, pods
        self._settled: list[tuple[Pod, str]] = []

    def settle(self, pending: Sequence[Pod]) -> list[Pod]:
        """Places the pods that fit, and returns them."""
        simulation = Simulation(self._rules, self._nodes, self._pods)
        self._settled = [(pod, node) for pod in pending if (node := simulation.place(pod))]
        return [pod for pod, _ in self._settled]

    def option(self, state: GroupState, pending: Sequence[Pod]) -> Option | None:
        """Adds machines of the group, one after the other, as long as each helps a pod."""
        simulation = Simulation(self._rules, self._nodes, self._pods)
        for pod, node in self._settled:
            simulation.put(pod, node)
        added: list[Template] = []
        helped = []
        for pod in pending:
            if simulation.place(pod):
                helped.append(pod)
            elif len(added) < state.room:
                extra = state.template.instance(state.target + state.upcoming + len(added))
                simulation.add_node(extra.node)
                for daemon in extra.pods:
                    simulation.put(daemon, extra.node.name)
                if simulation.place(pod):
                    added.append(extra)
                    helped.append(pod)
                else:
                    simulation.drop_node(extra.node.name)
        if not added:
            return None
        used = [share for extra in added for share in simulation.utilization(extra.node.name)]
        return Option(state, len(added), helped, 1 - sum(used) / len(used))


def _refusal(rules: Rules, pod: Pod, states: Sequence[GroupState]) -> str:
    """Words why no group helps the pod: what a new and empty machine of each lacks, or that the group is full."""
    reasons: Counter[str] = Counter()
    for state in states:
        template = state.template.instance(state.target)
        lacking = Simulation(rules, [template.node], template.pods).reasons(pod)
        if lacking:
            reasons.update(lacking)
        else:
            reasons[IN_BACKOFF if state.backed_off else MAX_REACHED] += 1
    if not reasons:
        return "pod didn't trigger scale-up"
    return "pod didn't trigger scale-up: " + ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))


def taking_pods(nodes: Iterable[Node], states: Sequence[GroupState]) -> list[Node]:
    """Returns the nodes without those of groups that have not started: these count as upcoming."""
    started = {node.name for state in states for node in state.started}
    members = {node.name for state in states for node in state.nodes}
    return [node for node in nodes if node.name in started or node.name not in members]
