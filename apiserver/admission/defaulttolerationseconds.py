"""DefaultTolerationSeconds: a pod stays five minutes on a node that is not ready or can't be reached."""

from __future__ import annotations

from apiserver.admission._plugin import CREATE, UPDATE, Attributes, Lookup, Plugin, spec_of
from kubeapi.core.pod.affinity import Toleration

TOLERATION_SECONDS = 300
TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def admit(attributes: Attributes, lookup: Lookup) -> None:
    spec = spec_of(attributes.obj)
    tolerations: list[Toleration] = spec.tolerations or []
    missing = [taint for taint in TAINTS if not any(_tolerates(toleration, taint) for toleration in tolerations)]
    if missing:
        spec.tolerations = tolerations + [
            Toleration(key=taint, operator="Exists", effect="NoExecute", tolerationSeconds=TOLERATION_SECONDS)
            for taint in missing
        ]


def _tolerates(toleration: Toleration, taint: str) -> bool:
    return toleration.key in (None, "", taint) and toleration.effect in (None, "", "NoExecute")


ADMISSION = Plugin("DefaultTolerationSeconds", frozenset({CREATE, UPDATE}), frozenset({"pods"}), mutate=admit)
