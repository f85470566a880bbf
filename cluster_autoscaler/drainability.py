"""Tells pods that have to move before their node may go from those that keep it from going. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from apimachinery.meta import controller_of
from apimachinery.selectors import selector_of
from cluster_autoscaler.groups import is_daemon
from kubeapi.core.pod.lifecycle import is_terminal
from kubeapi.core.pod.model import Pod
from kubeapi.policy.poddisruptionbudget import PodDisruptionBudget

SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"
SAFE_VOLUMES = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
REPLACED_BY = ("ReplicaSet", "ReplicationController", "StatefulSet", "Job")
"""Controllers that make another pod in place of one that goes."""
SYSTEM_NAMESPACE = "kube-system"


@dataclass(frozen=True, slots=True)
class DrainRules:
    """Names the pods that keep their node, unless their annotation says that they are safe to evict."""

    local_storage: bool = True
    """Those with an emptyDir on disk, or a folder of the host."""
    system_pods: bool = True
    """Those of kube-system that no budget names."""
    custom_controllers: bool = True
    """Those of a controller that Kubernetes does not bring."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """Says which pod keeps its node, and why, in upstream's word."""

    pod: str
    reason: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.pod}"


def pods_to_move(pods: Sequence[Pod], budgets: Sequence[PodDisruptionBudget], rules: DrainRules) -> list[Pod] | Blocked:
    """Returns the pods of a node that need another one; those that end anyway or belong to the node need none."""
    moving = [
        pod
        for pod in pods
        if not is_daemon(pod) and not is_terminal(pod.status.phase) and pod.metadata.deletionTimestamp is None
    ]
    for pod in moving:
        reason = _obstacle(pod, budgets, rules)
        if reason:
            return Blocked(pod.key, reason)
    return _beyond_budget(moving, budgets) or moving


def _obstacle(pod: Pod, budgets: Sequence[PodDisruptionBudget], rules: DrainRules) -> str:
    safe = pod.annotations.get(SAFE_TO_EVICT)
    if safe == "true":
        return ""
    if safe == "false":
        return "NotSafeToEvictAnnotation"
    owner = controller_of(pod)
    if owner is None:
        return "NotReplicated"
    if rules.custom_controllers and owner.kind not in REPLACED_BY:
        return "NotReplicated"
    if rules.system_pods and pod.namespace == SYSTEM_NAMESPACE and not any(covers(item, pod) for item in budgets):
        return "UnmovableKubeSystemPod"
    if rules.local_storage and _has_local_storage(pod):
        return "LocalStorageRequested"
    return ""


def _has_local_storage(pod: Pod) -> bool:
    safe = {name.strip() for name in pod.annotations.get(SAFE_VOLUMES, "").split(",")}
    return any(
        volume.hostPath is not None or (volume.emptyDir is not None and volume.emptyDir.medium != "Memory")
        for volume in pod.spec.volumes or ()
        if volume.name not in safe
    )


def covers(budget: PodDisruptionBudget, pod: Pod) -> bool:
    return budget.namespace == pod.namespace and selector_of(budget.spec.selector).matches(pod.labels)


def _beyond_budget(pods: Sequence[Pod], budgets: Sequence[PodDisruptionBudget]) -> Blocked | None:
    """Returns the first pod that one of its budgets would not let go after those before it."""
    used: Counter[str] = Counter()
    for pod in pods:
        for budget in budgets:
            if covers(budget, pod):
                used[budget.key] += 1
                if used[budget.key] > budget.status.disruptionsAllowed:
                    return Blocked(pod.key, "NotEnoughPdb")
    return None
