"""Which taints a pod tolerates.

Source: Kubernetes, "Taints and Tolerations".
"""

from __future__ import annotations

from collections.abc import Iterable

from kubeapi.core.pod.affinity import Toleration
from scheduler.state.table import Taint

BLOCKING_EFFECTS = ("NoSchedule", "NoExecute")


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """An empty effect stands for all effects, an empty key with operator Exists for all keys."""
    key, value, effect = taint
    if (toleration.effect and toleration.effect != effect) or (toleration.key and toleration.key != key):
        return False
    if toleration.operator in (None, "", "Equal"):
        return bool(toleration.key) and (toleration.value or "") == value
    return toleration.operator == "Exists"


def tolerated(tolerations: Iterable[Toleration], taint: Taint) -> bool:
    return any(tolerates(item, taint) for item in tolerations)


def admits(tolerations: list[Toleration], taints: Iterable[Taint]) -> bool:
    """Whether none of a node's taints keeps the pod away."""
    return all(tolerated(tolerations, taint) for taint in taints if taint[2] in BLOCKING_EFFECTS)
