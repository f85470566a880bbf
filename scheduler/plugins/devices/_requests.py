"""Reads what a claim asks for: requests with their alternatives, and what all their devices must have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kubeapi.resource._devices import DeviceSelector
from kubeapi.resource.deviceclass import DeviceClass
from kubeapi.resource.resourceclaim.model import (
    ALL,
    DeviceRequest,
    DeviceSubRequest,
    ExactDeviceRequest,
    ResourceClaim,
)
from kubecel import CompileError, CostExceeded, EvaluationError
from scheduler.plugins.devices._inventory import Candidate


class AllocationError(Exception):
    """A claim or a class is wrong, so that no node can tell whether it would do."""


class ClassMissing(Exception):
    """A request names a class that isn't there."""


@dataclass(frozen=True, slots=True)
class Selector:
    """`owner` says whose it is, for messages."""

    owner: str
    expression: str

    def matches(self, candidate: Candidate) -> bool:
        """Raises: AllocationError."""
        try:
            return candidate.kind.matches(self.expression)
        except CompileError as error:
            raise AllocationError(f"{self.owner}: CEL compile error: {error}") from None
        except (EvaluationError, CostExceeded) as error:
            raise AllocationError(f"{self.owner} on device {candidate.id}: CEL runtime error: {error}") from None


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to meet a request, named "request", or "request/alternative" where there are several.

    `count` is None for all devices that match.
    """

    name: str
    device_class: DeviceClass
    selectors: tuple[Selector, ...]
    count: int | None
    admin: bool = False

    def matches(self, candidate: Candidate) -> bool:
        """Raises: AllocationError."""
        return all(selector.matches(candidate) for selector in self.selectors)


@dataclass(frozen=True, slots=True)
class Constraint:
    """Devices of these requests, of all if there are none, have the same value of an attribute."""

    requests: frozenset[str]
    attribute: str

    def concerns(self, request: str) -> bool:
        return not self.requests or request in self.requests or request.partition("/")[0] in self.requests


@dataclass(frozen=True, slots=True)
class ClaimNeeds:
    """`requests` lists the alternatives of each request, the best first."""

    claim: ResourceClaim
    requests: tuple[tuple[Alternative, ...], ...]
    constraints: tuple[Constraint, ...]


def read_claim(claim: ResourceClaim, find_class: Callable[[str], DeviceClass | None]) -> ClaimNeeds:
    """Raises: ClassMissing; AllocationError."""
    devices = claim.spec.devices
    requests = tuple(_alternatives(claim, request, find_class) for request in devices.requests or ())
    constraints = []
    for number, item in enumerate(devices.constraints or ()):
        if not item.matchAttribute:
            why = "empty constraint (unsupported constraint type?)"
            raise AllocationError(f"claim {claim.key}, constraint #{number}: {why}")
        constraints.append(Constraint(frozenset(item.requests or ()), item.matchAttribute))
    return ClaimNeeds(claim, requests, tuple(constraints))


def _alternatives(
    claim: ResourceClaim, request: DeviceRequest, find_class: Callable[[str], DeviceClass | None]
) -> tuple[Alternative, ...]:
    if request.exactly is not None:
        return (_alternative(claim, request.name, request.exactly, bool(request.exactly.adminAccess), find_class),)
    if not request.firstAvailable:
        raise AllocationError(f"request {request.name}: unsupported request type")
    return tuple(
        _alternative(claim, f"{request.name}/{item.name}", item, False, find_class) for item in request.firstAvailable
    )


def _alternative(
    claim: ResourceClaim,
    name: str,
    item: ExactDeviceRequest | DeviceSubRequest,
    admin: bool,
    find_class: Callable[[str], DeviceClass | None],
) -> Alternative:
    device_class = find_class(item.deviceClassName)
    if device_class is None:
        raise ClassMissing(f"request {name}: device class {item.deviceClassName} does not exist")
    selectors = (
        *_selectors(f"class {device_class.name}", device_class.spec.selectors or ()),
        *_selectors(f"claim {claim.key}", item.selectors or ()),
    )
    count = None if item.allocationMode == ALL else item.count or 1
    return Alternative(name, device_class, selectors, count, admin)


def _selectors(owner: str, selectors: Iterable[DeviceSelector]) -> Iterable[Selector]:
    for number, item in enumerate(selectors):
        if item.cel is None:
            raise AllocationError(f"{owner}: selector #{number}: CEL expression empty (unsupported selector type?)")
        yield Selector(f"{owner}: selector #{number}", item.cel.expression)
