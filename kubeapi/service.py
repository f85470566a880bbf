"""Service: a stable address in front of the pods its selector matches."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.errors import FieldError
from apimachinery.meta import Condition, Object
from apimachinery.model import Atomic, ListMapKeys, MergeKey, Model, OneOf
from apimachinery.names import dns_1035_label_errors
from apimachinery.resource import Column, Resource, Strategy
from kubeapi._columns import AGE, NAME, NONE, label_text, listed
from kubeapi._common import Int32, IntOrString
from kubeapi._validation import Errors

HEADLESS = "None"  # the clusterIP of a Service that has none
_AFFINITY_SECONDS = 3 * 60 * 60
_INTERNAL_TYPES = ("ClusterIP", "NodePort", "LoadBalancer")


class ServicePort(Model):
    """A port that a Service is reached at."""

    name: str | None = None
    """The port's name, unique in the Service; required where there are several."""
    protocol: Annotated[str, OneOf("TCP", "UDP", "SCTP")] = "TCP"
    """TCP (the default), UDP or SCTP."""
    appProtocol: str | None = None
    """What is spoken on the port, such as http or kubernetes.io/h2c. A hint for who routes it."""
    port: Int32 = 0
    """The number of the port at the Service's addresses."""
    targetPort: IntOrString | None = None
    """The port of the pods, by number or by its name there. Default: the same number."""
    nodePort: Int32 | None = None
    """The port of every node that leads here, for the types NodePort and LoadBalancer. Default: a free one."""


class ClientIPConfig(Model):
    """How long a client stays with its pod."""

    timeoutSeconds: Int32 | None = None
    """Seconds since the client's last connection, up to 86400. Default: 10800."""


class SessionAffinityConfig(Model):
    """Settings of sessionAffinity."""

    clientIP: ClientIPConfig | None = None
    """Settings of the affinity ClientIP."""


class ServiceSpec(Model):
    """How a set of pods is reached."""

    ports: Annotated[list[ServicePort], MergeKey("port"), ListMapKeys("port", "protocol")] | None = None
    """The ports of the Service."""
    selector: Annotated[dict[str, str], Atomic()] | None = None
    """The labels of the pods that traffic goes to. Without any, someone else writes the Service's endpoints."""
    clusterIP: str | None = None
    """The address of the Service within the cluster, chosen by the server unless given; None for no address of its
    own."""
    clusterIPs: list[str] | None = None
    """The addresses of the Service, at most one of each family; the first is clusterIP."""
    type: Annotated[str, OneOf("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")] = "ClusterIP"
    """Who reaches it: ClusterIP (the default) within the cluster, NodePort at every node, LoadBalancer by a balancer
    outside, ExternalName as an alias for a DNS name."""
    externalIPs: list[str] | None = None
    """Further addresses at which the nodes take traffic for the Service. They must be led to a node by other means."""
    sessionAffinity: Annotated[str, OneOf("ClientIP", "None")] = "None"
    """Whether a client stays with the same pod: ClientIP, or None (the default)."""
    loadBalancerIP: str | None = None
    """The address that the balancer should have, where it can choose."""
    loadBalancerSourceRanges: list[str] | None = None
    """The networks from which the balancer takes traffic. Default: all."""
    externalName: str | None = None
    """The DNS name that an ExternalName stands for."""
    externalTrafficPolicy: Annotated[str, OneOf("Cluster", "Local")] | None = None
    """Where traffic from outside may go: Cluster (the default) to any pod, Local to pods of the same node, which keeps
    the client's address."""
    healthCheckNodePort: Int32 | None = None
    """The port of the nodes where a balancer learns whether pods of the Service run there, with the policy Local."""
    publishNotReadyAddresses: bool | None = None
    """Whether DNS names pods that are not ready, too. Default: false."""
    sessionAffinityConfig: SessionAffinityConfig | None = None
    """How long a session lasts."""
    ipFamilies: list[str] | None = None
    """The address families of the Service: IPv4, IPv6 or both."""
    ipFamilyPolicy: Annotated[str, OneOf("SingleStack", "PreferDualStack", "RequireDualStack")] | None = None
    """SingleStack (the default), PreferDualStack or RequireDualStack."""
    allocateLoadBalancerNodePorts: bool | None = None
    """Whether a LoadBalancer has node ports as well. Default: true."""
    loadBalancerClass: str | None = None
    """The kind of balancer, as in example.com/internal. Default: the cluster's own."""
    internalTrafficPolicy: Annotated[str, OneOf("Cluster", "Local")] | None = None
    """Where traffic from within may go: Cluster (the default) to any pod, Local to pods of the same node."""
    trafficDistribution: str | None = None
    """Which pods are liked better: PreferSameZone, PreferSameNode, or PreferClose, an older name of the first."""


class PortStatus(Model):
    """What became of one port at a balancer."""

    port: Int32 = 0
    """The number of that port."""
    protocol: str = ""
    """The protocol of that port: TCP, UDP or SCTP."""
    error: str | None = None
    """What went wrong with it, as one CamelCase word."""


class LoadBalancerIngress(Model):
    """Where a balancer takes traffic."""

    ip: str | None = None
    """The balancer's address."""
    hostname: str | None = None
    """The balancer's DNS name."""
    ipMode: str | None = None
    """How the address is used: VIP when packets arrive with it, Proxy when they arrive with a node's."""
    ports: list[PortStatus] | None = None
    """What became of each port."""


class LoadBalancerStatus(Model):
    """What a balancer has told."""

    ingress: list[LoadBalancerIngress] | None = None
    """Where it takes traffic."""


class ServiceStatus(Model):
    """What is known of a Service."""

    loadBalancer: LoadBalancerStatus = Field(default_factory=LoadBalancerStatus)
    """The balancer, for the type LoadBalancer."""
    conditions: Annotated[list[Condition], MergeKey("type")] | None = None
    """What is, or is not, true of the Service."""


class Service(Object):
    """One lasting address for a changing set of pods."""

    spec: ServiceSpec = Field(default_factory=ServiceSpec)
    """How the pods are found and reached."""
    status: ServiceStatus = Field(default_factory=ServiceStatus)
    """What the balancer outside has told, if there is one."""


class ServiceStrategy(Strategy[Service]):
    """Addresses and node ports are the API server's to choose: what is here is what the object alone decides.

    Source: Kubernetes documentation, "Service".
    """

    allow_create_on_update = True
    generation_tracks_spec = False

    def default(self, obj: Service) -> None:
        spec = obj.spec
        spec.type = spec.type or "ClusterIP"
        spec.sessionAffinity = spec.sessionAffinity or "None"
        _default_affinity(spec)
        for port in spec.ports or ():
            port.protocol = port.protocol or "TCP"
            if not port.targetPort:
                port.targetPort = port.port
        if is_external(spec) and not spec.externalTrafficPolicy:
            spec.externalTrafficPolicy = "Cluster"
        if spec.type in _INTERNAL_TYPES and spec.internalTrafficPolicy is None:
            spec.internalTrafficPolicy = "Cluster"
        if spec.type == "LoadBalancer" and spec.allocateLoadBalancerNodePorts is None:
            spec.allocateLoadBalancerNodePorts = True

    def prepare_create(self, obj: Service) -> None:
        spec = obj.spec
        if spec.clusterIP and not spec.clusterIPs:
            spec.clusterIPs = [spec.clusterIP]
        if spec.clusterIP == HEADLESS and not spec.selector and spec.type != "ExternalName":
            _default_families(spec)

    def prepare_update(self, obj: Service, old: Service) -> None:
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
        from kubeapi._servicevalidation import check_service

        errors = Errors()
        check_service(errors, obj)
        return errors

    def validate_update(self, obj: Service, old: Service) -> list[FieldError]:
        from kubeapi._servicevalidation import check_service_update

        errors = Errors()
        check_service_update(errors, obj, old)
        return errors

    def validate_status_update(self, obj: Service, old: Service) -> list[FieldError]:
        from kubeapi._servicevalidation import check_ingress

        errors = Errors()
        check_ingress(errors, obj)
        return errors

    def validate_name(self, name: str) -> list[str]:
        return dns_1035_label_errors(name)


def is_external(spec: ServiceSpec) -> bool:
    """Whether traffic from outside the cluster can reach it."""
    return spec.type in ("NodePort", "LoadBalancer") or (spec.type == "ClusterIP" and bool(spec.externalIPs))


def _default_affinity(spec: ServiceSpec) -> None:
    if spec.sessionAffinity == "None":
        spec.sessionAffinityConfig = None
    elif spec.sessionAffinity == "ClientIP":
        config = spec.sessionAffinityConfig = spec.sessionAffinityConfig or SessionAffinityConfig()
        client = config.clientIP = config.clientIP or ClientIPConfig()
        if client.timeoutSeconds is None:
            client.timeoutSeconds = _AFFINITY_SECONDS


def _default_families(spec: ServiceSpec) -> None:
    """Endpoints that others write for a headless Service may be of any family."""
    if spec.ipFamilyPolicy is None:
        spec.ipFamilyPolicy = "RequireDualStack"
    if spec.ipFamilyPolicy != "SingleStack":
        families = spec.ipFamilies or ["IPv4"]
        spec.ipFamilies = [*families, *(family for family in ("IPv4", "IPv6") if family not in families)]


def _drop_what_the_type_lost(new: ServiceSpec, old: ServiceSpec) -> None:
    """A client that changes only `type` sends the old type's fields along: unchanged, they go by themselves."""
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
    given = [item.ip or item.hostname or "" for item in obj.status.loadBalancer.ingress or ()]
    return ",".join([*filter(None, given), *(spec.externalIPs or ())]) or "<pending>"


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
    columns=(
        NAME,
        Column("Type", lambda obj, now: obj.spec.type, description="How the Service is reached."),
        Column("Cluster-IP", lambda obj, now: obj.spec.clusterIP or NONE, description="Its address in the cluster."),
        Column("External-IP", _external_ip, description="Its addresses outside the cluster."),
        Column("Port(s)", _ports, description="Its ports, each with the node port that leads to it."),
        AGE,
        Column(
            "Selector",
            lambda obj, now: label_text(obj.spec.selector),
            description="Which pods it leads to.",
            priority=1,
        ),
    ),
    fields={
        "spec.clusterIP": lambda obj: obj.spec.clusterIP or "",
        "spec.type": lambda obj: obj.spec.type,
    },
    status=True,
    storage_prefix="services/specs",
)
