"""Service: a stable address in front of the pods that its selector matches."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.meta import Condition, Object
from apimachinery.model import Atomic, Int32, IntOrString, ListMapKeys, MergeKey, Model, OneOf


class ServicePort(Model, protobuf="name protocol port targetPort nodePort appProtocol*"):
    """A port of a Service."""

    name: str | None = None
    """The port's name, unique in the Service; required if there are several ports."""
    protocol: Annotated[str, OneOf("TCP", "UDP", "SCTP")] = "TCP"
    """TCP (the default), UDP or SCTP."""
    appProtocol: str | None = None
    """The application protocol, such as http or kubernetes.io/h2c. A hint for load balancers."""
    port: Int32 = 0
    """The number of the port at the Service's addresses."""
    targetPort: IntOrString | None = None
    """The port of the pods, by number or by its name in the pods. Default: the same number."""
    nodePort: Int32 | None = None
    """The port of every node that is forwarded to the Service, for the types NodePort and LoadBalancer. Default: a free
    port."""


class ClientIPConfig(Model, protobuf="timeoutSeconds*"):
    """Settings of the session affinity by client address."""

    timeoutSeconds: Int32 | None = None
    """Seconds since the client's last connection after which its session ends, up to 86400. Default: 10800."""


class SessionAffinityConfig(Model, protobuf="clientIP"):
    """Settings of sessionAffinity."""

    clientIP: ClientIPConfig | None = None
    """Settings of the affinity ClientIP."""


class ServiceSpec(
    Model,
    protobuf="ports selector clusterIP type externalIPs - sessionAffinity loadBalancerIP loadBalancerSourceRanges "
    "externalName externalTrafficPolicy healthCheckNodePort publishNotReadyAddresses sessionAffinityConfig - - "
    "ipFamilyPolicy* clusterIPs ipFamilies allocateLoadBalancerNodePorts* loadBalancerClass* internalTrafficPolicy* "
    "trafficDistribution*",
):
    """The desired state of a Service."""

    ports: Annotated[list[ServicePort], MergeKey("port"), ListMapKeys("port", "protocol")] | None = None
    """The ports of the Service."""
    selector: Annotated[dict[str, str], Atomic()] | None = None
    """The labels of the pods that traffic goes to. Without a selector, another program manages the endpoints."""
    clusterIP: str | None = None
    """The address of the Service within the cluster, chosen by the server unless given; None for a headless Service."""
    clusterIPs: list[str] | None = None
    """The addresses of the Service, at most one of each family; the first is clusterIP."""
    type: Annotated[str, OneOf("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")] = "ClusterIP"
    """The kind of access: ClusterIP (the default) within the cluster, NodePort at every node, LoadBalancer through an
    external balancer, ExternalName as an alias of a DNS name."""
    externalIPs: list[str] | None = None
    """Further addresses at which the nodes accept traffic for the Service. They must be routed to a node by other
    means."""
    sessionAffinity: Annotated[str, OneOf("ClientIP", "None")] = "None"
    """Whether a client stays with the same pod: ClientIP, or None (the default)."""
    loadBalancerIP: str | None = None
    """The requested address of the balancer, if it supports that."""
    loadBalancerSourceRanges: list[str] | None = None
    """The networks from which the balancer accepts traffic. Default: all."""
    externalName: str | None = None
    """The DNS name that an ExternalName Service is an alias of."""
    externalTrafficPolicy: Annotated[str, OneOf("Cluster", "Local")] | None = None
    """The targets of external traffic: Cluster (the default) for any pod, Local for pods of the same node, which keeps
    the client's address."""
    healthCheckNodePort: Int32 | None = None
    """The port at which a balancer can ask a node whether it has pods of the Service, with the policy Local."""
    publishNotReadyAddresses: bool | None = None
    """Whether pods that are not ready are published too. Default: false."""
    sessionAffinityConfig: SessionAffinityConfig | None = None
    """Settings of the session affinity."""
    ipFamilies: list[str] | None = None
    """The address families of the Service: IPv4, IPv6 or both."""
    ipFamilyPolicy: Annotated[str, OneOf("SingleStack", "PreferDualStack", "RequireDualStack")] | None = None
    """SingleStack (the default), PreferDualStack or RequireDualStack."""
    allocateLoadBalancerNodePorts: bool | None = None
    """Whether a LoadBalancer has node ports as well. Default: true."""
    loadBalancerClass: str | None = None
    """The class of the balancer, such as example.com/internal. Default: the cluster's own."""
    internalTrafficPolicy: Annotated[str, OneOf("Cluster", "Local")] | None = None
    """The targets of traffic from within the cluster: Cluster (the default) for any pod, Local for pods of the same
    node."""
    trafficDistribution: str | None = None
    """The preferred pods: PreferSameZone, PreferSameNode, or PreferClose, an older name of the first."""


class PortStatus(Model, protobuf="port protocol error*"):
    """The state of one port at a balancer."""

    port: Int32 = 0
    """The number of that port."""
    protocol: str = ""
    """The protocol of that port: TCP, UDP or SCTP."""
    error: str | None = None
    """The error of the port, as one CamelCase word."""


class LoadBalancerIngress(Model, protobuf="ip hostname ipMode* ports"):
    """An address at which a balancer accepts traffic."""

    ip: str | None = None
    """The balancer's address."""
    hostname: str | None = None
    """The balancer's DNS name."""
    ipMode: str | None = None
    """The use of the address: VIP if packets arrive with it as destination, Proxy if they arrive with that of a
    node."""
    ports: list[PortStatus] | None = None
    """The state of each port."""


class LoadBalancerStatus(Model, protobuf="ingress"):
    """The state of a load balancer."""

    ingress: list[LoadBalancerIngress] | None = None
    """The addresses at which the balancer accepts traffic."""


class ServiceStatus(Model, protobuf="loadBalancer conditions"):
    """The observed state of a Service."""

    loadBalancer: LoadBalancerStatus = Field(default_factory=LoadBalancerStatus)
    """The state of the balancer, for the type LoadBalancer."""
    conditions: Annotated[list[Condition], MergeKey("type")] | None = None
    """The conditions of the Service, one of each type."""


class Service(Object, protobuf="metadata spec status"):
    """One lasting address for a changing set of pods."""

    spec: ServiceSpec = Field(default_factory=ServiceSpec)
    """The pods of the Service, and the ways to reach them."""
    status: ServiceStatus = Field(default_factory=ServiceStatus)
    """The state of the external balancer, if there is one."""


def is_external(spec: ServiceSpec) -> bool:
    """Tells whether traffic from outside the cluster can reach the Service."""
    return spec.type in ("NodePort", "LoadBalancer") or (spec.type == "ClusterIP" and bool(spec.externalIPs))
