"""ServiceCIDR: a range of addresses for Services, at most one of each family."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated

from pydantic import Field

from apimachinery.columns import AGE, NAME, listed
from apimachinery.conditions import get_condition
from apimachinery.errors import FieldError
from apimachinery.meta import Condition, Object
from apimachinery.model import MergeKey, Model
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import CIDR_RULE, IMMUTABLE, Errors, Path, is_cidr

DEFAULT_NAME = "kubernetes"
"""The ranges that the API server was started with."""
READY = "Ready"
_CIDRS: Path = ("spec", "cidrs")


class ServiceCIDRSpec(Model, protobuf="cidrs"):
    """The ranges of addresses."""

    cidrs: list[str] | None = None
    """One or two ranges, such as 192.168.0.0/24 or 2001:db8::/64, of different families. A second one may be added, but
    none changed."""


class ServiceCIDRStatus(Model, protobuf="conditions"):
    """The state of the ranges."""

    conditions: Annotated[list[Condition], MergeKey("type")] | None = None
    """Ready tells whether Services get addresses of the ranges."""


class ServiceCIDR(Object, protobuf="metadata spec status"):
    """Ranges of which Services get their addresses."""

    spec: ServiceCIDRSpec = Field(default_factory=ServiceCIDRSpec)
    """The ranges."""
    status: ServiceCIDRStatus = Field(default_factory=ServiceCIDRStatus)
    """Whether they are in use."""


class ServiceCIDRStrategy(Strategy[ServiceCIDR]):
    """Source: Kubernetes API reference, "ServiceCIDR"."""

    generation_tracks_spec = False

    def validate_create(self, obj: ServiceCIDR) -> list[FieldError]:
        errors, cidrs = Errors(), obj.spec.cidrs or []
        if not cidrs:
            errors.required(_CIDRS, "at least one CIDR required")
        elif len(cidrs) > 2:
            errors.invalid(_CIDRS, {"CIDRs": cidrs}, "may only hold up to 2 values")
        else:
            _check_cidrs(errors, cidrs)
        return errors

    def validate_update(self, obj: ServiceCIDR, old: ServiceCIDR) -> list[FieldError]:
        errors, new, before = Errors(), obj.spec.cidrs or [], old.spec.cidrs or []
        if len(new) != len(before) and (len(before), len(new)) != (1, 2):
            errors.invalid(_CIDRS, new, IMMUTABLE)
            return errors
        for index, (after, cidr) in enumerate(zip(new, before, strict=False)):
            errors.check_immutable((*_CIDRS, index), after, cidr)
        if not errors and len(new) > len(before):
            _check_cidrs(errors, new)
        return errors


def _check_cidrs(errors: Errors, cidrs: list[str]) -> None:
    networks = [ip_network(cidr, strict=False) if is_cidr(cidr) else None for cidr in cidrs]
    if len({network.version for network in networks if network}) < len([network for network in networks if network]):
        text = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        errors.invalid(_CIDRS, cidrs, text)
    for index, (cidr, network) in enumerate(zip(cidrs, networks, strict=True)):
        if network is None:
            errors.invalid((*_CIDRS, index), cidr, CIDR_RULE)
        elif ip_network(cidr.partition("/")[0]).network_address != network.network_address:
            errors.invalid((*_CIDRS, index), cidr, "must not have bits set beyond the prefix length")
        elif str(network) != cidr:
            errors.invalid((*_CIDRS, index), cidr, f'must be in canonical form ("{network}")')


def is_usable(cidr: ServiceCIDR) -> bool:
    """Tells whether Services may get addresses of it: unless its controller or its deletion says otherwise."""
    ready = get_condition(cidr.status.conditions, READY)
    return cidr.metadata.deletionTimestamp is None and (ready is None or ready.status == "True")


RESOURCE = Resource(
    kind="ServiceCIDR",
    plural="servicecidrs",
    model=ServiceCIDR,
    group="networking.k8s.io",
    namespaced=False,
    strategy=ServiceCIDRStrategy(),
    columns=(NAME, Column("CIDRs", lambda obj, now: listed(obj.spec.cidrs or ()), "The ranges."), AGE),
    status=True,
)
