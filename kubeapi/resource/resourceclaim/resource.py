"""ResourceClaim: the strategy and columns."""

from __future__ import annotations

from apimachinery.columns import AGE, NAME
from apimachinery.resource import Column, Resource, Strategy
from kubeapi.resource._devices import GROUP
from kubeapi.resource.resourceclaim.model import EXACT_COUNT, ResourceClaim, ResourceClaimSpec


def default_claim(spec: ResourceClaimSpec) -> None:
    """Asks for one device where nothing else is said."""
    for request in spec.devices.requests:
        for part in (request.exactly, *(request.firstAvailable or ())):
            if part is None:
                continue
            part.allocationMode = part.allocationMode or EXACT_COUNT
            if part.allocationMode == EXACT_COUNT:
                part.count = part.count or 1


class ResourceClaimStrategy(Strategy[ResourceClaim]):
    """Source: Kubernetes API reference, "ResourceClaim"."""

    generation_tracks_spec = False

    def default(self, obj: ResourceClaim) -> None:
        default_claim(obj.spec)


def _state(obj: ResourceClaim, now: float) -> str:
    """ "allocated,reserved"."""
    deleted, status = obj.metadata.deletionTimestamp is not None, obj.status
    words = {
        "deleted": deleted,
        "pending": status.allocation is None and not deleted,
        "allocated": status.allocation is not None,
        "reserved": status.allocation is not None and bool(status.reservedFor),
    }
    return ",".join(word for word, holds in words.items() if holds)


RESOURCE = Resource(
    kind="ResourceClaim",
    plural="resourceclaims",
    model=ResourceClaim,
    group=GROUP,
    strategy=ResourceClaimStrategy(),
    status=True,
    columns=(NAME, Column("State", _state, "Whether it is pending, allocated, reserved or deleted."), AGE),
)
