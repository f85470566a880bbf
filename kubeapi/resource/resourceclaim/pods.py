"""Finds the ResourceClaims of a pod: by their names, or by the pod's status where they are made from a template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from apimachinery.meta import Object, controller_of
from kubeapi.resource.resourceclaim.model import ResourceClaim, ResourceClaimConsumerReference

MAX_CONSUMERS = 256


class PodClaim(Protocol):
    """An entry of a pod's `spec.resourceClaims`."""

    name: str
    resourceClaimName: str | None
    resourceClaimTemplateName: str | None


class PodClaimStatus(Protocol):
    """An entry of a pod's `status.resourceClaimStatuses`."""

    name: str
    resourceClaimName: str | None


class PodClaimError(Exception):
    """A claim of the pod can't be used: the text for its events."""


def claim_name(pod: Object, claim: PodClaim, statuses: Sequence[PodClaimStatus]) -> str | None:
    """Returns None where the pod needs no claim for the entry. Raises: PodClaimError while it is to be made."""
    if claim.resourceClaimName:
        return claim.resourceClaimName
    if not claim.resourceClaimTemplateName:
        raise PodClaimError(f'pod "{pod.key}", spec.resourceClaim "{claim.name}": none of the supported fields are set')
    for status in statuses:
        if status.name == claim.name:
            return status.resourceClaimName
    raise PodClaimError(f'pod "{pod.key}": ResourceClaim not created yet')


def check_owner(pod: Object, entry: PodClaim, claim: ResourceClaim) -> None:
    """Raises: PodClaimError where the claim should have been made for the pod, and was not."""
    if entry.resourceClaimTemplateName and not is_made_for(claim, pod):
        raise PodClaimError(f"ResourceClaim {claim.key} was not created for Pod {pod.key} (Pod is not owner)")


def is_made_for(claim: ResourceClaim, pod: Object) -> bool:
    owner = controller_of(claim)
    return owner is not None and owner.uid == pod.metadata.uid


def consumer(pod: Object) -> ResourceClaimConsumerReference:
    """Returns what stands in a claim's `status.reservedFor` for the pod."""
    return ResourceClaimConsumerReference(resource="pods", name=pod.name, uid=pod.metadata.uid or "")


def is_reserved_for(claim: ResourceClaim, pod: Object) -> bool:
    return any(item.uid == pod.metadata.uid for item in claim.status.reservedFor or ())
