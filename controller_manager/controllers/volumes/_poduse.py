"""Tells which pods use a claim."""

from __future__ import annotations

from collections.abc import Iterator

from apimachinery.meta import controller_of
from kubeapi.core.persistentvolumeclaim.model import PersistentVolumeClaim
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.references import claim_name
from kubeclient.informer import Informer

CLAIM_INDEX = "claims"


def index_by_claim(pods: Informer[Pod]) -> None:
    """Lets controllers find pods by the keys of their claims."""
    pods.add_index(CLAIM_INDEX, claim_keys)


def claim_keys(pod: Pod) -> Iterator[str]:
    """Gives the keys of the claims that the pod names, and of those that are made for it."""
    names = (claim_name(pod.name, volume) for volume in pod.spec.volumes or ())
    return (f"{pod.namespace}/{name}" for name in names if name)


def is_made_for(claim: PersistentVolumeClaim, pod: Pod) -> bool:
    """Tells whether the claim is one of the pod's ephemeral volumes, and not a stranger's of the same name."""
    ref = controller_of(claim)
    return ref is not None and ref.uid == pod.metadata.uid


def uses(pod: Pod, claim: PersistentVolumeClaim) -> bool:
    """Tells whether a pod that is on a node uses the claim; before, no kubelet would start it on a deleted claim."""
    if not pod.spec.nodeName or pod.namespace != claim.namespace:
        return False
    volumes = [volume for volume in pod.spec.volumes or () if claim_name(pod.name, volume) == claim.name]
    return any(volume.ephemeral is None or is_made_for(claim, pod) for volume in volumes)
