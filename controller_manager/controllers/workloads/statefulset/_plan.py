"""Decides which pods of a StatefulSet to make and to delete next, and counts its status. Pure.

Source: Kubernetes documentation, "StatefulSets": "Deployment and Scaling Guarantees", "Update strategies".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from controller_manager.controllers.workloads._percentages import scaled_value
from controller_manager.controllers.workloads.statefulset._pods import (
    REVISION_LABEL,
    new_pod,
    ordinal_of,
    with_identity,
)
from controller_manager.podstate import is_ready, seconds_until_available
from kubeapi.apps.statefulset import ON_DELETE, PARALLEL, StatefulSet, StatefulSetStatus, first_ordinal
from kubeapi.core.pod.lifecycle import is_terminal
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.template import PodTemplateSpec


@dataclass(frozen=True, slots=True)
class Revision:
    """A template and the name of the ControllerRevision that keeps it."""

    name: str
    template: PodTemplateSpec


@dataclass(slots=True)
class Plan:
    """What to do now; more follows once the cache shows it."""

    create: list[Pod] = field(default_factory=list)
    delete: list[Pod] = field(default_factory=list)
    recreate: list[Pod] = field(default_factory=list)
    """Pods that have ended, to be deleted so that their successors can be made."""
    correct: list[Pod] = field(default_factory=list)
    """Pods with the labels or volumes of their number, which they lack."""
    condemned: list[Pod] = field(default_factory=list)
    """All pods beyond the wanted numbers, the highest first, whether they go now or later."""
    wait_seconds: float = 0.0
    """Until a pod has been ready for long enough; 0: not waiting for that."""


class _Planner:
    def __init__(self, stateful_set: StatefulSet, pods: Iterable[Pod], now: float) -> None:
        self.set, self.now, self.plan = stateful_set, now, Plan()
        start = first_ordinal(stateful_set)
        self.wanted = range(start, start + stateful_set.spec.replicas)
        by_ordinal = {ordinal_of(stateful_set, pod): pod for pod in pods}
        self.pods = {ordinal: pod for ordinal, pod in by_ordinal.items() if ordinal in self.wanted}
        surplus = sorted((each for each in by_ordinal if each >= 0 and each not in self.wanted), reverse=True)
        self.plan.condemned = [by_ordinal[ordinal] for ordinal in surplus]
        self.in_order = stateful_set.spec.podManagementPolicy != PARALLEL

    def is_available(self, pod: Pod) -> bool:
        return self._seconds(pod) == 0

    def _seconds(self, pod: Pod) -> float | None:
        if pod.status.phase != "Running":
            return None
        return seconds_until_available(pod, self.set.spec.minReadySeconds or 0, self.now)

    def is_healthy(self, pod: Pod | None) -> bool:
        return pod is not None and pod.metadata.deletionTimestamp is None and self.is_available(pod)

    def fill(self, current: Revision, update: Revision) -> bool:
        """Makes the pods that are missing; False if what follows has to wait for one."""
        for ordinal in self.wanted:
            pod = self.pods.get(ordinal)
            if pod is None:
                revision = self._revision_for(ordinal, current, update)
                self.plan.create.append(new_pod(self.set, revision.template, revision.name, ordinal))
            elif is_terminal(pod.status.phase):
                if pod.metadata.deletionTimestamp is None:
                    self.plan.recreate.append(pod)
            elif not self.in_order or self.is_healthy(pod):
                if (corrected := with_identity(pod, self.set, ordinal)) is not pod:
                    self.plan.correct.append(corrected)
                continue
            else:
                self.plan.wait_seconds = self._seconds(pod) or 0.0
            if self.in_order:
                return False
        return True

    def _revision_for(self, ordinal: int, current: Revision, update: Revision) -> Revision:
        """Returns the revision of a new pod: below the partition of an update it is the one before it."""
        rolling = self.set.spec.updateStrategy.rollingUpdate
        if self.set.spec.updateStrategy.type == ON_DELETE or current.name == update.name:
            return update
        kept = (rolling.partition or 0) if rolling is not None else self.set.status.currentReplicas or 0
        return current if ordinal < self.wanted.start + kept else update

    def shrink(self) -> bool:
        """Deletes the pods beyond the wanted numbers; False if what follows has to wait for one."""
        unhealthy = [pod for pod in self.plan.condemned if not self.is_healthy(pod)]
        lowest = unhealthy[-1] if unhealthy else None
        for pod in self.plan.condemned:
            going = pod.metadata.deletionTimestamp is not None
            if not going and (not self.in_order or self.is_available(pod) or pod is lowest):
                self.plan.delete.append(pod)
            if self.in_order:
                return False
        return True

    def roll(self, update: Revision) -> None:
        """Deletes the next pods of older templates, from the last one down to the partition."""
        strategy = self.set.spec.updateStrategy
        if strategy.type == ON_DELETE:
            return
        rolling = strategy.rollingUpdate
        limit = scaled_value(rolling.maxUnavailable if rolling else None, len(self.wanted), round_up=True) or 1
        unavailable = sum(not self.is_healthy(self.pods.get(ordinal)) for ordinal in self.wanted)
        room = max(limit - unavailable, 0)
        partition = (rolling.partition or 0) if rolling is not None else 0
        for ordinal in reversed(self.wanted[partition:]):
            pod = self.pods.get(ordinal)
            if pod is None:
                return  # being made
            old = pod.labels.get(REVISION_LABEL) != update.name
            if old and pod.metadata.deletionTimestamp is None:
                if limit == 1 or not self.is_healthy(pod):
                    self.plan.delete.append(pod)  # one that is unhealthy anyway takes nothing away
                elif room:
                    self.plan.delete.append(pod)
                    room -= 1
                else:
                    return
                if limit == 1:
                    return
            elif limit == 1 and not self.is_healthy(pod):
                self.plan.wait_seconds = self._seconds(pod) or 0.0
                return


def make_plan(stateful_set: StatefulSet, pods: Iterable[Pod], current: Revision, update: Revision, now: float) -> Plan:
    planner = _Planner(stateful_set, pods, now)
    if planner.fill(current, update) and planner.shrink():
        planner.roll(update)
    return planner.plan


def count(
    stateful_set: StatefulSet, pods: Iterable[Pod], current: str, update: str, collisions: int | None, now: float
) -> StatefulSetStatus:
    """Counts pods. `current` and `update` name revisions; once all pods have the latter, it is the current one."""
    replicas = ready = available = of_current = of_update = 0
    for pod in pods:
        replicas += 1
        if pod.status.phase == "Running" and is_ready(pod):
            ready += 1
            available += seconds_until_available(pod, stateful_set.spec.minReadySeconds or 0, now) == 0
        if pod.metadata.deletionTimestamp is None:
            revision = pod.labels.get(REVISION_LABEL)
            of_current += revision == current
            of_update += revision == update
    rolls = stateful_set.spec.updateStrategy.type != ON_DELETE
    if rolls and of_update == replicas == ready == stateful_set.spec.replicas:
        current, of_current = update, of_update
    return StatefulSetStatus(
        observedGeneration=stateful_set.metadata.generation,
        replicas=replicas,
        readyReplicas=ready or None,
        availableReplicas=available,
        currentReplicas=of_current or None,
        updatedReplicas=of_update or None,
        currentRevision=current,
        updateRevision=update,
        collisionCount=collisions or 0,
        conditions=stateful_set.status.conditions,
    )
