"""IPAddress: an address that is taken, and the object that has it. Its name is the address itself."""

from __future__ import annotations

from pydantic import Field

from apimachinery.columns import NAME
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import Model
from apimachinery.names import dns_subdomain_errors, path_segment_errors
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors, Path, ip_errors, parse_ip

FAMILY_LABEL = "ipaddress.kubernetes.io/ip-family"
MANAGED_BY_LABEL = "ipaddress.kubernetes.io/managed-by"
ALLOCATOR = "ipallocator.k8s.io"
"""The manager of the addresses that the API server takes for Services."""
_PARENT: Path = ("spec", "parentRef")


class ParentReference(Model, protobuf="group resource namespace name"):
    """The object that has an address."""

    group: str | None = None
    """The API group of the object; absent for the core group."""
    resource: str | None = None
    """The resource of the object, such as services."""
    namespace: str | None = None
    """The namespace of the object, if it has one."""
    name: str | None = None
    """The name of the object."""


class IPAddressSpec(Model, protobuf="parentRef"):
    """The owner of an address."""

    parentRef: ParentReference | None = None
    """The object that has the address. It can't be changed."""


class IPAddress(Object, protobuf="metadata spec"):
    """Takes one address, so that no two objects have it. Its name is the address in its canonical form."""

    spec: IPAddressSpec = Field(default_factory=IPAddressSpec)
    """The owner of the address."""


class IPAddressStrategy(Strategy[IPAddress]):
    """Source: Kubernetes API reference, "IPAddress"."""

    generation_tracks_spec = False

    def validate_name(self, name: str) -> list[str]:
        address = parse_ip(name)
        if address is not None and str(address) != name:
            return [f'must be in canonical form ("{address}")']
        return ip_errors(name)

    def validate(self, obj: IPAddress) -> list[FieldError]:
        errors, parent = Errors(), obj.spec.parentRef
        if parent is None:
            errors.required(_PARENT)
            return errors
        if parent.group:
            errors.check_messages((*_PARENT, "group"), parent.group, dns_subdomain_errors(parent.group))
        errors.check_name((*_PARENT, "resource"), parent.resource, path_segment_errors)
        errors.check_name((*_PARENT, "name"), parent.name, path_segment_errors)
        if parent.namespace:
            errors.check_messages((*_PARENT, "namespace"), parent.namespace, path_segment_errors(parent.namespace))
        return errors

    def validate_update(self, obj: IPAddress, old: IPAddress) -> list[FieldError]:
        errors = Errors()
        errors.check_immutable(_PARENT, obj.spec.parentRef, old.spec.parentRef)
        return errors


def _parent(obj: IPAddress, now: float) -> str:
    """Joins what the reference has: services/default/kubernetes."""
    parent = obj.spec.parentRef or ParentReference()
    return "/".join(filter(None, (parent.group, parent.resource, parent.namespace, parent.name)))


RESOURCE = Resource(
    kind="IPAddress",
    plural="ipaddresses",
    model=IPAddress,
    group="networking.k8s.io",
    namespaced=False,
    short_names=("ip",),
    strategy=IPAddressStrategy(),
    columns=(NAME, Column("ParentRef", _parent, "The object that has the address.")),
)
