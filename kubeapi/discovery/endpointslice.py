"""EndpointSlice: up to 1,000 of the endpoints of a Service, of one address family."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.absent.empty import NullIfEmpty
from apimachinery.columns import AGE, NAME, first_few
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import Int32, Model, OneOf, Required
from apimachinery.names import dns_label_errors, dns_subdomain_errors, label_value_errors, qualified_name_errors
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import IMMUTABLE, PROTOCOLS, Errors, Path, check_target_ip, ip_family
from kubeapi.core._references import ObjectReference

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
MAX_ENDPOINTS = 1000
_MAX_PORTS = 20_000
_MAX_ADDRESSES = 100
_MAX_HINTS = 8
_ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_UNSET = "<unset>"


class EndpointConditions(Model, protobuf="ready* serving* terminating*"):
    """The conditions of an endpoint. An absent value is unknown, which counts as ready, serving and not terminating."""

    ready: bool | None = None
    """Whether the endpoint gets traffic: it is serving and not terminating. Unknown counts as true."""
    serving: bool | None = None
    """Whether the endpoint passes its readiness probe, even while it is terminating."""
    terminating: bool | None = None
    """Whether the endpoint is terminating."""


class ForZone(Model, protobuf="name"):
    """A zone that an endpoint should serve."""

    name: str = ""
    """The name of the zone."""


class ForNode(Model, protobuf="name"):
    """A node that an endpoint should serve."""

    name: str = ""
    """The name of the node."""


class EndpointHints(Model, protobuf="forZones forNodes"):
    """The clients that an endpoint should serve."""

    forZones: list[ForZone] | None = None
    """The zones that the endpoint should serve."""
    forNodes: list[ForNode] | None = None
    """The nodes that the endpoint should serve."""


class Endpoint(Model, protobuf="addresses conditions hostname* targetRef deprecatedTopology nodeName* zone* hints"):
    """One backend of a Service."""

    addresses: Annotated[list[str], Required()] = Field(default_factory=list)
    """The addresses of the backend, of the slice's family. They are equivalent; clients use the first."""
    conditions: EndpointConditions = Field(default_factory=EndpointConditions)
    """Whether the endpoint is ready, serving or terminating."""
    hostname: str | None = None
    """The DNS name of the endpoint, for headless Services."""
    targetRef: ObjectReference | None = None
    """The object behind the endpoint, usually a Pod."""
    deprecatedTopology: dict[str, str] | None = None
    """Topology labels, left over from the beta version. They are dropped."""
    nodeName: str | None = None
    """The node that the endpoint is on."""
    zone: str | None = None
    """The zone that the endpoint is in."""
    hints: EndpointHints | None = None
    """Hints about the clients that the endpoint should serve."""


class EndpointPort(Model, protobuf="name* protocol* port* appProtocol*"):
    """One port of the backends."""

    name: str | None = ""
    """The name of the port in the Service; empty if it has no name."""
    protocol: Annotated[str, OneOf("TCP", "UDP", "SCTP")] | None = "TCP"
    """TCP (the default), UDP or SCTP."""
    port: Int32 | None = None
    """The number of the port at the backends."""
    appProtocol: str | None = None
    """The application protocol of the port, as the Service names it."""


class EndpointSlice(Object, protobuf="metadata endpoints ports addressType"):
    """Some of the backends of a Service, which the label kubernetes.io/service-name names."""

    addressType: Annotated[str, OneOf("IPv4", "IPv6", "FQDN")] = ""
    """The type of the addresses: IPv4, IPv6 or FQDN. It can't be changed."""
    endpoints: Annotated[list[Endpoint], NullIfEmpty(), Required()] = Field(default_factory=list)
    """The backends, at most 1000."""
    ports: Annotated[list[EndpointPort], NullIfEmpty()] = Field(default_factory=list)
    """The ports of each backend, at most 100."""

    @property
    def service_name(self) -> str:
        """The name of the Service; "" where it belongs to none."""
        return self.labels.get(SERVICE_NAME_LABEL, "")

    @property
    def service_key(self) -> str:
        """ "namespace/name" of the Service; "" where it belongs to none."""
        return f"{self.namespace}/{self.service_name}" if self.service_name else ""


class EndpointSliceStrategy(Strategy[EndpointSlice]):
    """`metadata.generation` counts changes of the endpoints, as the kind does not have a `spec`.

    Source: Kubernetes API reference, "EndpointSlice".
    """

    def default(self, obj: EndpointSlice) -> None:
        for port in obj.ports or ():
            port.name = port.name or ""
            port.protocol = port.protocol or "TCP"

    def prepare_create(self, obj: EndpointSlice) -> None:
        obj.metadata.generation = 1
        _drop_topology(obj)

    def prepare_update(self, obj: EndpointSlice, old: EndpointSlice) -> None:
        _drop_topology(obj)
        if obj.endpoints != old.endpoints or obj.ports != old.ports or obj.labels != old.labels:
            obj.metadata.generation = (old.metadata.generation or 0) + 1

    def validate(self, obj: EndpointSlice) -> list[FieldError]:
        errors = Errors()
        errors.check_one_of(("addressType",), obj.addressType, _ADDRESS_TYPES)
        if len(obj.endpoints) > MAX_ENDPOINTS:
            errors.too_many(("endpoints",), len(obj.endpoints), MAX_ENDPOINTS)
            return errors
        for index, endpoint in enumerate(obj.endpoints):
            _check_endpoint(errors, ("endpoints", index), endpoint, obj.addressType)
        _check_ports(errors, obj.ports or [])
        return errors

    def validate_update(self, obj: EndpointSlice, old: EndpointSlice) -> list[FieldError]:
        errors = Errors()
        if obj.addressType != old.addressType:
            errors.invalid(("addressType",), obj.addressType, IMMUTABLE)
        return errors

    def create_warnings(self, obj: EndpointSlice) -> list[str]:
        return ["spec.addressType: FQDN endpoints are deprecated"] if obj.addressType == "FQDN" else []


def _drop_topology(obj: EndpointSlice) -> None:
    """Drops a field of the beta version that this version cannot write."""
    for endpoint in obj.endpoints:
        endpoint.deprecatedTopology = None


def _check_endpoint(errors: Errors, path: Path, endpoint: Endpoint, address_type: str) -> None:
    if not endpoint.addresses:
        errors.required((*path, "addresses"), "must contain at least 1 address")
    elif len(endpoint.addresses) > _MAX_ADDRESSES:
        errors.too_many((*path, "addresses"), len(endpoint.addresses), _MAX_ADDRESSES)
    for index, address in enumerate(endpoint.addresses):
        at = (*path, "addresses", index)
        if address_type == "FQDN":
            errors.check_messages(at, address, dns_subdomain_errors(address))
        elif address_type in _ADDRESS_TYPES:
            if not errors.check_ip(at, address):
                continue
            if ip_family(address) != address_type:
                errors.invalid((*path, "addresses"), address, f"must be an {address_type} address")
            else:
                check_target_ip(errors, at, address)
    if endpoint.hostname is not None:
        errors.check_messages((*path, "hostname"), endpoint.hostname, dns_label_errors(endpoint.hostname))
    errors.check_subdomain((*path, "nodeName"), endpoint.nodeName)
    if endpoint.zone:
        errors.check_messages((*path, "zone"), endpoint.zone, label_value_errors(endpoint.zone))
    if endpoint.hints is not None:
        _check_hints(errors, (*path, "hints"), endpoint.hints)


def _check_hints(errors: Errors, path: Path, hints: EndpointHints) -> None:
    for field in ("forZones", "forNodes"):
        names = [item.name for item in getattr(hints, field) or ()]
        if len(names) > _MAX_HINTS:
            errors.too_many((*path, field), len(names), _MAX_HINTS)
        rule = label_value_errors if field == "forZones" else dns_subdomain_errors
        for index, name in enumerate(names):
            at = (*path, field, index, "name")
            if name in names[:index]:
                errors.duplicate(at, name)
            errors.check_messages(at, name, rule(name))


def _check_ports(errors: Errors, ports: list[EndpointPort]) -> None:
    if len(ports) > _MAX_PORTS:
        errors.too_many(("ports",), len(ports), _MAX_PORTS)
        return
    names: set[str] = set()
    for index, port in enumerate(ports):
        at = ("ports", index)
        name = port.name or ""
        if name:
            errors.check_dns_label((*at, "name"), name)
        if name in names:
            errors.duplicate((*at, "name"), name)
        names.add(name)
        errors.check_one_of((*at, "protocol"), port.protocol, PROTOCOLS)
        if port.port is not None:
            errors.check_port((*at, "port"), port.port)
        if port.appProtocol:
            errors.check_messages((*at, "appProtocol"), port.appProtocol, qualified_name_errors(port.appProtocol))


def _port_text(port: EndpointPort) -> str:
    return str(port.port) if port.port is not None else port.name or "*"


def _addresses(obj: EndpointSlice, now: float) -> str:
    return first_few([address for endpoint in obj.endpoints for address in endpoint.addresses], _UNSET)


RESOURCE = Resource(
    kind="EndpointSlice",
    plural="endpointslices",
    model=EndpointSlice,
    group="discovery.k8s.io",
    strategy=EndpointSliceStrategy(),
    columns=(
        NAME,
        Column("AddressType", lambda obj, now: obj.addressType, "The type of its addresses."),
        Column(
            "Ports",
            lambda obj, now: first_few([_port_text(port) for port in obj.ports or ()], _UNSET),
            "The ports of each endpoint.",
        ),
        Column("Endpoints", _addresses, "The endpoints' addresses."),
        AGE,
    ),
)
