"""Computes the status of a ReplicaSet or ReplicationController from its pods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apimachinery.conditions import get_condition, remove_condition, set_condition
from apimachinery.meta import StatusCondition
from apimachinery.times import format_time
from controller_manager.podstate import is_active, is_ready, is_terminating, seconds_until_available
from kubeapi.apps.replicaset import ReplicaSet, ReplicaSetStatus
from kubeapi.core.pod.model import Pod
from kubeapi.core.replicationcontroller import ReplicationController

REPLICA_FAILURE = "ReplicaFailure"


@dataclass(frozen=True, slots=True)
class ManageError:
    """Says why the number of pods could not be corrected, and whether pods were to be created or deleted."""

    message: str
    creating: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """Holds the status, and in how many seconds the next pod becomes available by itself (0: none will)."""

    status: Any
    """A ReplicaSetStatus or ReplicationControllerStatus."""
    next_available_seconds: float


def compute_status(
    replica_set: ReplicaSet | ReplicationController,
    pods: Sequence[Pod],
    failure: ManageError | None,
    condition: type[StatusCondition],
    now: float,
) -> Outcome:
    spec, old = replica_set.spec, replica_set.status
    wanted_labels = ((spec.template.metadata.labels if spec.template else None) or {}).items()
    replicas = fully_labeled = ready = available = terminating = 0
    waits: list[float] = []
    for pod in pods:
        if not is_active(pod):
            terminating += is_terminating(pod)
            continue
        replicas += 1
        fully_labeled += wanted_labels <= pod.labels.items()
        ready += is_ready(pod)
        wait = seconds_until_available(pod, spec.minReadySeconds or 0, now)
        if wait == 0:
            available += 1
        elif wait is not None:
            waits.append(wait)
    status = old.clone()
    status.replicas = replicas
    status.fullyLabeledReplicas, status.readyReplicas = fully_labeled or None, ready or None
    status.availableReplicas = available or None
    status.observedGeneration = replica_set.metadata.generation
    if isinstance(status, ReplicaSetStatus):
        status.terminatingReplicas = terminating
    status.conditions = _conditions(old.conditions, failure, condition, now) or None
    return Outcome(status, min(waits, default=0.0))


def _conditions(
    old: list[Any] | None, failure: ManageError | None, condition: type[StatusCondition], now: float
) -> list[Any] | None:
    if failure is None:
        return remove_condition(old, REPLICA_FAILURE)
    if get_condition(old, REPLICA_FAILURE) is not None:
        return old
    failing = condition(
        type=REPLICA_FAILURE,
        status="True",
        lastTransitionTime=format_time(now),
        reason="FailedCreate" if failure.creating else "FailedDelete",
        message=failure.message,
    )
    return set_condition(old, failing)
