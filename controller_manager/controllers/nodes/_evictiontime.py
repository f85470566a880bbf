"""Computes how long a pod tolerates the NoExecute taints of its node. Pure.

Source: Kubernetes documentation, "Taints and Tolerations", "Taint based Evictions".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubeapi.core.pod.scheduling.affinity import Toleration
from kubeapi.core.pod.scheduling.tolerations import TaintKey, tolerates

NEVER = float("inf")


def eviction_time(
    tolerations: Iterable[Toleration], taints: Mapping[TaintKey, float], placed: float, now: float
) -> float:
    """Returns when the pod must go, in Unix seconds: NEVER, `now` for a taint it does not tolerate, or in between.

    `taints` are the node's NoExecute taints and when each came, `placed` is when the pod came to the node: a bounded
    toleration runs from the later of both.
    """
    tolerations = list(tolerations)
    earliest = NEVER
    for taint, since in taints.items():
        matching = [each for each in tolerations if tolerates(each, taint)]
        if not matching:
            return now
        bounded = [each.tolerationSeconds for each in matching if each.tolerationSeconds is not None]
        if bounded:
            earliest = min(earliest, max(since, placed) + max(min(bounded), 0))
    return earliest
