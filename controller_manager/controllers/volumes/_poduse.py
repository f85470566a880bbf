"""Tells which pods use a claim."""

from __future__ import annotations

from collections.abc import Iterator

from apimachinery.meta import controller_of
from kubeapi.core.persistentvolumeclaim.model import PersistentVolumeClaim
from kubeapi.core.pod.model import Pod
from kubeclient.informer import Informer

CLAIM_INDEX = "claims"


def index_by_claim(pods: Informer[Pod]) -> None:
    """Lets controllers find pods by the keys of their claims."""
    pods.add_index(CLAIM_INDEX, claim_keys)


def claim_keys(pod: Pod) -> Iterator[str]:
    """Yields the keys of the claims that the pod names, and of those that are made for it."""
    for volume in pod.spec.volumes or ():
        if volume.persistentVolumeClaim is not None:
            yield f"{pod.namespace}/{volume.persistentVolumeClaim.claimName}"
        elif volume.ephemeral is not None:
            yield f"{pod.namespace}/{ephemeral_claim_name(pod, volume.name)}"


def ephemeral_claim_name(pod: Pod, volume_name: str) -> str:
    return f"{pod.name}-{volume_name}"


def is_made_for(claim: PersistentVolumeClaim, pod: Pod) -> bool:
    """Tells whether the claim is one of the pod's ephemeral volumes, and not a stranger's of the same name."""
    ref = controller_of(claim)
    return ref is not None and ref.uid == pod.metadata.uid


def uses(pod: Pod, claim: PersistentVolumeClaim) -> bool:
    """Tells whether a pod that is on a node uses the claim; before, no kubelet would start it on a deleted claim."""
    if not pod.spec.nodeName or pod.namespace != claim.namespace:
        return False
    for volume in pod.spec.volumes or ():
        named = volume.persistentVolumeClaim
        if named is not None and named.claimName == claim.name:
            return True
        ephemeral = volume.ephemeral is not None and ephemeral_claim_name(pod, volume.name) == claim.name
        if ephemeral and is_made_for(claim, pod):
            return True
    return False
