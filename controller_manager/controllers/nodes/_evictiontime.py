"""Computes how long a pod tolerates the NoExecute taints of its node. Pure.

Source: Kubernetes documentation, "Taints and Tolerations", "Taint based Evictions".
"""

from __future__ import annotations

from collections.abc import Iterable

from apimachinery.times import parse_time
from kubeapi.core.pod.scheduling.affinity import Taint, Toleration
from kubeapi.core.pod.scheduling.tolerations import taint_key, tolerates

NEVER = float("inf")


def eviction_time(tolerations: Iterable[Toleration], taints: Iterable[Taint], now: float) -> float:
    """Returns when the pod must go, in Unix seconds: NEVER, `now` for a taint it does not tolerate, or in between.

    `taints` are the node's NoExecute taints. The time runs from each taint's timeAdded, so that a restarted controller
    comes to the same result; without one, from now.
    """
    tolerations = list(tolerations)
    earliest = NEVER
    for taint in taints:
        matching = [each for each in tolerations if tolerates(each, taint_key(taint))]
        if not matching:
            return now
        bounded = [each.tolerationSeconds for each in matching if each.tolerationSeconds is not None]
        if bounded:
            since = parse_time(taint.timeAdded) if taint.timeAdded else now
            earliest = min(earliest, since + max(min(bounded), 0))
    return earliest
