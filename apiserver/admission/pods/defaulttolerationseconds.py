"""DefaultTolerationSeconds: a pod stays five minutes on a node that is not ready or can't be reached."""

from __future__ import annotations

from apiserver.admission._plugin import CREATE, UPDATE, Attributes, Lookup, Plugin, spec_of
from kubeapi.core.pod.scheduling.affinity import Toleration
from kubeapi.core.pod.scheduling.tolerations import NO_EXECUTE, concerns

TOLERATION_SECONDS = 300
DEFAULTS = [
    Toleration(key=taint, operator="Exists", effect=NO_EXECUTE, tolerationSeconds=TOLERATION_SECONDS)
    for taint in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
]
"""Made once: all pods share them, and nobody changes them."""


def admit(attributes: Attributes, lookup: Lookup) -> None:
    spec = spec_of(attributes.obj)
    tolerations: list[Toleration] = spec.tolerations or []
    missing = [
        default
        for default in DEFAULTS
        if not tolerations or not any(concerns(each, default.key or "", NO_EXECUTE) for each in tolerations)
    ]
    if missing:
        spec.tolerations = tolerations + missing


ADMISSION = Plugin("DefaultTolerationSeconds", frozenset({CREATE, UPDATE}), frozenset({"pods"}), mutate=admit)
