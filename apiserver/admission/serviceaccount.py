"""ServiceAccount: a pod without an account runs as `default` of its namespace, and uses the image pull secrets of its
account.

A missing account does not keep a pod out, as a server without controllers does not create accounts. A token is mounted
if the pod or its account says `automountServiceAccountToken: true`; by default it is not.

Source: Kubernetes documentation, "Configure Service Accounts for Pods".
"""

from __future__ import annotations

from typing import Any

from apimachinery.model import decode
from apimachinery.names import random_suffix
from apiserver.admission._plugin import CREATE, Attributes, Lookup, Plugin, refused, spec_of
from kubeapi.core.pod.lifecycle import MIRROR_ANNOTATION
from kubeapi.core.pod.volumes import Volume, VolumeMount
from kubeapi.core.serviceaccount import ServiceAccount

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_SECONDS = 3607
SOURCES = [
    {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    {
        "downwardAPI": {
            "items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]
        }
    },
]
_TELLING = (b'"imagePullSecrets"', b'"automountServiceAccountToken"')
"""Accounts with neither field are skipped without decoding."""


def admit(attributes: Attributes, lookup: Lookup) -> None:
    if MIRROR_ANNOTATION in attributes.obj.annotations:
        return
    spec = spec_of(attributes.obj)
    spec.serviceAccountName = spec.serviceAccountName or spec.serviceAccount or "default"
    spec.serviceAccount = spec.serviceAccountName
    if spec.imagePullSecrets and spec.automountServiceAccountToken is False:
        return
    accounts = lookup.resource("serviceaccounts")
    entry = lookup.storage.latest(accounts, attributes.namespace, spec.serviceAccountName)
    mounts_token = spec.automountServiceAccountToken
    if entry is None:
        if mounts_token:
            name = spec.serviceAccountName
            why = f'error looking up service account {attributes.namespace}/{name}: serviceaccount "{name}" not found'
            raise refused(attributes, why)
        return
    if any(word in entry.value for word in _TELLING):
        account = decode(ServiceAccount, entry.value)
        spec.imagePullSecrets = spec.imagePullSecrets or account.imagePullSecrets
        mounts_token = account.automountServiceAccountToken if mounts_token is None else mounts_token
    if mounts_token:
        mount_token(spec)


def mount_token(spec: Any) -> None:
    """Mounts the token into each container that does not mount another volume at that path."""
    containers = [*(spec.initContainers or ()), *spec.containers]
    without = [c for c in containers if all(mount.mountPath != MOUNT_PATH for mount in c.volumeMounts or ())]
    if not without:
        return
    name = f"kube-api-access-{random_suffix()}"
    projected = {"defaultMode": 0o644, "sources": SOURCES}
    spec.volumes = [*(spec.volumes or ()), Volume.model_validate({"name": name, "projected": projected})]
    for container in without:
        mount = VolumeMount(name=name, mountPath=MOUNT_PATH, readOnly=True)
        container.volumeMounts = [*(container.volumeMounts or ()), mount]


ADMISSION = Plugin("ServiceAccount", frozenset({CREATE}), frozenset({"pods"}), mutate=admit)
