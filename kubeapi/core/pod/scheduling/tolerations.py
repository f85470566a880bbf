"""Decides which taints of a node a pod tolerates, and which tolerations make others superfluous.

Source: Kubernetes documentation, "Taints and Tolerations".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from apimachinery.names import label_value_errors, qualified_name_errors
from kubeapi.core.pod.scheduling.affinity import Taint, Toleration

NO_SCHEDULE, NO_EXECUTE, PREFER_NO_SCHEDULE = "NoSchedule", "NoExecute", "PreferNoSchedule"


class TaintKey(NamedTuple):
    """A taint without the time it was added: equal for all nodes that are tainted alike."""

    key: str
    value: str
    effect: str


def parse_taint(text: str) -> Taint:
    """Reads "key=value:NoSchedule"; the value may be missing. Raises: ValueError for text of another form."""
    name, _, effect = text.rpartition(":")
    key, _, value = name.partition("=")
    wrong = qualified_name_errors(key) or label_value_errors(value)
    if wrong or effect not in (NO_SCHEDULE, NO_EXECUTE, PREFER_NO_SCHEDULE):
        raise ValueError(f"invalid taint {text!r}: write it like key=value:NoSchedule")
    return Taint(key=key, value=value or None, effect=effect)


def taint_key(taint: Taint) -> TaintKey:
    return TaintKey(taint.key, taint.value or "", taint.effect)


def concerns(toleration: Toleration, key: str, effect: str) -> bool:
    """Tells whether a toleration is about taints of this key and effect; an empty key or effect stands for all."""
    return toleration.key in (None, "", key) and toleration.effect in (None, "", effect)


def tolerates(toleration: Toleration, taint: TaintKey) -> bool:
    """Tells whether the operator and value of a toleration fit a taint that it concerns."""
    if not concerns(toleration, taint.key, taint.effect):
        return False
    if toleration.operator in (None, "", "Equal"):
        return (toleration.value or "") == taint.value
    return toleration.operator == "Exists"


def tolerated(tolerations: Iterable[Toleration], taint: TaintKey) -> bool:
    return any(tolerates(toleration, taint) for toleration in tolerations)


def admits(tolerations: Sequence[Toleration], taints: Iterable[TaintKey]) -> bool:
    """Tells whether none of a node's taints keeps a new pod with these tolerations away."""
    return all(tolerated(tolerations, taint) for taint in taints if taint.effect != PREFER_NO_SCHEDULE)


def merged(tolerations: Iterable[Toleration]) -> list[Toleration]:
    """Leaves out each toleration that another one includes."""
    result: list[Toleration] = []
    for toleration in tolerations:
        if not any(_includes(other, toleration) for other in result):
            result = [other for other in result if not _includes(toleration, other)]
            result.append(toleration)
    return result


def _includes(wide: Toleration, narrow: Toleration) -> bool:
    """Tells whether `wide` tolerates all that `narrow` does, for at least as long."""
    every = wide.operator == "Exists"
    if wide.key != narrow.key and not (every and not wide.key):
        return False
    if wide.effect and wide.effect != narrow.effect:
        return False
    if not every and ((narrow.operator or "Equal") != "Equal" or (wide.value or "") != (narrow.value or "")):
        return False
    if wide.tolerationSeconds is None:
        return True
    return narrow.tolerationSeconds is not None and narrow.tolerationSeconds <= wide.tolerationSeconds
