"""Service: a stable address in front of the pods its selector matches."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.meta import Condition, Object
from apimachinery.model import Atomic, Int32, IntOrString, ListMapKeys, MergeKey, Model, OneOf


class ServicePort(Model, protobuf="name protocol port targetPort nodePort appProtocol"):
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


class ClientIPConfig(Model, protobuf="timeoutSeconds*"):
    """How long a client stays with its pod."""

    timeoutSeconds: Int32 | None = None
    """Seconds since the client's last connection, up to 86400. Default: 10800."""


class SessionAffinityConfig(Model, protobuf="clientIP"):
    """Settings of sessionAffinity."""

    clientIP: ClientIPConfig | None = None
    """Settings of the affinity ClientIP."""


class ServiceSpec(
    Model,
    protobuf="ports selector clusterIP type externalIPs - sessionAffinity loadBalancerIP loadBalancerSourceRanges "
    "externalName externalTrafficPolicy healthCheckNodePort publishNotReadyAddresses sessionAffinityConfig - - "
    "ipFamilyPolicy clusterIPs ipFamilies allocateLoadBalancerNodePorts* loadBalancerClass internalTrafficPolicy "
    "trafficDistribution",
):
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


class PortStatus(Model, protobuf="port protocol error"):
    """What became of one port at a balancer."""

    port: Int32 = 0
    """The number of that port."""
    protocol: str = ""
    """The protocol of that port: TCP, UDP or SCTP."""
    error: str | None = None
    """What went wrong with it, as one CamelCase word."""


class LoadBalancerIngress(Model, protobuf="ip hostname ipMode ports"):
    """Where a balancer takes traffic."""

    ip: str | None = None
    """The balancer's address."""
    hostname: str | None = None
    """The balancer's DNS name."""
    ipMode: str | None = None
    """How the address is used: VIP when packets arrive with it, Proxy when they arrive with a node's."""
    ports: list[PortStatus] | None = None
    """What became of each port."""


class LoadBalancerStatus(Model, protobuf="ingress"):
    """What a balancer has told."""

    ingress: list[LoadBalancerIngress] | None = None
    """Where it takes traffic."""


class ServiceStatus(Model, protobuf="loadBalancer conditions"):
    """What is known of a Service."""

    loadBalancer: LoadBalancerStatus = Field(default_factory=LoadBalancerStatus)
    """The balancer, for the type LoadBalancer."""
    conditions: Annotated[list[Condition], MergeKey("type")] | None = None
    """What is, or is not, true of the Service."""


class Service(Object, protobuf="metadata spec status"):
    """One lasting address for a changing set of pods."""

    spec: ServiceSpec = Field(default_factory=ServiceSpec)
    """How the pods are found and reached."""
    status: ServiceStatus = Field(default_factory=ServiceStatus)
    """What the balancer outside has told, if there is one."""


def is_external(spec: ServiceSpec) -> bool:
    """Whether traffic from outside the cluster can reach it."""
    return spec.type in ("NodePort", "LoadBalancer") or (spec.type == "ClusterIP" and bool(spec.externalIPs))
