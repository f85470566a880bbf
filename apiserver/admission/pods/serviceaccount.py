"""ServiceAccount: gives each pod an account, by default `default` of its namespace, and what belongs to it.

That is a token, unless the pod or the account says `automountServiceAccountToken: false`, and the account's image pull
secrets. The account must exist; `default` is waited for, as a controller makes it just after its namespace.
Source: Kubernetes documentation, "Configure Service Accounts for Pods".
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from apimachinery.model import decode
from apimachinery.names import random_suffix
from apimachinery.selectors import FieldSelector
from apiserver.admission._plugin import CREATE, UPDATE, Attributes, Lookup, Plugin, refused, spec_of
from apiserver.admission.pods._mountablesecrets import ENFORCED, forbidden_secrets
from apiserver.storage.interface import Entry
from kubeapi.core.pod.lifecycle import MIRROR_ANNOTATION
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.references import CLAIM, CONFIG_MAP, SECRET, pod_references
from kubeapi.core.pod.volumes import ProjectedVolumeSource, Volume, VolumeMount
from kubeapi.core.serviceaccount import ServiceAccount

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_SECONDS = 3607
PROJECTED = ProjectedVolumeSource.model_validate(
    {
        "defaultMode": 0o644,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {
                "downwardAPI": {
                    "items": [
                        {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
                    ]
                }
            },
        ],
    }
)
"""Validated once: all pods share its sources, which nobody changes."""
DEFAULT_ACCOUNT = "default"
DEFAULT_ACCOUNT_SECONDS = 2.0  # a pod waits so long for the account `default` of a new namespace
_TELLING = (b'"imagePullSecrets"', b'"automountServiceAccountToken"', ENFORCED.encode())
"""Accounts with none of these are skipped without decoding."""


def admit(attributes: Attributes, lookup: Lookup) -> Awaitable[None] | None:
    if attributes.operation != CREATE:
        return None
    if MIRROR_ANNOTATION in attributes.obj.annotations:
        check(attributes, lookup)
        return None
    spec = spec_of(attributes.obj)
    spec.serviceAccountName = spec.serviceAccountName or spec.serviceAccount or DEFAULT_ACCOUNT
    spec.serviceAccount = spec.serviceAccountName
    entry = lookup.storage.latest(lookup.resource("serviceaccounts"), attributes.namespace, spec.serviceAccountName)
    if entry is None:
        return _admit_later(attributes, lookup)
    _apply(spec, entry)
    return None


async def _admit_later(attributes: Attributes, lookup: Lookup) -> None:
    """Admits the pod once its account is found: by etcd, as the cache may be behind, or by waiting for `default`."""
    spec, accounts = spec_of(attributes.obj), lookup.resource("serviceaccounts")
    name = spec.serviceAccountName
    entry = await lookup.storage.get_from_etcd(accounts, attributes.namespace, name)
    if entry is None and name == DEFAULT_ACCOUNT:
        entry = await _next_account(lookup, attributes.namespace, name)
    if entry is None:
        why = f'error looking up service account {attributes.namespace}/{name}: serviceaccount "{name}" not found'
        raise refused(attributes, why)
    _apply(spec, entry)


async def _next_account(lookup: Lookup, namespace: str, name: str) -> Entry | None:
    """Waits for the account to be created; None after DEFAULT_ACCOUNT_SECONDS."""
    accounts = lookup.resource("serviceaccounts")
    watcher = await lookup.storage.watch(
        accounts,
        namespace,
        fields=FieldSelector((("metadata.name", "=", name),)),
        timeout_seconds=DEFAULT_ACCOUNT_SECONDS,
    )
    try:
        async for _ in watcher:
            if (entry := lookup.storage.latest(accounts, namespace, name)) is not None:
                return entry
    finally:
        watcher.close()
    return None


def _apply(spec: Any, entry: Entry) -> None:
    mounts_token = spec.automountServiceAccountToken
    account = _telling_account(entry)
    if account is not None:
        spec.imagePullSecrets = spec.imagePullSecrets or account.imagePullSecrets
        mounts_token = account.automountServiceAccountToken if mounts_token is None else mounts_token
    if mounts_token is not False:
        mount_token(spec)


def _telling_account(entry: Entry) -> ServiceAccount | None:
    """Returns the account if it says anything about its pods."""
    return decode(ServiceAccount, entry.value) if any(word in entry.value for word in _TELLING) else None


def check(attributes: Attributes, lookup: Lookup) -> None:
    pod = attributes.obj
    if MIRROR_ANNOTATION in pod.annotations:
        if attributes.operation == CREATE and (action := _forbidden_action(pod)):
            raise refused(attributes, f"a mirror pod may not {action}")
        return
    name = spec_of(pod).serviceAccountName or DEFAULT_ACCOUNT
    entry = lookup.storage.latest(lookup.resource("serviceaccounts"), attributes.namespace, name)
    account = _telling_account(entry) if entry is not None else None
    if account is not None:
        for why in forbidden_secrets(spec_of(pod), account):
            raise refused(attributes, why)


def _forbidden_action(pod: Pod) -> str:
    """Returns what the pod does that a mirror pod must not, as its kubelet could name anything; "" for nothing."""
    if pod.spec.serviceAccountName:
        return "reference service accounts"
    kinds = {kind for kind, _ in pod_references(pod)}
    if SECRET in kinds:
        return "reference secrets"
    if CONFIG_MAP in kinds:
        return "reference configmaps"
    projected = (volume.projected for volume in pod.spec.volumes or () if volume.projected is not None)
    if any(source.serviceAccountToken for volume in projected for source in volume.sources or ()):
        return "use ServiceAccountToken volume projections"
    return "reference persistentvolumeclaims" if CLAIM in kinds else ""


def mount_token(spec: Any) -> None:
    """Mounts the token into each container that does not mount another volume at that path."""
    containers = [*(spec.initContainers or ()), *spec.containers]
    without = [c for c in containers if all(mount.mountPath != MOUNT_PATH for mount in c.volumeMounts or ())]
    if not without:
        return
    name = f"kube-api-access-{random_suffix()}"
    spec.volumes = [*(spec.volumes or ()), Volume(name=name, projected=PROJECTED.model_copy())]
    for container in without:
        mount = VolumeMount(name=name, mountPath=MOUNT_PATH, readOnly=True)
        container.volumeMounts = [*(container.volumeMounts or ()), mount]


ADMISSION = Plugin(
    "ServiceAccount",
    frozenset({CREATE, UPDATE}),
    frozenset({"pods", "pods/ephemeralcontainers"}),
    mutate=admit,
    validate=check,
)
