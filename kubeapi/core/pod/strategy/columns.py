"""Columns of a pod: its status in one word, and the containers behind it.

Source: what `kubectl get pods` shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from apimachinery.columns import AGE, NAME, NONE, since
from apimachinery.conditions import get_condition, is_true
from apimachinery.resource import Column
from kubeapi.core.pod.lifecycle import is_sidecar, is_terminal
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.status import ContainerState, ContainerStatus

_NODE_LOST = "NodeLost"  # the reason the node controller gives pods of an unreachable node


@dataclass(frozen=True, slots=True)
class Summary:
    """`last_restart` is when the youngest restarted container had ended, "" when none was restarted."""

    reason: str
    ready: int
    total: int
    restarts: int
    last_restart: str


@dataclass(slots=True)
class _Count:
    restarts: int = 0
    last: str = ""

    def add(self, status: ContainerStatus) -> None:
        self.restarts += status.restartCount
        ended = status.lastState.terminated
        if ended is not None and ended.finishedAt:
            self.last = max(self.last, ended.finishedAt)


def summarize(pod: Pod) -> Summary:
    status = pod.status
    reason = status.reason or status.phase or ""
    scheduled = get_condition(status.conditions, "PodScheduled")
    if scheduled is not None and scheduled.reason == "SchedulingGated":
        reason = "SchedulingGated"
    sidecars = {item.name for item in pod.spec.initContainers or () if is_sidecar(item)}
    total = len(pod.spec.containers) + len(sidecars)
    statuses = status.initContainerStatuses or []
    initializing, ready, reason = _initialization(statuses, sidecars, len(pod.spec.initContainers or ()), reason)
    if initializing and not is_true(status.conditions, "Initialized"):
        count = _counted(statuses)
    else:
        count = _counted(item for item in statuses if item.name in sidecars)
        for container in status.containerStatuses or ():
            count.add(container)
        running, reason = _running(status.containerStatuses or [], reason)
        ready += running
        if reason == "Completed" and running:
            reason = "Running" if is_true(status.conditions, "Ready") else "NotReady"
    if pod.metadata.deletionTimestamp is not None:
        if status.reason == _NODE_LOST:
            reason = "Unknown"
        elif not is_terminal(status.phase):
            reason = "Terminating"
    return Summary(reason, ready, total, count.restarts, count.last)


def _counted(statuses: Iterable[ContainerStatus]) -> _Count:
    count = _Count()
    for status in statuses:
        count.add(status)
    return count


def _initialization(
    statuses: list[ContainerStatus], sidecars: set[str], expected: int, reason: str
) -> tuple[bool, int, str]:
    """Returns (whether the pod is still initializing, the number of ready sidecars, the reason)."""
    ready = 0
    for index, container in enumerate(statuses):
        state = container.state
        if state.terminated is not None and state.terminated.exitCode == 0:
            continue
        if container.name in sidecars and container.started:
            ready += container.ready
            continue
        if state.terminated is not None:
            return True, ready, f"Init:{_ended(state)}"
        if state.waiting is not None and state.waiting.reason and state.waiting.reason != "PodInitializing":
            return True, ready, f"Init:{state.waiting.reason}"
        return True, ready, f"Init:{index}/{expected}"
    return False, ready, reason


def _running(statuses: list[ContainerStatus], reason: str) -> tuple[int, str]:
    """Returns (the number of containers that run and are ready, the reason of the first container that has one)."""
    running = 0
    for container in reversed(statuses):
        state = container.state
        if state.waiting is not None and state.waiting.reason:
            reason = state.waiting.reason
        elif state.terminated is not None:
            reason = _ended(state)
        elif container.ready and state.running is not None:
            running += 1
    return running, reason


def _ended(state: ContainerState) -> str:
    ended = state.terminated
    if ended is None:
        return ""
    if ended.reason:
        return ended.reason
    return f"Signal:{ended.signal}" if ended.signal else f"ExitCode:{ended.exitCode}"


def _restarts(pod: Pod, now: float) -> str:
    summary = summarize(pod)
    if not summary.restarts or not summary.last_restart:
        return str(summary.restarts)
    return f"{summary.restarts} ({since(summary.last_restart, now)} ago)"


def _ready(pod: Pod, now: float) -> str:
    summary = summarize(pod)
    return f"{summary.ready}/{summary.total}"


def _ip(pod: Pod, now: float) -> str:
    return (pod.status.podIPs[0].ip if pod.status.podIPs else pod.status.podIP) or NONE


def _gates(pod: Pod, now: float) -> str:
    gates = pod.spec.readinessGates
    if not gates:
        return NONE
    return f"{sum(is_true(pod.status.conditions, gate.conditionType) for gate in gates)}/{len(gates)}"


_ROW_CONDITIONS: dict[str | None, tuple[dict[str, str], ...]] = {
    phase: ({"type": "Completed", "status": "True", "reason": phase, "message": message},)
    for phase, message in {"Succeeded": "The pod has completed successfully.", "Failed": "The pod failed."}.items()
}


def row_conditions(pod: Pod) -> tuple[dict[str, str], ...]:
    """Says of a pod that has ended that it has, for clients that show such rows apart."""
    return _ROW_CONDITIONS.get(pod.status.phase, ())


COLUMNS = (
    NAME,
    Column("Ready", _ready, "The ready containers, of all containers."),
    Column("Status", lambda pod, now: summarize(pod).reason, "The state of the pod in one word."),
    Column("Restarts", _restarts, "The number of restarts, and the time since the last one."),
    AGE,
    Column("IP", _ip, "The pod's first address.", priority=1),
    Column("Node", lambda pod, now: pod.spec.nodeName or NONE, "The node of the pod.", priority=1),
    Column(
        "Nominated Node",
        lambda pod, now: pod.status.nominatedNodeName or NONE,
        "The node on which other pods are preempted for this one.",
        priority=1,
    ),
    Column("Readiness Gates", _gates, "The readiness gates that are true, of all.", priority=1),
)
