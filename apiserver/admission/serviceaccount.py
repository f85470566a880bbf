"""ServiceAccount: a pod that names no account runs as its namespace's `default`, and pulls images as its account may.

An account that does not exist keeps no pod out: a server without controllers makes none. Tokens are given to pods that
ask for them by a projected volume; none is mounted unasked.
"""

from __future__ import annotations

from apimachinery.model import decode
from apiserver.admission._plugin import CREATE, Attributes, Lookup, Plugin, spec_of
from kubeapi.serviceaccount import ServiceAccount

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"


def admit(attributes: Attributes, lookup: Lookup) -> None:
    if MIRROR_ANNOTATION in attributes.obj.annotations:
        return
    spec = spec_of(attributes.obj)
    spec.serviceAccountName = spec.serviceAccountName or spec.serviceAccount or "default"
    spec.serviceAccount = spec.serviceAccountName
    if not spec.imagePullSecrets:
        accounts = lookup.resource("serviceaccounts")
        account = lookup.storage.latest(accounts, attributes.namespace, spec.serviceAccountName)
        if account is not None and b'"imagePullSecrets"' in account.value:
            spec.imagePullSecrets = decode(ServiceAccount, account.value).imagePullSecrets


ADMISSION = Plugin("ServiceAccount", frozenset({CREATE}), frozenset({"pods"}), mutate=admit)
