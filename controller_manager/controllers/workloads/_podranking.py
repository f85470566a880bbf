"""Ranks the pods of a controller that has too many: which of them go first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from apimachinery.times import parse_time
from controller_manager.podstate import is_ready, ready_since, restarts
from kubeapi.core.pod.model import Pod

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASE_ORDER = {"Pending": 0, "Unknown": 1, "Running": 2}


def deletion_cost(pod: Pod) -> int:
    """Returns the annotated cost, 0 without a valid one."""
    try:
        return int(pod.annotations.get(DELETION_COST, "0"))
    except ValueError:
        return 0


def pods_to_delete(pods: Sequence[Pod], related: Sequence[Pod], count: int, now: float) -> list[Pod]:
    """Chooses the `count` pods of `pods` that are missed least.

    `related` are all active pods of the same controller's owner: of two pods alike, the one whose node has more of them
    goes. Source: the order upstream documents for scaling down a ReplicaSet.
    """
    if count >= len(pods):
        return list(pods)
    on_node: dict[str, int] = {}
    for pod in related:
        if pod.spec.nodeName:
            on_node[pod.spec.nodeName] = on_node.get(pod.spec.nodeName, 0) + 1
    return sorted(pods, key=lambda pod: _rank(pod, on_node, now))[:count]


def _rank(pod: Pod, on_node: Mapping[str, int], now: float) -> tuple[float | str, ...]:
    """Returns a key to sort by: the smaller one goes first."""
    ready = is_ready(pod)
    since = ready_since(pod)
    created = pod.metadata.creationTimestamp
    return (
        bool(pod.spec.nodeName),  # without a node first
        _PHASE_ORDER.get(pod.status.phase or "Pending", 1),
        ready,
        deletion_cost(pod),
        -on_node.get(pod.spec.nodeName or "", 0),
        # Ages count in powers of two: pods of about the same age are equal, and the next criterion decides.
        _age_class(now - since) if ready and since is not None else 0,
        -restarts(pod),
        _age_class(now - parse_time(created)) if created else -1,
        pod.metadata.uid or "",  # without meaning, but a repeated decision picks the same pods
    )


def _age_class(seconds: float) -> int:
    """Groups ages in powers of two, the younger first: 0-1 s -> 1, 2-3 s -> 2, 4-7 s -> 3 …"""
    return max(int(seconds), 1).bit_length()
