"""Computes a Deployment's status: counts from its ReplicaSets, and whether its rollout is done, moving or stuck."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from apimachinery.conditions import get_condition, remove_condition, set_condition
from apimachinery.times import format_time, parse_time
from controller_manager.controllers.workloads.deployment._rollout import (
    available_pods,
    bounds,
    existing_pods,
    wanted_pods,
)
from kubeapi.apps.deployment import Deployment, DeploymentCondition, DeploymentStatus
from kubeapi.apps.replicaset import ReplicaSet

AVAILABLE, PROGRESSING, REPLICA_FAILURE = "Available", "Progressing", "ReplicaFailure"
# Reasons of Progressing, as upstream spells them; kubectl rollout status reads them.
NEW_CREATED = "NewReplicaSetCreated"
NEW_FOUND = "FoundNewReplicaSet"
NEW_FAILED = "ReplicaSetCreateError"
UPDATED = "ReplicaSetUpdated"
NEW_AVAILABLE = "NewReplicaSetAvailable"
TIMED_OUT = "ProgressDeadlineExceeded"
PAUSED, RESUMED = "DeploymentPaused", "DeploymentResumed"

Conditions = list[DeploymentCondition]
Compute = Callable[[Deployment, Sequence[ReplicaSet], ReplicaSet | None, float], DeploymentStatus]


def condition(kind: str, status: str, reason: str, message: str, now: float) -> DeploymentCondition:
    stamp = format_time(now)
    return DeploymentCondition(
        type=kind, status=status, reason=reason, message=message, lastUpdateTime=stamp, lastTransitionTime=stamp
    )


def with_condition(conditions: Conditions | None, new: DeploymentCondition) -> Conditions:
    """Puts `new` last, in place of the condition of its type; nothing changes when status and reason are the same."""
    old = get_condition(conditions, new.type)
    if old is not None and (old.status, old.reason) == (new.status, new.reason):
        return list(conditions or ())
    return [*remove_condition(conditions, new.type), *set_condition([old] if old is not None else [], new)]


def counted_status(
    deployment: Deployment, replica_sets: Sequence[ReplicaSet], new: ReplicaSet | None, now: float
) -> DeploymentStatus:
    """Computes the counts and the Available condition; the other conditions stay as they were."""
    available = available_pods(replica_sets)
    if available >= bounds(deployment).least_available:
        verdict = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        verdict = ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    terminating = [rs.status.terminatingReplicas for rs in replica_sets if rs.status.terminatingReplicas is not None]
    return DeploymentStatus(
        observedGeneration=deployment.metadata.generation,
        replicas=existing_pods(replica_sets) or None,
        updatedReplicas=(new.status.replicas if new is not None else 0) or None,
        readyReplicas=sum(rs.status.readyReplicas or 0 for rs in replica_sets) or None,
        availableReplicas=available or None,
        unavailableReplicas=max(wanted_pods(replica_sets) - available, 0) or None,
        terminatingReplicas=sum(terminating) if terminating else None,
        conditions=with_condition(deployment.status.conditions, condition(AVAILABLE, *verdict, now)),
        collisionCount=deployment.status.collisionCount,
    )


def rollout_status(
    deployment: Deployment, replica_sets: Sequence[ReplicaSet], new: ReplicaSet | None, now: float
) -> DeploymentStatus:
    """Adds to `counted_status` how the rollout goes: complete, progressing, or past its deadline."""
    status = counted_status(deployment, replica_sets, new, now)
    if deployment.spec.progressDeadlineSeconds is None:
        status.conditions = remove_condition(status.conditions, PROGRESSING)
    elif not _was_complete(deployment, status):
        status.conditions = _progress(deployment, status, new, now)
    failures = _failures(replica_sets, new)
    if failures:
        status.conditions = with_condition(status.conditions, failures[0])
    else:
        status.conditions = remove_condition(status.conditions, REPLICA_FAILURE)
    return status


def _was_complete(deployment: Deployment, status: DeploymentStatus) -> bool:
    """Tells whether the rollout was finished before: it stays so when pods die later."""
    progressing = get_condition(deployment.status.conditions, PROGRESSING)
    same = (status.replicas or 0) == (status.updatedReplicas or 0)
    return same and progressing is not None and progressing.reason == NEW_AVAILABLE


def _progress(
    deployment: Deployment, status: DeploymentStatus, new: ReplicaSet | None, now: float
) -> Conditions | None:
    who = f'ReplicaSet "{new.name}"' if new is not None else f'Deployment "{deployment.name}"'
    if is_complete(deployment, status):
        done = condition(PROGRESSING, "True", NEW_AVAILABLE, f"{who} has successfully progressed.", now)
        return with_condition(status.conditions, done)
    if _has_progressed(deployment.status, status):
        moving = condition(PROGRESSING, "True", UPDATED, f"{who} is progressing.", now)
        old = get_condition(deployment.status.conditions, PROGRESSING)
        if old is not None and old.status == "True":
            moving.lastTransitionTime = old.lastTransitionTime
        # Replaced even where status and reason are the same: the deadline counts from lastUpdateTime.
        return [*remove_condition(status.conditions, PROGRESSING), moving]
    if is_timed_out(deployment, status, now):
        late = condition(PROGRESSING, "False", TIMED_OUT, f"{who} has timed out progressing.", now)
        return with_condition(status.conditions, late)
    return status.conditions


def is_complete(deployment: Deployment, status: DeploymentStatus) -> bool:
    """True when all pods are of the current template and available, and no old one is left."""
    replicas = deployment.spec.replicas
    counts = (status.updatedReplicas or 0, status.replicas or 0, status.availableReplicas or 0)
    return counts == (replicas, replicas, replicas) and (status.observedGeneration or 0) >= (
        deployment.metadata.generation or 0
    )


def _has_progressed(old: DeploymentStatus, new: DeploymentStatus) -> bool:
    old_updated, new_updated = old.updatedReplicas or 0, new.updatedReplicas or 0
    return (
        new_updated > old_updated
        or (new.replicas or 0) - new_updated < (old.replicas or 0) - old_updated
        or (new.readyReplicas or 0) > (old.readyReplicas or 0)
        or (new.availableReplicas or 0) > (old.availableReplicas or 0)
    )


def is_timed_out(deployment: Deployment, status: DeploymentStatus, now: float) -> bool:
    progressing = get_condition(status.conditions, PROGRESSING)
    deadline = deployment.spec.progressDeadlineSeconds
    if progressing is None or deadline is None or progressing.reason == NEW_AVAILABLE:
        return False
    if progressing.reason == TIMED_OUT:
        return True
    since = progressing.lastUpdateTime or progressing.lastTransitionTime
    return since is not None and now > parse_time(since) + deadline


def seconds_to_deadline(deployment: Deployment, status: DeploymentStatus, now: float) -> float:
    """Returns when to look again whether the rollout is late, if nothing else happens; 0 when there is no need to."""
    progressing = get_condition(status.conditions, PROGRESSING)
    deadline = deployment.spec.progressDeadlineSeconds
    if progressing is None or deadline is None or deployment.spec.paused:
        return 0.0
    if is_complete(deployment, status) or progressing.reason in (TIMED_OUT, NEW_AVAILABLE):
        return 0.0
    since = progressing.lastUpdateTime or progressing.lastTransitionTime
    return max((parse_time(since) if since else now) + deadline - now, 0.0) + 1.0


def _failures(replica_sets: Sequence[ReplicaSet], new: ReplicaSet | None) -> Conditions:
    """Returns what hinders ReplicaSets from making pods; where it hinders the new one, that one's condition alone."""
    order = [new, *replica_sets] if new is not None else list(replica_sets)
    for rs in order:
        failure = get_condition(rs.status.conditions, REPLICA_FAILURE)
        if failure is not None:
            return [
                DeploymentCondition(
                    type=REPLICA_FAILURE,
                    status=failure.status,
                    reason=failure.reason,
                    message=failure.message,
                    lastTransitionTime=failure.lastTransitionTime,
                    lastUpdateTime=failure.lastTransitionTime,
                )
            ]
    return []


def paused_condition(deployment: Deployment, now: float) -> DeploymentCondition | None:
    """Returns the Progressing condition of a Deployment that was just paused or resumed; None otherwise."""
    if deployment.spec.progressDeadlineSeconds is None:
        return None
    progressing = get_condition(deployment.status.conditions, PROGRESSING)
    if progressing is not None and progressing.reason == TIMED_OUT:
        return None
    was_paused = progressing is not None and progressing.reason == PAUSED
    if deployment.spec.paused and not was_paused:
        return condition(PROGRESSING, "Unknown", PAUSED, "Deployment is paused", now)
    if not deployment.spec.paused and was_paused:
        return condition(PROGRESSING, "Unknown", RESUMED, "Deployment is resumed", now)
    return None
