"""Tells what a StatefulSet's pod of a number looks like, and which claims it has. Pure.

Source: Kubernetes documentation, "StatefulSets": "Pod Identity", "PersistentVolumeClaim retention".
"""

from __future__ import annotations

import re

from apimachinery.meta import ObjectMeta, OwnerReference
from controller_manager.controllers.workloads._history import HASH_LABEL
from kubeapi.apps.statefulset import DELETE, StatefulSet, volumes_with_claims
from kubeapi.core.persistentvolumeclaim.model import PersistentVolumeClaim
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.template import PodTemplateSpec
from kubeclient.controller import owner_reference

NAME_LABEL = "statefulset.kubernetes.io/pod-name"
INDEX_LABEL = "apps.kubernetes.io/pod-index"
REVISION_LABEL = HASH_LABEL
"""The label of pods with the name of their revision."""
_NAME = re.compile(r"(.*)-([0-9]+)\Z")


def ordinal_of(stateful_set: StatefulSet, pod: Pod) -> int:
    """Returns the number in the pod's name; -1 if it is not a name of this set's pods."""
    match = _NAME.match(pod.name)
    return int(match[2]) if match and match[1] == stateful_set.name else -1


def new_pod(stateful_set: StatefulSet, template: PodTemplateSpec, revision: str, ordinal: int) -> Pod:
    meta, name = template.metadata, f"{stateful_set.name}-{ordinal}"
    spec = template.spec.clone()
    spec.hostname, spec.subdomain = name, stateful_set.spec.serviceName or None
    metadata = ObjectMeta(
        name=name,
        generateName=f"{stateful_set.name}-",
        namespace=stateful_set.namespace,
        labels={**(meta.labels or {}), REVISION_LABEL: revision},
        annotations=meta.annotations,
        finalizers=meta.finalizers,
        ownerReferences=[owner_reference(stateful_set)],
    )
    return with_identity(Pod(metadata=metadata, spec=spec), stateful_set, ordinal)


def with_identity(pod: Pod, stateful_set: StatefulSet, ordinal: int) -> Pod:
    """Returns the pod with the labels and volumes of its number; the same object where it has them."""
    labels = {**pod.labels, NAME_LABEL: pod.name, INDEX_LABEL: str(ordinal)}
    claims = claim_names(stateful_set, ordinal)
    present = {
        volume.name: volume.persistentVolumeClaim.claimName
        for volume in pod.spec.volumes or ()
        if volume.persistentVolumeClaim is not None
    }
    if labels == pod.labels and claims.items() <= present.items():
        return pod
    changed = pod.clone()
    changed.metadata.labels = labels
    if claims:
        changed.spec.volumes = volumes_with_claims(PodTemplateSpec(spec=pod.spec), claims)
    return changed


def claim_names(stateful_set: StatefulSet, ordinal: int) -> dict[str, str]:
    """Maps each claim template's name, which is that of the volume, to the claim of the pod of this number."""
    templates = stateful_set.spec.volumeClaimTemplates or ()
    return {each.name: f"{each.name}-{stateful_set.name}-{ordinal}" for each in templates}


def new_claims(stateful_set: StatefulSet, ordinal: int) -> list[PersistentVolumeClaim]:
    """Makes the claims of the pod of this number, owned as the retention policy says."""
    names, claims = claim_names(stateful_set, ordinal), []
    selected = stateful_set.spec.selector.matchLabels if stateful_set.spec.selector is not None else None
    for template in stateful_set.spec.volumeClaimTemplates or ():
        metadata = ObjectMeta(
            name=names[template.name],
            namespace=stateful_set.namespace,
            labels={**template.labels, **(selected or {})} or None,
            annotations=template.metadata.annotations,
            finalizers=template.metadata.finalizers,
            ownerReferences=_owners(stateful_set, None) or None,
        )
        claims.append(PersistentVolumeClaim(metadata=metadata, spec=template.spec))
    return claims


def _owners(stateful_set: StatefulSet, condemned: Pod | None) -> list[OwnerReference]:
    policy = stateful_set.spec.persistentVolumeClaimRetentionPolicy
    if policy is None:
        return []
    if condemned is not None and policy.whenScaled == DELETE:
        return [owner_reference(condemned)]
    return [owner_reference(stateful_set)] if policy.whenDeleted == DELETE else []


def with_owners(
    claim: PersistentVolumeClaim, stateful_set: StatefulSet, pod: Pod, *, condemned: bool
) -> list[OwnerReference]:
    """Returns the owners that a claim should have: those of others stay, the set and the pod as the policy says."""
    names = {("StatefulSet", stateful_set.name), ("Pod", pod.name)}
    others = [ref for ref in claim.metadata.ownerReferences or () if (ref.kind, ref.name) not in names]
    return others + _owners(stateful_set, pod if condemned else None)


def is_stale(claim: PersistentVolumeClaim, pod_name: str, uid: str) -> bool:
    """Tells whether the claim goes with an earlier pod of this name, so that a new one must wait for its end."""
    return any(
        ref.kind == "Pod" and ref.name == pod_name and ref.uid != uid for ref in claim.metadata.ownerReferences or ()
    )
