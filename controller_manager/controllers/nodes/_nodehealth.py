"""Decides what a node's silence and conditions mean for its status, its taints and the eviction of its pods. Pure.

Source: Kubernetes documentation, "Nodes: Node controller" and "Taints and Tolerations".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from apimachinery.conditions import get_condition
from apimachinery.times import format_time
from kubeapi.core.node import Node, NodeCondition
from kubeapi.core.pod.scheduling.affinity import Taint
from kubeapi.core.pod.scheduling.tolerations import NO_EXECUTE, NO_SCHEDULE

READY = "Ready"
REPORTED = (READY, "MemoryPressure", "DiskPressure", "PIDPressure")
"""Conditions that only a kubelet can know; they become Unknown when it is silent."""

PREFIX = "node.kubernetes.io/"
NOT_READY, UNREACHABLE = PREFIX + "not-ready", PREFIX + "unreachable"
UNSCHEDULABLE = PREFIX + "unschedulable"

_CONDITION_TAINTS = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): PREFIX + "memory-pressure",
    ("DiskPressure", "True"): PREFIX + "disk-pressure",
    ("PIDPressure", "True"): PREFIX + "pid-pressure",
    ("NetworkUnavailable", "True"): PREFIX + "network-unavailable",
}
_MANAGED_KEYS = frozenset((*_CONDITION_TAINTS.values(), UNSCHEDULABLE))


def conditions_after_silence(node: Node, now: float) -> list[NodeCondition] | None:
    """Returns the conditions of a node that has been silent too long; None when they say so already."""
    conditions = node.clone().status.conditions or []
    stamp = format_time(now)
    changed = False
    for kind in REPORTED:
        condition = get_condition(conditions, kind)
        if condition is None:
            condition = NodeCondition(
                type=kind,
                status="Unknown",
                reason="NodeStatusNeverUpdated",
                message="Kubelet never posted node status.",
                lastHeartbeatTime=node.metadata.creationTimestamp or stamp,
                lastTransitionTime=stamp,
            )
            conditions.append(condition)
            changed = True
        elif condition.status != "Unknown":
            condition.status, condition.reason = "Unknown", "NodeStatusUnknown"
            condition.message, condition.lastTransitionTime = "Kubelet stopped posting node status.", stamp
            changed = True
    return conditions if changed else None


def ready_status(node: Node) -> str:
    """Returns "True", "False" or "Unknown"; "" before the kubelet's first report."""
    condition = get_condition(node.status.conditions, READY)
    return condition.status if condition is not None else ""


def eviction_key(node: Node) -> str:
    """Returns the key of the NoExecute taint that the node should have, or ""."""
    return _CONDITION_TAINTS.get((READY, ready_status(node)), "")


def updated_taints(node: Node, *, evicting: str, now: float) -> list[Taint] | None:
    """Returns the node's taints with ours brought up to date; None when they are so already.

    `evicting` is the key of the NoExecute taint it should have now ("" for none). Taints of others stay as they are.
    """
    keys = [
        _CONDITION_TAINTS[(each.type, each.status)]
        for each in node.status.conditions or ()
        if (each.type, each.status) in _CONDITION_TAINTS
    ]
    if get_condition(node.status.conditions, READY) is None:
        keys.append(NOT_READY)  # set when the node was registered, and kept until it reports
    if node.spec.unschedulable:
        keys.append(UNSCHEDULABLE)
    managed = {(key, NO_SCHEDULE) for key in keys} | ({(evicting, NO_EXECUTE)} if evicting else set())
    current = node.spec.taints or []
    unchanged = [taint for taint in current if not _is_managed(taint) or (taint.key, taint.effect) in managed]
    missing = sorted(managed - {(taint.key, taint.effect) for taint in unchanged})
    if not missing and len(unchanged) == len(current):
        return None
    stamp = format_time(now)
    return unchanged + [Taint(key=key, effect=effect, timeAdded=stamp) for key, effect in missing]


def _is_managed(taint: Taint) -> bool:
    if taint.effect == NO_EXECUTE:
        return taint.key in (NOT_READY, UNREACHABLE)
    return taint.effect == NO_SCHEDULE and taint.key in _MANAGED_KEYS


def has_eviction_taint(node: Node) -> bool:
    return any(taint.effect == NO_EXECUTE and _is_managed(taint) for taint in node.spec.taints or ())


@dataclass(frozen=True)
class EvictionLimits:
    """Rates are nodes a second."""

    rate: float
    secondary_rate: float
    unhealthy_part: float
    large_cluster: int


def zone_of(node: Node) -> str:
    labels = node.labels
    region, zone = labels.get("topology.kubernetes.io/region", ""), labels.get("topology.kubernetes.io/zone", "")
    return f"{region}:{zone}"


def eviction_rates(nodes: Iterable[Node], limits: EvictionLimits) -> Mapping[str, float]:
    """Returns how many nodes a second may be evicted in each zone.

    When many nodes of a zone seem dead it is likelier that the network is: the rate falls, in a small zone to 0. When
    all nodes of all zones seem dead, it is this controller that is cut off: nothing is evicted at all.
    """
    counts: dict[str, list[int]] = {}
    for node in nodes:
        zone = counts.setdefault(zone_of(node), [0, 0])
        zone[ready_status(node) != "True"] += 1
    if all(ready == 0 for ready, _ in counts.values()):
        return dict.fromkeys(counts, 0.0)
    return {zone: _zone_rate(ready, unready, limits) for zone, (ready, unready) in counts.items()}


def _zone_rate(ready: int, unready: int, limits: EvictionLimits) -> float:
    total = ready + unready
    if ready == 0 or unready <= 2 or unready / total < limits.unhealthy_part:
        return limits.rate
    return limits.secondary_rate if total > limits.large_cluster else 0.0
