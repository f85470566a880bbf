"""Endpoints: the addresses behind a Service, in the form that EndpointSlice replaced."""

from __future__ import annotations

from typing import Annotated

from apimachinery.columns import AGE, NAME, NONE, first_few
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import Int32, Model, OneOf
from apimachinery.names import dns_label_errors
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import PROTOCOLS, Errors, Path, check_target_ip
from kubeapi.core._references import ObjectReference


class EndpointAddress(Model, protobuf="ip targetRef hostname nodeName*"):
    """One address behind a Service."""

    ip: str = ""
    """The IP address; not a loopback or link-local one."""
    hostname: str | None = None
    """The DNS name of the address, for headless Services."""
    nodeName: str | None = None
    """The node of the address."""
    targetRef: ObjectReference | None = None
    """The object behind the address, usually a Pod."""


class EndpointPort(Model, protobuf="name port protocol appProtocol*"):
    """One port of the addresses."""

    name: str | None = None
    """The name of the port in the Service."""
    port: Int32 = 0
    """The number of the port at the addresses."""
    protocol: Annotated[str, OneOf("TCP", "UDP", "SCTP")] = "TCP"
    """TCP (the default), UDP or SCTP."""
    appProtocol: str | None = None
    """The application protocol of the port, as the Service names it."""


class EndpointSubset(Model, protobuf="addresses notReadyAddresses ports"):
    """Addresses with the same ports."""

    addresses: list[EndpointAddress] | None = None
    """The addresses that are ready."""
    notReadyAddresses: list[EndpointAddress] | None = None
    """The addresses that are not ready."""
    ports: list[EndpointPort] | None = None
    """The ports that each address has."""


class Endpoints(Object, protobuf="metadata subsets"):
    """The addresses behind a Service of the same name. Deprecated in favour of EndpointSlices."""

    subsets: list[EndpointSubset] | None = None
    """The addresses, in groups with the same ports."""


class EndpointsStrategy(Strategy[Endpoints]):
    """Source: Kubernetes API reference, "Endpoints"."""

    allow_create_on_update = True

    def default(self, obj: Endpoints) -> None:
        for subset in obj.subsets or ():
            for port in subset.ports or ():
                port.protocol = port.protocol or "TCP"

    def validate(self, obj: Endpoints) -> list[FieldError]:
        errors = Errors()
        for index, subset in enumerate(obj.subsets or ()):
            _check_subset(errors, ("subsets", index), subset)
        return errors


def _check_subset(errors: Errors, path: Path, subset: EndpointSubset) -> None:
    if not subset.addresses and not subset.notReadyAddresses:
        errors.required(path, "must specify `addresses` or `notReadyAddresses`")
    for field in ("addresses", "notReadyAddresses"):
        for index, address in enumerate(getattr(subset, field) or ()):
            at = (*path, field, index)
            errors.check_ip((*at, "ip"), address.ip)
            check_target_ip(errors, (*at, "ip"), address.ip)
            if address.hostname:
                errors.check_messages((*at, "hostname"), address.hostname, dns_label_errors(address.hostname))
            errors.check_subdomain((*at, "nodeName"), address.nodeName)
    several = len(subset.ports or ()) > 1
    for index, port in enumerate(subset.ports or ()):
        at = (*path, "ports", index)
        if port.name:
            errors.check_dns_label((*at, "name"), port.name)
        elif several:
            errors.required((*at, "name"))
        errors.check_port((*at, "port"), port.port)
        errors.check_one_of((*at, "protocol"), port.protocol, PROTOCOLS)


def _addresses(obj: Endpoints, now: float) -> str:
    """Lists the ready addresses with their ports, or alone where a headless Service does not have ports."""
    addresses: list[str] = []
    for subset in obj.subsets or ():
        if not subset.ports:
            addresses += [address.ip for address in subset.addresses or ()]
        for port in subset.ports or ():
            addresses += [f"{_bracketed(address.ip)}:{port.port}" for address in subset.addresses or ()]
    return first_few(addresses, NONE)


def _bracketed(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip


RESOURCE = Resource(
    kind="Endpoints",
    plural="endpoints",
    model=Endpoints,
    short_names=("ep",),
    strategy=EndpointsStrategy(),
    columns=(NAME, Column("Endpoints", _addresses, "Addresses that are ready, with their ports."), AGE),
    storage_prefix="services/endpoints",
    deprecated="v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
)
