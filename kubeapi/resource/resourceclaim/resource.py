"""ResourceClaim: the strategy and columns."""

from __future__ import annotations

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors
from kubeapi.resource._devices import GROUP
from kubeapi.resource.resourceclaim.model import EXACT_COUNT, ResourceClaim, ResourceClaimSpec
from kubeapi.resource.resourceclaim.validation import (
    allocated_devices,
    check_claim_spec,
    check_claim_status,
)


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
    compiles = True
    kept_by_status = ("labels", "annotations", "finalizers", "ownerReferences")

    def default(self, obj: ResourceClaim) -> None:
        default_claim(obj.spec)

    def validate(self, obj: ResourceClaim) -> list[FieldError]:
        errors = Errors()
        check_claim_spec(errors, ("spec",), obj.spec)
        return errors

    def validate_update(self, obj: ResourceClaim, old: ResourceClaim) -> list[FieldError]:
        errors = Errors()
        errors.check_immutable(("spec",), obj.spec, old.spec)
        return errors

    def prepare_status_update(self, obj: ResourceClaim, old: ResourceClaim) -> None:
        """Removes from `status.devices` the devices that this update takes out of the allocation."""
        gone = allocated_devices(old.status) - allocated_devices(obj.status)
        devices = [device for device in obj.status.devices or () if device.id not in gone]
        obj.status.devices = devices or None

    def validate_status_update(self, obj: ResourceClaim, old: ResourceClaim) -> list[FieldError]:
        errors = Errors()
        check_claim_status(errors, ("status",), obj, old)
        return errors


def _state(obj: ResourceClaim, now: float) -> str:
    """Says all that is true of the claim, as in "allocated,reserved"."""
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
