"""TaintNodesByCondition: a new node takes no pods until the node lifecycle controller has seen it ready."""

from __future__ import annotations

from apiserver.admission._plugin import CREATE, Attributes, Lookup, Plugin, spec_of
from kubeapi.core.pod.scheduling.affinity import Taint

NOT_READY = "node.kubernetes.io/not-ready"


def admit(attributes: Attributes, lookup: Lookup) -> None:
    spec = spec_of(attributes.obj)
    taints: list[Taint] = spec.taints or []
    if not any(taint.key == NOT_READY and taint.effect == "NoSchedule" for taint in taints):
        spec.taints = [*taints, Taint(key=NOT_READY, effect="NoSchedule")]


ADMISSION = Plugin("TaintNodesByCondition", frozenset({CREATE}), frozenset({"nodes"}), mutate=admit)
