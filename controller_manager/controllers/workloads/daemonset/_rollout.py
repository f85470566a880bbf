"""Decides which pods of a DaemonSet an update replaces next, and counts its status. Pure.

Source: Kubernetes documentation, "Perform a Rolling Update on a DaemonSet".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from controller_manager.controllers.workloads._percentages import scaled_value
from controller_manager.controllers.workloads.daemonset._placement import (
    Placement,
    allows_surge,
    fitting,
    has_template,
    is_available,
)
from controller_manager.podstate import is_ready, seconds_until_available
from kubeapi.apps.daemonset import DaemonSet, DaemonSetStatus
from kubeapi.core.node import Node
from kubeapi.core.pod.model import Pod


def plan_rollout(
    daemon_set: DaemonSet, nodes: Iterable[Node], groups: Mapping[str, list[Pod]], digest: str, now: float
) -> Placement:
    """Lists the pods to replace next. Nodes where the placement has work left count as in the middle of an update."""
    fit = fitting(daemon_set.spec.template.spec)
    wanted = [node.name for node in nodes if fit(node).new]
    groups = {name: groups[name] for name in wanted if name in groups}
    rolling = daemon_set.spec.updateStrategy.rollingUpdate
    if rolling is None:
        return Placement()
    if allows_surge(daemon_set):
        surge = scaled_value(rolling.maxSurge, len(wanted), round_up=True)
        return _with_surge(daemon_set, groups, digest, surge, now)
    unavailable = scaled_value(rolling.maxUnavailable, len(wanted), round_up=True)
    return _in_place(daemon_set, groups, digest, unavailable or 1, now)


def _in_place(daemon_set: DaemonSet, groups: Mapping[str, list[Pod]], digest: str, limit: int, now: float) -> Placement:
    """Deletes old pods that are not available anyway, and others up to the limit."""
    unavailable = 0
    free: list[Pod] = []
    candidates: list[Pod] = []
    for pods in groups.values():
        new, old, clear = _split(daemon_set, pods, digest)
        if not clear or (new is None) == (old is None):
            unavailable += 1
        elif new is not None:
            unavailable += not is_available(new, daemon_set, now)
        elif old is not None:
            (candidates if is_available(old, daemon_set, now) else free).append(old)
    return Placement(delete=free + candidates[: max(limit - unavailable, 0)])


def _with_surge(
    daemon_set: DaemonSet, groups: Mapping[str, list[Pod]], digest: str, limit: int, now: float
) -> Placement:
    """Makes new pods where the old one is not available anyway, and beside others up to the limit."""
    surging = 0
    free: list[str] = []
    candidates: list[str] = []
    replaced: list[Pod] = []
    for node, pods in groups.items():
        new, old, clear = _split(daemon_set, pods, digest)
        if not clear:
            surging += 1
        elif old is not None and new is None:
            (candidates if is_available(old, daemon_set, now) else free).append(node)
        elif old is not None and new is not None:
            if is_available(new, daemon_set, now):
                replaced.append(old)
            else:
                surging += 1
    return Placement(create=free + candidates[: max(limit - surging, 0)], delete=replaced)


def _split(daemon_set: DaemonSet, pods: Iterable[Pod], digest: str) -> tuple[Pod | None, Pod | None, bool]:
    """Returns the pod of the current template, that of an older one, and whether there is at most one of each."""
    staying = [pod for pod in pods if pod.metadata.deletionTimestamp is None]
    new = [pod for pod in staying if has_template(pod, daemon_set, digest)]
    old = [pod for pod in staying if not has_template(pod, daemon_set, digest)]
    return new[0] if new else None, old[0] if old else None, len(new) <= 1 and len(old) <= 1


@dataclass(frozen=True, slots=True)
class Count:
    """A status, and the seconds until one more pod counts as available (0: none will by time alone)."""

    status: DaemonSetStatus
    next_available_seconds: float


def count(
    daemon_set: DaemonSet, nodes: Iterable[Node], groups: Mapping[str, list[Pod]], digest: str, now: float
) -> Count:
    fit = fitting(daemon_set.spec.template.spec)
    status = daemon_set.status.clone()
    desired = current = misscheduled = ready = available = updated = 0
    waits = []
    for node in nodes:
        pods = groups.get(node.name)
        if not fit(node).new:
            misscheduled += bool(pods)
            continue
        desired += 1
        if not pods:
            continue
        current += 1
        pod = pods[0]
        ready += is_ready(pod)
        left = seconds_until_available(pod, daemon_set.spec.minReadySeconds or 0, now)
        available += left == 0
        if left:
            waits.append(left)
        updated += has_template(pod, daemon_set, digest)
    status.desiredNumberScheduled, status.currentNumberScheduled = desired, current
    status.numberMisscheduled, status.numberReady = misscheduled, ready
    status.updatedNumberScheduled, status.numberAvailable = updated or None, available or None
    status.numberUnavailable = desired - available or None
    status.observedGeneration = daemon_set.metadata.generation
    return Count(status, min(waits, default=0.0))
