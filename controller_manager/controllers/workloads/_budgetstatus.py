"""Computes how many pods of a PodDisruptionBudget may be evicted now. Pure.

Source: Kubernetes documentation, "Disruptions", "Specifying a Disruption Budget for your Application".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from apimachinery.conditions import get_condition, set_condition
from apimachinery.meta import Condition
from apimachinery.times import format_time, parse_time
from controller_manager.controllers.workloads._percentages import scaled_value
from controller_manager.podstate import is_ready
from kubeapi.core.pod.model import Pod
from kubeapi.policy.poddisruptionbudget import (
    DISRUPTION_ALLOWED,
    INSUFFICIENT_PODS,
    SUFFICIENT_PODS,
    SYNC_FAILED,
    PodDisruptionBudget,
    PodDisruptionBudgetStatus,
)

DELETION_SECONDS = 120.0
"""A pod whose eviction was allowed counts as gone for so long, even if nobody has deleted it yet."""


@dataclass(frozen=True, slots=True)
class Outcome:
    status: PodDisruptionBudgetStatus
    not_deleted: list[Pod]
    """Pods whose eviction was allowed long ago and that are still there."""
    wait_seconds: float
    """Until the next such pod counts again; 0 without one."""


def needs_scale(budget: PodDisruptionBudget) -> bool:
    """Tells whether the number of pods that their controllers want matters."""
    return budget.spec.maxUnavailable is not None or isinstance(budget.spec.minAvailable, str)


def compute(budget: PodDisruptionBudget, pods: list[Pod], wanted: int, now: float) -> Outcome:
    """`pods` are those that the budget selects, `wanted` is what their controllers want where `needs_scale`."""
    spec, old = budget.spec, budget.status
    expected = wanted if needs_scale(budget) else len(pods)
    if spec.maxUnavailable is not None:
        desired = max(expected - scaled_value(spec.maxUnavailable, expected, round_up=True), 0)
    else:
        desired = scaled_value(spec.minAvailable, expected, round_up=True)
    disrupted, late, wait = _disrupted(old.disruptedPods or {}, pods, now)
    healthy = sum(
        pod.metadata.deletionTimestamp is None and pod.name not in disrupted and is_ready(pod) for pod in pods
    )
    allowed = max(healthy - desired, 0) if expected > 0 else 0
    status = PodDisruptionBudgetStatus(
        observedGeneration=budget.metadata.generation,
        disruptedPods=disrupted or None,
        disruptionsAllowed=allowed,
        currentHealthy=healthy,
        desiredHealthy=desired,
        expectedPods=expected,
        conditions=_conditions(budget, "", now, allowed=allowed > 0),
    )
    return Outcome(status, late, wait)


def failed(budget: PodDisruptionBudget, why: str, now: float) -> PodDisruptionBudgetStatus:
    """Returns a status that allows nothing, as the numbers are not known."""
    status = budget.status.clone()
    status.disruptionsAllowed = 0
    status.observedGeneration = budget.metadata.generation
    status.conditions = _conditions(budget, why, now, allowed=False)
    return status


def _disrupted(before: dict[str, str], pods: Iterable[Pod], now: float) -> tuple[dict[str, str], list[Pod], float]:
    """Returns the pods that are about to go, those that should have gone, and the seconds until the next of these."""
    disrupted: dict[str, str] = {}
    late: list[Pod] = []
    waits: list[float] = []
    for pod in pods:
        since = before.get(pod.name)
        if since is None or pod.metadata.deletionTimestamp is not None:
            continue
        left = parse_time(since) + DELETION_SECONDS - now
        if left <= 0:
            late.append(pod)
        else:
            disrupted[pod.name] = since
            waits.append(left)
    return disrupted, late, min(waits, default=0.0)


def _conditions(budget: PodDisruptionBudget, failure: str, now: float, *, allowed: bool) -> list[Condition]:
    old = get_condition(budget.status.conditions, DISRUPTION_ALLOWED)
    status = "True" if allowed else "False"
    since = old.lastTransitionTime if old is not None and old.status == status else format_time(now)
    condition = Condition(
        type=DISRUPTION_ALLOWED,
        status=status,
        reason=SYNC_FAILED if failure else SUFFICIENT_PODS if allowed else INSUFFICIENT_PODS,
        message=failure,
        observedGeneration=budget.metadata.generation,
        lastTransitionTime=since,
    )
    return set_condition(budget.status.conditions, condition)
