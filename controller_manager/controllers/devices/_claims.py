"""Decides about the claims of pods: what to make of a template, and whom a claim is still for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from apimachinery.meta import ObjectMeta
from apimachinery.names import suffix_of
from kubeapi.core.pod.lifecycle import is_terminal
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import PodResourceClaim
from kubeapi.resource.resourceclaim.model import (
    FINALIZER,
    POD_CLAIM_NAME,
    ResourceClaim,
    ResourceClaimStatus,
)
from kubeapi.resource.resourceclaim.pods import MAX_CONSUMERS, PodClaimError, claim_name, consumer, is_reserved_for
from kubeapi.resource.resourceclaimtemplate import ResourceClaimTemplate
from kubeclient.controller import owner_reference

_LONGEST_BASE = 57  # of a name, with room for a hyphen and five characters


def is_done(pod: Pod) -> bool:
    """Tells whether none of the pod's containers runs or will run."""
    return is_terminal(pod.status.phase) or (pod.metadata.deletionTimestamp is not None and not pod.spec.nodeName)


def claim_of(pod: Pod, entry: PodResourceClaim) -> str:
    """Returns the name of the claim behind an entry; "" while there is none, and where none is needed."""
    try:
        return claim_name(pod, entry, pod.status.resourceClaimStatuses or ()) or ""
    except PodClaimError:
        return ""


def needs_none(pod: Pod, entry: PodResourceClaim) -> bool:
    """Tells whether the pod's status says that the entry needs no claim."""
    return any(
        status.name == entry.name and not status.resourceClaimName for status in pod.status.resourceClaimStatuses or ()
    )


def claims_of(pod: Pod) -> Iterator[str]:
    """Yields the names of the pod's claims, as far as there are any."""
    names = (claim_of(pod, entry) for entry in pod.spec.resourceClaims or ())
    return (name for name in names if name)


def claim_from(template: ResourceClaimTemplate, pod: Pod, entry: PodResourceClaim, attempt: int) -> ResourceClaim:
    """Makes the claim of a pod's entry. Its name depends on these alone, so that it is made once; `attempt` gives
    another where a stranger has that name."""
    base = f"{pod.name}-{entry.name}-"
    if len(base) > _LONGEST_BASE:
        share = [text[: len(text) * _LONGEST_BASE // len(base)] for text in (pod.name, entry.name)]
        base = "-".join(share)
    seed = f"{pod.metadata.uid}/{entry.name}/{attempt}"
    meta = ObjectMeta(
        name=base + suffix_of(hashlib.sha256(seed.encode()).digest()[:5]),
        generateName=base,
        namespace=pod.namespace,
        labels=template.spec.metadata.labels,
        annotations={**(template.spec.metadata.annotations or {}), POD_CLAIM_NAME: entry.name},
        ownerReferences=[owner_reference(pod)],
    )
    return ResourceClaim(metadata=meta, spec=template.spec.spec.clone())


def reserved(claim: ResourceClaim, pod: Pod) -> ResourceClaim | None:
    """Returns the claim with the pod among its users; None where it is one already, or can't become one."""
    users = claim.status.reservedFor or []
    if claim.status.allocation is None or is_reserved_for(claim, pod) or len(users) >= MAX_CONSUMERS:
        return None
    changed = claim.clone()
    changed.status.reservedFor = [*users, consumer(pod)]
    return changed


def released(claim: ResourceClaim, gone: Iterable[str]) -> ResourceClaimStatus:
    """Returns the status without the users whose uids are `gone`. When the last one goes, the devices are free; so are
    those of a deleted claim that nobody uses."""
    status, lost = claim.status.clone(), set(gone)
    status.reservedFor = [user for user in status.reservedFor or () if user.uid not in lost] or None
    deleted = claim.metadata.deletionTimestamp is not None
    if FINALIZER in (claim.metadata.finalizers or ()) and not status.reservedFor and (lost or deleted):
        status.allocation = None
    return status
