"""Computes how many pods each ReplicaSet of a Deployment should have: the arithmetic of scaling and rolling. Pure.

Source: Kubernetes documentation, "Deployments": rolling updates, proportional scaling.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from controller_manager.controllers.workloads._percentages import scaled_value
from kubeapi.apps.deployment import Deployment
from kubeapi.apps.replicaset import ReplicaSet

DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
ROLLING_UPDATE = "RollingUpdate"
RECREATE = "Recreate"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits an update: how many pods above, and how many available below `replicas` it may go."""

    replicas: int
    surge: int
    unavailable: int

    @property
    def most_pods(self) -> int:
        return self.replicas + self.surge

    @property
    def least_available(self) -> int:
        return self.replicas - self.unavailable


def bounds(deployment: Deployment) -> Bounds:
    """Rounds surge up and unavailability down; where both are 0, one may be unavailable, lest nothing moves."""
    replicas, strategy = deployment.spec.replicas, deployment.spec.strategy
    if strategy.type != ROLLING_UPDATE or replicas == 0:
        return Bounds(replicas, 0, 0)
    rolling = strategy.rollingUpdate
    surge = scaled_value(rolling.maxSurge if rolling else None, replicas, round_up=True)
    unavailable = scaled_value(rolling.maxUnavailable if rolling else None, replicas, round_up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Bounds(replicas, surge, min(unavailable, replicas))


# Ordering and counting ReplicaSets


def oldest_first(replica_sets: Iterable[ReplicaSet]) -> list[ReplicaSet]:
    return sorted(replica_sets, key=lambda rs: (rs.metadata.creationTimestamp or "", rs.name))


def active(replica_sets: Iterable[ReplicaSet]) -> list[ReplicaSet]:
    """Lists those that should have pods."""
    return [rs for rs in replica_sets if rs.spec.replicas > 0]


def wanted_pods(replica_sets: Iterable[ReplicaSet]) -> int:
    return sum(rs.spec.replicas for rs in replica_sets)


def existing_pods(replica_sets: Iterable[ReplicaSet]) -> int:
    return sum(rs.status.replicas for rs in replica_sets)


def available_pods(replica_sets: Iterable[ReplicaSet]) -> int:
    return sum(rs.status.availableReplicas or 0 for rs in replica_sets)


def _annotated_number(replica_set: ReplicaSet, name: str) -> int | None:
    try:
        return int(replica_set.annotations[name])
    except (KeyError, ValueError):
        return None


# Rolling


def new_size(deployment: Deployment, replica_sets: Sequence[ReplicaSet], new: ReplicaSet) -> int:
    """Returns how many pods the new ReplicaSet may have now; `replica_sets` are all, the new one included.

    A ReplicaSet that was scaled down counts with the pods it still has, and until its status tells how many those are
    the new one does not grow: else there would be too many pods for a moment.
    """
    replicas, size = deployment.spec.replicas, new.spec.replicas
    if deployment.spec.strategy.type != ROLLING_UPDATE or size >= replicas:
        return replicas
    if not all(map(is_observed, replica_sets)):
        return size
    room = bounds(deployment).most_pods - sum(max(rs.spec.replicas, rs.status.replicas) for rs in replica_sets)
    return size + min(room, replicas - size) if room > 0 else size


def is_observed(replica_set: ReplicaSet) -> bool:
    """Tells whether the status was counted after the last change of the spec."""
    return (replica_set.status.observedGeneration or 0) >= (replica_set.metadata.generation or 0)


def sizes_after_scale_down(
    deployment: Deployment, old: Sequence[ReplicaSet], new: ReplicaSet
) -> list[tuple[ReplicaSet, int]]:
    """Lists the old ReplicaSets that can give up pods now, and their new sizes.

    Pods that aren't available go first, from the oldest on: they don't help to stay above the minimum. Then available
    ones, as far as enough others are available.
    """
    limits = bounds(deployment)
    new_unavailable = new.spec.replicas - (new.status.availableReplicas or 0)
    removable = wanted_pods([*old, new]) - limits.least_available - new_unavailable
    if removable <= 0:
        return []
    sizes = {rs.name: rs.spec.replicas for rs in old}
    ordered = [rs for rs in oldest_first(old) if rs.spec.replicas > 0]
    for rs in ordered:
        unhealthy = min(max(sizes[rs.name] - (rs.status.availableReplicas or 0), 0), removable)
        sizes[rs.name] -= unhealthy
        removable -= unhealthy
    # A status may still count pods of a ReplicaSet that was scaled down just before.
    available = sum(min(rs.status.availableReplicas or 0, rs.spec.replicas) for rs in (*old, new))
    removable = min(removable, available - limits.least_available)
    for rs in ordered:
        going = min(sizes[rs.name], max(removable, 0))
        sizes[rs.name] -= going
        removable -= going
    return [(rs, sizes[rs.name]) for rs in ordered if sizes[rs.name] != rs.spec.replicas]


# Scaling while no update runs, or in the middle of one


def is_scaling(deployment: Deployment, replica_sets: Iterable[ReplicaSet]) -> bool:
    """Tells whether `replicas` changed since the ReplicaSets were last sized."""
    for rs in active(replica_sets):
        desired = _annotated_number(rs, DESIRED_REPLICAS)
        if desired is not None and desired != deployment.spec.replicas:
            return True
    return False


def is_saturated(deployment: Deployment, new: ReplicaSet | None) -> bool:
    """Tells whether the new ReplicaSet has all its pods and they are available."""
    if new is None:
        return False
    replicas = deployment.spec.replicas
    return (
        _annotated_number(new, DESIRED_REPLICAS) == replicas
        and new.spec.replicas == replicas
        and (new.status.availableReplicas or 0) == replicas
    )


def active_or_latest(new: ReplicaSet | None, old: Sequence[ReplicaSet]) -> ReplicaSet | None:
    """Returns the one ReplicaSet that a change of `replicas` concerns; None when several have pods."""
    with_pods = active([*old, *([new] if new else [])])
    if len(with_pods) == 1:
        return with_pods[0]
    if with_pods:
        return None
    return new or (oldest_first(old)[-1] if old else None)


def scaled_sizes(
    deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet]
) -> list[tuple[ReplicaSet, int]]:
    """Lists every ReplicaSet that takes part in scaling the Deployment to `replicas`, with its size.

    In the middle of an update each takes its share in proportion to its size, so that a bad update does not get all of
    a scale-up.
    """
    single = active_or_latest(new, old)
    if single is not None:
        return [(single, deployment.spec.replicas)] if single.spec.replicas != deployment.spec.replicas else []
    if is_saturated(deployment, new):
        return [(rs, 0) for rs in active(old)]
    if deployment.spec.strategy.type != ROLLING_UPDATE:
        return []
    return _proportional(deployment, active([*old, *([new] if new else [])]))


def _proportional(deployment: Deployment, sharing: list[ReplicaSet]) -> list[tuple[ReplicaSet, int]]:
    allowed = bounds(deployment).most_pods if deployment.spec.replicas > 0 else 0
    to_add = allowed - wanted_pods(sharing)
    # The largest first; of equals the newest grows and the oldest shrinks.
    ordered = oldest_first(sharing)
    if to_add > 0:
        ordered.reverse()
    ordered.sort(key=lambda rs: -rs.spec.replicas)
    sizes: list[int] = []
    added = 0
    for rs in ordered:
        share = _share(deployment, rs, to_add, added) if to_add else 0
        sizes.append(rs.spec.replicas + share)
        added += share
    if sizes and to_add:
        sizes[0] = max(sizes[0] + to_add - added, 0)
    return list(zip(ordered, sizes, strict=True))


def _share(deployment: Deployment, rs: ReplicaSet, to_add: int, added: int) -> int:
    left = to_add - added
    if rs.spec.replicas == 0 or left == 0:
        return 0
    share = _fraction(deployment, rs)
    return min(share, left) if to_add > 0 else max(share, left)


def _fraction(deployment: Deployment, rs: ReplicaSet) -> int:
    """Returns by how much the ReplicaSet changes to keep its part of the whole, as that was when it was last sized."""
    if deployment.spec.replicas == 0:
        return -rs.spec.replicas
    whole_before = _annotated_number(rs, MAX_REPLICAS) or deployment.status.replicas or 0
    if whole_before == 0:
        return 0
    exact = rs.spec.replicas * bounds(deployment).most_pods / whole_before
    return math.floor(exact + 0.5) - rs.spec.replicas
