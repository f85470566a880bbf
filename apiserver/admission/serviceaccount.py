"""ServiceAccount: a pod without a service account runs as its namespace's `default`."""

from __future__ import annotations

from apiserver.admission._plugin import CREATE, Attributes, Lookup, Plugin, spec_of

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"


def admit(attributes: Attributes, lookup: Lookup) -> None:
    if MIRROR_ANNOTATION in attributes.obj.annotations:
        return
    spec = spec_of(attributes.obj)
    spec.serviceAccountName = spec.serviceAccountName or spec.serviceAccount or "default"
    spec.serviceAccount = spec.serviceAccountName


ADMISSION = Plugin("ServiceAccount", frozenset({CREATE}), frozenset({"pods"}), mutate=admit)
