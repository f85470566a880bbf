"""The Service kind: the strategy of writes, and the columns."""

from __future__ import annotations

from apimachinery.columns import AGE, NAME, NONE, label_text, listed
from apimachinery.errors import FieldError
from apimachinery.names import dns_label_errors
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors
from kubeapi.core.service.allocation import carry_over
from kubeapi.core.service.model import (
    ClientIPConfig,
    Service,
    ServiceSpec,
    SessionAffinityConfig,
    is_external,
)
from kubeapi.core.service.validation import check_ingress, check_service, check_service_update
from kubeapi.core.service.warnings import service_warnings

_AFFINITY_SECONDS = 3 * 60 * 60
_INTERNAL_TYPES = ("ClusterIP", "NodePort", "LoadBalancer")


class ServiceStrategy(Strategy[Service]):
    """The rules that depend on the object alone; the API server assigns addresses and node ports.

    Source: Kubernetes documentation, "Service".
    """

    allow_create_on_update = True
    generation_tracks_spec = False

    def default(self, obj: Service) -> None:
        spec = obj.spec
        _default_affinity(spec)
        for port in spec.ports or ():
            if not port.targetPort:
                port.targetPort = port.port
        if is_external(spec) and not spec.externalTrafficPolicy:
            spec.externalTrafficPolicy = "Cluster"
        if spec.type in _INTERNAL_TYPES and spec.internalTrafficPolicy is None:
            spec.internalTrafficPolicy = "Cluster"
        if spec.type == "LoadBalancer" and spec.allocateLoadBalancerNodePorts is None:
            spec.allocateLoadBalancerNodePorts = True
        if spec.type == "LoadBalancer":
            for ingress in obj.status.loadBalancer.ingress or ():
                if ingress.ip and ingress.ipMode is None:
                    ingress.ipMode = "VIP"

    def create_warnings(self, obj: Service) -> list[str]:
        return service_warnings(obj.spec)

    def update_warnings(self, obj: Service, old: Service) -> list[str]:
        return service_warnings(obj.spec)

    def prepare_create(self, obj: Service) -> None:
        spec = obj.spec
        if spec.clusterIP and not spec.clusterIPs:
            spec.clusterIPs = [spec.clusterIP]

    def prepare_update(self, obj: Service, old: Service) -> None:
        carry_over(obj, old)
        new, before = obj.spec, old.spec
        _drop_what_the_type_lost(new, before)
        if new.type == "ExternalName" or before.type == "ExternalName":
            if new.clusterIP and not new.clusterIPs:
                new.clusterIPs = [new.clusterIP]
        else:
            new.clusterIP = new.clusterIP or before.clusterIP
            if not new.clusterIPs:
                same = new.clusterIP == before.clusterIP
                new.clusterIPs = before.clusterIPs if same else [new.clusterIP] if new.clusterIP else None
            elif new.clusterIP != before.clusterIP and new.clusterIPs == before.clusterIPs:
                new.clusterIPs = [new.clusterIP] if new.clusterIP else None

    def validate(self, obj: Service) -> list[FieldError]:
        errors = Errors()
        check_service(errors, obj)
        return errors

    def validate_update(self, obj: Service, old: Service) -> list[FieldError]:
        errors = Errors()
        check_service_update(errors, obj, old)
        return errors

    def validate_status_update(self, obj: Service, old: Service) -> list[FieldError]:
        errors = Errors()
        check_ingress(errors, obj)
        return errors

    def validate_name(self, name: str) -> list[str]:
        return dns_label_errors(name)


def _default_affinity(spec: ServiceSpec) -> None:
    if spec.sessionAffinity == "None":
        spec.sessionAffinityConfig = None
    elif spec.sessionAffinity == "ClientIP":
        config = spec.sessionAffinityConfig = spec.sessionAffinityConfig or SessionAffinityConfig()
        client = config.clientIP = config.clientIP or ClientIPConfig()
        if client.timeoutSeconds is None:
            client.timeoutSeconds = _AFFINITY_SECONDS


def _drop_what_the_type_lost(new: ServiceSpec, old: ServiceSpec) -> None:
    """Drops fields of the old type that a client left unchanged when it changed `type`."""
    if not is_external(new) and is_external(old) and new.externalTrafficPolicy == old.externalTrafficPolicy:
        new.externalTrafficPolicy = None
    if new.type == "ExternalName" != old.type and new.internalTrafficPolicy == old.internalTrafficPolicy:
        new.internalTrafficPolicy = None
    if new.type != "LoadBalancer" == old.type:
        if new.allocateLoadBalancerNodePorts == old.allocateLoadBalancerNodePorts:
            new.allocateLoadBalancerNodePorts = None
        if new.loadBalancerClass == old.loadBalancerClass:
            new.loadBalancerClass = None


def _external_ip(obj: Service, now: float) -> str:
    spec = obj.spec
    if spec.type == "ExternalName":
        return spec.externalName or NONE
    if spec.type != "LoadBalancer":
        return listed(spec.externalIPs or ())
    addresses = [item.ip or item.hostname or "" for item in obj.status.loadBalancer.ingress or ()]
    return ",".join([*filter(None, addresses), *(spec.externalIPs or ())]) or "<pending>"


def _ports(obj: Service, now: float) -> str:
    return listed(
        f"{port.port}:{port.nodePort}/{port.protocol}" if port.nodePort else f"{port.port}/{port.protocol}"
        for port in obj.spec.ports or ()
    )


RESOURCE = Resource(
    kind="Service",
    plural="services",
    model=Service,
    short_names=("svc",),
    categories=("all",),
    strategy=ServiceStrategy(),
    returned_on_delete=True,
    columns=(
        NAME,
        Column("Type", lambda obj, now: obj.spec.type, "The type of the Service."),
        Column("Cluster-IP", lambda obj, now: obj.spec.clusterIP or NONE, "The address in the cluster."),
        Column("External-IP", _external_ip, "The addresses outside the cluster."),
        Column("Port(s)", _ports, "The ports, each with its node port."),
        AGE,
        Column("Selector", lambda obj, now: label_text(obj.spec.selector), "The selector of the pods.", priority=1),
    ),
    fields={
        "spec.clusterIP": lambda obj: obj.spec.clusterIP or "",
        "spec.type": lambda obj: obj.spec.type,
    },
    status=True,
    storage_prefix="services/specs",
)
