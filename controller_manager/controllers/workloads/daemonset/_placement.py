"""Decides on which nodes a DaemonSet should have a pod, which pods to make, and which to delete. Pure.

Source: Kubernetes documentation, "DaemonSet": "How Daemon Pods are scheduled", "Taints and tolerations".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from controller_manager.controllers.workloads._history import HASH_LABEL
from controller_manager.podstate import is_ready, seconds_until_available
from kubeapi.apps.daemonset import DaemonSet, template_generation
from kubeapi.core.node import Node
from kubeapi.core.pod.lifecycle import is_terminal
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.scheduling.affinity import (
    Affinity,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Toleration,
)
from kubeapi.core.pod.scheduling.nodeselection import NAME_FIELD, required_terms, selects
from kubeapi.core.pod.scheduling.tolerations import NO_EXECUTE, NO_SCHEDULE, PREFER_NO_SCHEDULE, taint_key, tolerated
from kubeapi.core.pod.spec import PodSpec

GENERATION_LABEL = "pod-template-generation"
_TOLERATED = (
    ("node.kubernetes.io/not-ready", NO_EXECUTE),
    ("node.kubernetes.io/unreachable", NO_EXECUTE),
    ("node.kubernetes.io/disk-pressure", NO_SCHEDULE),
    ("node.kubernetes.io/memory-pressure", NO_SCHEDULE),
    ("node.kubernetes.io/pid-pressure", NO_SCHEDULE),
    ("node.kubernetes.io/unschedulable", NO_SCHEDULE),
)
_TOLERATED_ON_HOST_NETWORK = (("node.kubernetes.io/network-unavailable", NO_SCHEDULE),)


class Fit(NamedTuple):
    """What a node may have: a new pod, or at least one that runs there already."""

    new: bool
    running: bool


def tolerations_of(spec: PodSpec) -> list[Toleration]:
    """Returns the template's tolerations, and those that let pods of a DaemonSet stay on nodes in trouble."""
    wanted = _TOLERATED + (_TOLERATED_ON_HOST_NETWORK if spec.hostNetwork else ())
    own = [each for each in spec.tolerations or () if (each.key, each.effect, each.operator) not in _exists(wanted)]
    return own + [Toleration(key=key, effect=effect, operator="Exists") for key, effect in wanted]


def _exists(wanted: Iterable[tuple[str, str]]) -> set[tuple[str | None, str | None, str | None]]:
    return {(key, effect, "Exists") for key, effect in wanted}


def fitting(spec: PodSpec) -> Callable[[Node], Fit]:
    """Prepares the question which nodes fit pods of this template."""
    tolerations = tolerations_of(spec)

    def fit(node: Node) -> Fit:
        if spec.nodeName and spec.nodeName != node.name:
            return Fit(new=False, running=False)
        if not selects(spec.nodeSelector, spec.affinity, node.name, node.labels):
            return Fit(new=False, running=False)
        refused = [
            taint.effect
            for taint in node.spec.taints or ()
            if taint.effect != PREFER_NO_SCHEDULE and not tolerated(tolerations, taint_key(taint))
        ]
        return Fit(new=not refused, running=NO_EXECUTE not in refused)

    return fit


def target_node(pod: Pod) -> str:
    """Returns the node that the pod runs on or was made for; "" when it names none."""
    if pod.spec.nodeName:
        return pod.spec.nodeName
    for term in required_terms(pod.spec.affinity) or ():
        for item in term.matchFields or ():
            if item.key == NAME_FIELD and item.operator == "In" and item.values:
                return item.values[0]
    return ""


def bound_to(spec: PodSpec, node: str) -> PodSpec:
    """Returns the template's spec for one node: the scheduler places the pod there or nowhere."""
    bound = spec.clone()
    term = NodeSelectorTerm(matchFields=[NodeSelectorRequirement(key=NAME_FIELD, operator="In", values=[node])])
    affinity = bound.affinity = bound.affinity or Affinity()
    affinity.nodeAffinity = affinity.nodeAffinity or NodeAffinity()
    affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution = NodeSelector(nodeSelectorTerms=[term])
    bound.tolerations = tolerations_of(spec)
    return bound


def by_node(pods: Iterable[Pod]) -> dict[str, list[Pod]]:
    """Groups by target node, the scheduled and the oldest first; leaves out those that have ended and are going."""
    groups: dict[str, list[Pod]] = {}
    for pod in pods:
        if pod.metadata.deletionTimestamp is None or not is_terminal(pod.status.phase):
            groups.setdefault(target_node(pod), []).append(pod)
    for group in groups.values():
        group.sort(key=lambda pod: (not pod.spec.nodeName, pod.metadata.creationTimestamp or "", pod.name))
    return groups


def has_template(pod: Pod, daemon_set: DaemonSet, digest: str) -> bool:
    """Tells whether the pod was made from the current template."""
    generation = str(template_generation(daemon_set))
    return pod.labels.get(HASH_LABEL) == digest or pod.labels.get(GENERATION_LABEL) == generation


@dataclass(slots=True)
class Placement:
    """What to do so that each node has the pods it should have."""

    create: list[str] = field(default_factory=list)
    """The nodes that need a pod."""
    delete: list[Pod] = field(default_factory=list)
    ended: list[Pod] = field(default_factory=list)
    """Those of the pods to delete that have ended; the next ones wait for their deletion."""


def plan_placement(
    daemon_set: DaemonSet,
    nodes: Iterable[Node],
    groups: Mapping[str, list[Pod]],
    digest: str,
    now: float,
) -> Placement:
    """`groups` are the pods by node; `digest` is the hash of the current template."""
    plan, fit = Placement(), fitting(daemon_set.spec.template.spec)
    names = set()
    for node in nodes:
        names.add(node.name)
        pods, fits = groups.get(node.name, []), fit(node)
        if fits.new and not pods:
            plan.create.append(node.name)
        elif fits.running:
            _keep_one(plan, daemon_set, pods, digest, now)
        else:
            plan.delete += [pod for pod in pods if pod.metadata.deletionTimestamp is None]
    for name, pods in groups.items():  # of nodes that are gone; those that ran there the pod garbage collector removes
        if name not in names:
            plan.delete += [pod for pod in pods if not pod.spec.nodeName and pod.metadata.deletionTimestamp is None]
    return plan


def _keep_one(plan: Placement, daemon_set: DaemonSet, pods: list[Pod], digest: str, now: float) -> None:
    """Leaves one pod on a node; two while the newer one of an update with surge becomes available."""
    running = []
    for pod in pods:
        if pod.metadata.deletionTimestamp is not None:
            continue
        if is_terminal(pod.status.phase):
            plan.ended.append(pod)
        else:
            running.append(pod)
    if len(running) <= 1:
        return
    if not allows_surge(daemon_set):
        plan.delete += running[1:]
        return
    new = next((pod for pod in running if pod.labels.get(HASH_LABEL) == digest), None)
    old = next((pod for pod in running if pod.labels.get(HASH_LABEL) != digest), None)
    plan.delete += [pod for pod in running if pod is not new and pod is not old]
    if new is not None and old is not None and (not is_ready(old) or is_available(new, daemon_set, now)):
        plan.delete.append(old)


def is_available(pod: Pod, daemon_set: DaemonSet, now: float) -> bool:
    return seconds_until_available(pod, daemon_set.spec.minReadySeconds or 0, now) == 0


def allows_surge(daemon_set: DaemonSet) -> bool:
    strategy = daemon_set.spec.updateStrategy
    return (
        strategy.type == "RollingUpdate"
        and strategy.rollingUpdate is not None
        and strategy.rollingUpdate.maxSurge not in (None, 0, "0%")
    )
