"""Decides which nodes nobody needs: hardly used, and all of their pods fit elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from apimachinery.conditions import is_true
from apimachinery.times import parse_time
from cluster_autoscaler.drainability import Blocked, DrainRules, pods_to_move
from cluster_autoscaler.groups import GroupState, pods_by_node
from cluster_autoscaler.simulation import Rules, Simulation
from kubeapi.core.node import TO_BE_DELETED_TAINT, Node, has_taint
from kubeapi.core.pod.model import Pod
from kubeapi.policy.poddisruptionbudget import PodDisruptionBudget

SCALE_DOWN_DISABLED = "cluster-autoscaler.kubernetes.io/scale-down-disabled"


@dataclass(frozen=True, slots=True)
class Removal:
    """A node that may go, and the pods that have to move before."""

    node: Node
    group: str
    pods: Sequence[Pod]
    utilization: float

    @property
    def ready(self) -> bool:
        return is_true(self.node.status.conditions, "Ready")


@dataclass(frozen=True, slots=True)
class Unregistered:
    """A machine that never became a node."""

    group: str
    provider_id: str


@dataclass(frozen=True, slots=True)
class ScaleDownPlan:
    removals: Sequence[Removal] = ()
    blocked: Mapping[str, str] = field(default_factory=dict)
    """Node -> why it stays."""


@dataclass(frozen=True, slots=True)
class Limits:
    utilization_threshold: float
    rules: DrainRules


def plan_scale_down(
    rules: Rules,
    nodes: Sequence[Node],
    pods: Sequence[Pod],
    budgets: Sequence[PodDisruptionBudget],
    states: Sequence[GroupState],
    limits: Limits,
    unneeded: Mapping[str, float],
) -> ScaleDownPlan:
    """Returns nodes that may all go together, first those that have been unneeded longest; of equal ones the youngest,
    as older ones have images and local volumes.

    `unneeded` says since when nodes have been. One that would take the pods of another that goes is needed.
    """
    on_nodes = pods_by_node(pods)
    base = Simulation(rules, nodes, pods)
    group_of = {node.name: state for state in states for node in state.nodes}
    use = {node.name: max(base.utilization(node.name)) for node in nodes if node.name in group_of}
    candidates = sorted(
        (node for node in nodes if node.name in use),
        key=lambda node: (unneeded.get(node.name, float("inf")), use[node.name], -_created(node), node.name),
    )
    removals: list[Removal] = []
    blocked: dict[str, str] = {}
    moved: list[tuple[Pod, str]] = []
    for node in candidates:
        state = group_of[node.name]
        leaving = sum(1 for item in removals if item.group == state.name)
        reason = _keeps(node, state, use[node.name], limits, leaving)
        if not reason and any(place == node.name for _, place in moved):
            reason = "it takes the pods of another"
        if reason:
            blocked[node.name] = reason
            continue
        moving = pods_to_move(on_nodes.get(node.name, ()), budgets, limits.rules)
        gone = {node.name, *(item.node.name for item in removals)}
        places = moving if isinstance(moving, Blocked) else _places(rules, nodes, pods, gone, moved, moving)
        if isinstance(places, Blocked):
            blocked[node.name] = str(places)
            continue
        moved += places
        removals.append(Removal(node, state.name, [pod for pod, _ in places], use[node.name]))
    return ScaleDownPlan(removals, blocked)


def _created(node: Node) -> float:
    return parse_time(node.metadata.creationTimestamp) if node.metadata.creationTimestamp else 0.0


def _keeps(node: Node, state: GroupState, utilization: float, limits: Limits, leaving: int) -> str:
    """Returns what keeps the node, whatever its pods are; "" for nothing."""
    if node.annotations.get(SCALE_DOWN_DISABLED) == "true":
        return "ScaleDownDisabledAnnotation"
    if has_taint(node, TO_BE_DELETED_TAINT):
        return "CurrentlyBeingDeleted"
    if len(state.group.members) - leaving <= state.group.min_size:
        return "NodeGroupMinSizeReached"
    if utilization >= limits.utilization_threshold and is_true(node.status.conditions, "Ready"):
        return "NotUnderutilized"
    return ""


def _places(
    rules: Rules,
    nodes: Sequence[Node],
    pods: Sequence[Pod],
    gone: set[str],
    moved: Sequence[tuple[Pod, str]],
    moving: Sequence[Pod],
) -> list[tuple[Pod, str]] | Blocked:
    """Returns where the moving pods would go, beside those that others would have moved already."""
    simulation = Simulation(
        rules, (node for node in nodes if node.name not in gone), (pod for pod in pods if pod.spec.nodeName not in gone)
    )
    for pod, place in moved:
        simulation.put(pod, place)
    places = []
    for pod in moving:
        freed = pod.clone()
        freed.spec.nodeName = None
        place = simulation.place(freed)
        if not place:
            return Blocked(pod.key, "NoPlaceToMovePods")
        places.append((pod, place))
    return places
