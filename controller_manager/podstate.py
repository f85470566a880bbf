"""Tells controllers which pods are on a node, and whether a pod counts, is ready, and has been so for long enough."""

from __future__ import annotations

from apimachinery.conditions import get_condition, is_true
from apimachinery.times import parse_time
from kubeapi.core.pod.lifecycle import is_terminal
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.status import PodCondition
from kubeclient.informer import Informer

NODE_INDEX = "node"


def index_by_node(pods: Informer[Pod]) -> None:
    """Lets several controllers find pods by the name of their node."""
    pods.add_index(NODE_INDEX, _node_values)


def _node_values(pod: Pod) -> tuple[str, ...]:
    return (pod.spec.nodeName,) if pod.spec.nodeName else ()


def is_terminating(pod: Pod) -> bool:
    """True while it is being deleted and has not ended yet."""
    return pod.metadata.deletionTimestamp is not None and not is_terminal(pod.status.phase)


def is_active(pod: Pod) -> bool:
    """True when it counts as a replica: neither ended nor being deleted."""
    return pod.metadata.deletionTimestamp is None and not is_terminal(pod.status.phase)


def ready_condition(pod: Pod) -> PodCondition | None:
    return get_condition(pod.status.conditions, "Ready")


def is_ready(pod: Pod) -> bool:
    return is_true(pod.status.conditions, "Ready")


def ready_since(pod: Pod) -> float | None:
    """Returns Unix seconds; None when the pod is not ready."""
    condition = ready_condition(pod)
    if condition is None or condition.status != "True" or not condition.lastTransitionTime:
        return None
    return parse_time(condition.lastTransitionTime)


def seconds_until_available(pod: Pod, min_ready_seconds: int, now: float) -> float | None:
    """Returns 0 when available: ready for at least `min_ready_seconds`. None when it is not ready."""
    if not min_ready_seconds:
        return 0.0 if is_ready(pod) else None
    since = ready_since(pod)
    return None if since is None else max(since + min_ready_seconds - now, 0.0)


def restarts(pod: Pod) -> int:
    """Returns the count of the container that was restarted most often."""
    return max((status.restartCount for status in pod.status.containerStatuses or ()), default=0)


def counts_changed(old: Pod | None, new: Pod | None) -> bool:
    """Tells whether a change can matter to whoever counts the pod: most updates of a pod's status can't."""
    if old is None or new is None:
        return True
    return _what_counts(old) != _what_counts(new)


def _what_counts(pod: Pod) -> tuple[object, ...]:
    condition = ready_condition(pod)
    ready = (condition.status, condition.lastTransitionTime) if condition is not None else None
    meta = pod.metadata
    return pod.status.phase, ready, meta.deletionTimestamp, meta.labels, meta.ownerReferences
