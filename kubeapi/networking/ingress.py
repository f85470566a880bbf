"""Ingress: the way of HTTP requests from outside the cluster to Services, by host and path."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.columns import AGE, NAME, NONE
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import Int32, Model, OneOf
from apimachinery.names import dns_label_errors, dns_subdomain_errors, wildcard_subdomain_errors
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors, Path, is_ip
from kubeapi.core._references import TypedLocalObjectReference
from kubeapi.core.service.model import PortStatus
from kubeapi.networking._group import GROUP, check_reference

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
"""Names the class in the older way."""
EXACT, PREFIX, IMPLEMENTATION_SPECIFIC = "Exact", "Prefix", "ImplementationSpecific"
_PATH_TYPES = (EXACT, IMPLEMENTATION_SPECIFIC, PREFIX)
_WRONG_SEQUENCES = ("//", "/./", "/../", "%2f", "%2F")
_WRONG_ENDS = ("/..", "/.")
_SHOWN_HOSTS = 3
_ABSOLUTE = "must be an absolute path"


class ServiceBackendPort(Model, protobuf="name number"):
    """A port of a Service, by name or by number."""

    map_type = "atomic"

    name: str | None = None
    """The name of the port. It excludes the number."""
    number: Int32 | None = None
    """The number of the port. It excludes the name."""


class IngressServiceBackend(Model, protobuf="name port"):
    """A Service that requests go to."""

    name: str = ""
    """The name of the Service, in the Ingress's namespace."""
    port: ServiceBackendPort = Field(default_factory=ServiceBackendPort)
    """The port of the Service."""


class IngressBackend(Model, protobuf="- - resource service"):
    """What answers requests: a Service or another object."""

    service: IngressServiceBackend | None = None
    """A Service. It excludes a resource."""
    resource: TypedLocalObjectReference | None = None
    """An object of another kind, in the Ingress's namespace, such as a bucket. It excludes a Service."""


class HTTPIngressPath(Model, protobuf="path backend pathType*"):
    """The backend of the requests for some paths."""

    path: str | None = None
    """The path that a request's is compared with; it begins with /. Required for the types Exact and Prefix."""
    pathType: Annotated[str, OneOf("Exact", "ImplementationSpecific", "Prefix")] | None = None
    """The comparison: Exact for the same path, Prefix for one that begins with the same elements between slashes, or
    ImplementationSpecific for what the controller makes of it."""
    backend: IngressBackend = Field(default_factory=IngressBackend)
    """What answers these requests."""


class HTTPIngressRuleValue(Model, protobuf="paths"):
    """The backends of a host, by path."""

    paths: list[HTTPIngressPath] = Field(default_factory=list)
    """The paths and their backends. Of several that match, the longest decides."""


class IngressRule(Model, protobuf="host (http)"):
    """The backends of the requests for one host."""

    host: str | None = None
    """The host's DNS name; *.example.com stands for all names with one label more. Default: all hosts."""
    http: HTTPIngressRuleValue | None = None
    """The backends by path. Default: the default backend."""


class IngressTLS(Model, protobuf="hosts secretName"):
    """The certificate of some hosts."""

    hosts: list[str] | None = None
    """The hosts of the certificate. Default: those of the Ingress."""
    secretName: str | None = None
    """The Secret with the certificate and its key."""


class IngressSpec(Model, protobuf="defaultBackend tls rules ingressClassName*"):
    """The rules of an Ingress."""

    ingressClassName: str | None = None
    """The IngressClass, and so the controller that serves the Ingress."""
    defaultBackend: IngressBackend | None = None
    """What answers the requests that no rule matches. Required if there are no rules."""
    tls: list[IngressTLS] | None = None
    """The certificates, for hosts that are served by HTTPS too."""
    rules: list[IngressRule] | None = None
    """The backends by host and path."""


class IngressLoadBalancerIngress(Model, protobuf="ip hostname - ports"):
    """An address at which the controller accepts requests."""

    ip: str | None = None
    """The address, as an IP address."""
    hostname: str | None = None
    """The address, as a DNS name."""
    ports: list[PortStatus] | None = None
    """The state of each port."""


class IngressLoadBalancerStatus(Model, protobuf="ingress"):
    """The addresses of a load balancer."""

    ingress: list[IngressLoadBalancerIngress] | None = None
    """The addresses at which the controller accepts requests."""


class IngressStatus(Model, protobuf="loadBalancer"):
    """The observed state of an Ingress."""

    loadBalancer: IngressLoadBalancerStatus = Field(default_factory=IngressLoadBalancerStatus)
    """The addresses at which its hosts are served."""


class Ingress(Object, protobuf="metadata spec status"):
    """Routes HTTP requests from outside the cluster to Services, by host and path."""

    spec: IngressSpec = Field(default_factory=IngressSpec)
    """The hosts, paths and backends."""
    status: IngressStatus = Field(default_factory=IngressStatus)
    """The addresses at which they are served."""


class IngressStrategy(Strategy[Ingress]):
    """Source: Kubernetes documentation, "Ingress"."""

    def validate(self, obj: Ingress) -> list[FieldError]:
        errors, spec = Errors(), obj.spec
        if not spec.rules and spec.defaultBackend is None:
            errors.invalid(("spec",), spec.rules, "either `defaultBackend` or `rules` must be specified")
        if spec.defaultBackend is not None:
            _check_backend(errors, ("spec", "defaultBackend"), spec.defaultBackend)
        for index, rule in enumerate(spec.rules or ()):
            _check_rule(errors, ("spec", "rules", index), rule)
        for index, tls in enumerate(spec.tls or ()):
            at: Path = ("spec", "tls", index)
            for number, host in enumerate(tls.hosts or ()):
                _check_host(errors, (*at, "hosts", number), host)
            errors.check_subdomain((*at, "secretName"), tls.secretName)
        if (name := spec.ingressClassName) is not None:
            errors.check_messages(("spec", "ingressClassName"), name, dns_subdomain_errors(name))
        return errors

    def validate_create(self, obj: Ingress) -> list[FieldError]:
        errors = Errors(self.validate(obj))
        name, old_name = obj.spec.ingressClassName, obj.annotations.get(CLASS_ANNOTATION)
        if name is not None and old_name is not None and name != old_name:
            why = "must match `ingressClassName` when both are specified"
            errors.invalid(("annotations", CLASS_ANNOTATION), old_name, why)
        return errors

    def validate_status_update(self, obj: Ingress, old: Ingress) -> list[FieldError]:
        errors = Errors()
        for index, address in enumerate(obj.status.loadBalancer.ingress or ()):
            at: Path = ("status", "loadBalancer", "ingress", index)
            if address.ip:
                errors.check_ip((*at, "ip"), address.ip)
            if address.hostname:
                _check_no_ip(errors, (*at, "hostname"), address.hostname)
                errors.check_messages((*at, "hostname"), address.hostname, dns_subdomain_errors(address.hostname))
        return errors

    def create_warnings(self, obj: Ingress) -> list[str]:
        if CLASS_ANNOTATION not in obj.annotations:
            return []
        return [f"annotation \"{CLASS_ANNOTATION}\" is deprecated, please use 'spec.ingressClassName' instead"]


def _check_no_ip(errors: Errors, path: Path, host: str) -> None:
    if is_ip(host):
        errors.invalid(path, host, "must be a DNS name, not an IP address")


def _check_host(errors: Errors, path: Path, host: str) -> None:
    rule = wildcard_subdomain_errors if "*" in host else dns_subdomain_errors
    errors.check_messages(path, host, rule(host))


def _check_rule(errors: Errors, path: Path, rule: IngressRule) -> None:
    if rule.host:
        _check_no_ip(errors, (*path, "host"), rule.host)
        _check_host(errors, (*path, "host"), rule.host)
    if rule.http is None:
        return
    if not rule.http.paths:
        errors.required((*path, "http", "paths"))
    for index, item in enumerate(rule.http.paths):
        _check_path(errors, (*path, "http", "paths", index), item)


def _check_path(errors: Errors, path: Path, item: HTTPIngressPath) -> None:
    at, text = (*path, "path"), item.path or ""
    if item.pathType is None:
        errors.required((*path, "pathType"), "pathType must be specified")
        return
    if item.pathType in (EXACT, PREFIX):
        if not text.startswith("/"):
            errors.invalid(at, text, _ABSOLUTE)
        for sequence in _WRONG_SEQUENCES:
            if sequence in text:
                errors.invalid(at, text, f"must not contain '{sequence}'")
        for end in _WRONG_ENDS:
            if text.endswith(end):
                errors.invalid(at, text, f"cannot end with '{end}'")
    elif item.pathType != IMPLEMENTATION_SPECIFIC:
        errors.not_supported((*path, "pathType"), item.pathType, _PATH_TYPES)
    elif text and not text.startswith("/"):
        errors.invalid(at, text, _ABSOLUTE)
    _check_backend(errors, (*path, "backend"), item.backend)


def _check_backend(errors: Errors, path: Path, backend: IngressBackend) -> None:
    service, resource = backend.service, backend.resource
    if service is not None and resource is not None:
        errors.invalid(path, "", "cannot set both resource and service backends")
    elif resource is not None:
        check_reference(errors, (*path, "resource"), resource.apiGroup, resource.kind, resource.name)
    elif service is None:
        errors.invalid(path, "", "resource or service backend is required")
    else:
        errors.check_name((*path, "service", "name"), service.name, dns_label_errors)
        name, number = service.port.name, service.port.number
        if name and number:
            errors.invalid(path, "", "cannot set both port name & port number")
        elif name:
            errors.check_port_or_name((*path, "service", "port", "name"), name)
        elif number:
            errors.check_port((*path, "service", "port", "number"), number)
        else:
            errors.required(path, "port name or number is required")


def _hosts(obj: Ingress, now: float) -> str:
    """The first hosts; the number of more counts rules, as upstream's does."""
    rules = obj.spec.rules or []
    named = [index for index, rule in enumerate(rules) if rule.host][:_SHOWN_HOSTS]
    text = ",".join(rules[index].host or "" for index in named)
    more = len(named) == _SHOWN_HOSTS and named[-1] < len(rules) - 1
    return (f"{text} + {len(rules) - _SHOWN_HOSTS} more..." if more else text) or "*"


def _addresses(obj: Ingress, now: float) -> str:
    addresses = {at.ip or at.hostname for at in obj.status.loadBalancer.ingress or ()}
    return ",".join(sorted(address for address in addresses if address))


RESOURCE = Resource(
    kind="Ingress",
    plural="ingresses",
    model=Ingress,
    group=GROUP,
    short_names=("ing",),
    strategy=IngressStrategy(),
    columns=(
        NAME,
        Column("Class", lambda obj, now: obj.spec.ingressClassName or NONE, "Its IngressClass."),
        Column("Hosts", _hosts, "The hosts whose requests it routes."),
        Column("Address", _addresses, "The addresses at which they are served."),
        Column("Ports", lambda obj, now: "80, 443" if obj.spec.tls else "80", "The ports at which they are served."),
        AGE,
    ),
    status=True,
)
