"""Service: a stable address in front of the pods its selector matches."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.meta import Condition, Object
from apimachinery.model import MergeKey, Model
from apimachinery.resource import Resource
from kubeapi._common import Int32, IntOrString


class ServicePort(Model):
    name: str | None = None
    protocol: str = "TCP"
    appProtocol: str | None = None
    port: Int32 = 0
    targetPort: IntOrString | None = None
    nodePort: Int32 | None = None


class ClientIPConfig(Model):
    timeoutSeconds: Int32 | None = None


class SessionAffinityConfig(Model):
    clientIP: ClientIPConfig | None = None


class ServiceSpec(Model):
    ports: Annotated[list[ServicePort], MergeKey("port")] | None = None
    selector: dict[str, str] | None = None
    clusterIP: str | None = None
    clusterIPs: list[str] | None = None
    type: str = "ClusterIP"
    externalIPs: list[str] | None = None
    sessionAffinity: str = "None"
    loadBalancerIP: str | None = None
    loadBalancerSourceRanges: list[str] | None = None
    externalName: str | None = None
    externalTrafficPolicy: str | None = None
    healthCheckNodePort: Int32 | None = None
    publishNotReadyAddresses: bool | None = None
    sessionAffinityConfig: SessionAffinityConfig | None = None
    ipFamilies: list[str] | None = None
    ipFamilyPolicy: str | None = None
    allocateLoadBalancerNodePorts: bool | None = None
    loadBalancerClass: str | None = None
    internalTrafficPolicy: str | None = None
    trafficDistribution: str | None = None


class PortStatus(Model):
    port: Int32 = 0
    protocol: str = ""
    error: str | None = None


class LoadBalancerIngress(Model):
    ip: str | None = None
    hostname: str | None = None
    ipMode: str | None = None
    ports: list[PortStatus] | None = None


class LoadBalancerStatus(Model):
    ingress: list[LoadBalancerIngress] | None = None


class ServiceStatus(Model):
    loadBalancer: LoadBalancerStatus = Field(default_factory=LoadBalancerStatus)
    conditions: Annotated[list[Condition], MergeKey("type")] | None = None


class Service(Object):
    spec: ServiceSpec = Field(default_factory=ServiceSpec)
    status: ServiceStatus = Field(default_factory=ServiceStatus)


RESOURCE = Resource(
    kind="Service",
    plural="services",
    model=Service,
    short_names=("svc",),
    categories=("all",),
    status=True,
    storage_prefix="services/specs",
)
