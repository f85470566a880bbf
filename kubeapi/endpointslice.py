"""EndpointSlice: up to 1,000 of the endpoints of a Service, of one address family."""

from __future__ import annotations

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import Model
from apimachinery.resource import Resource
from kubeapi._common import Int32, ObjectReference


class EndpointConditions(Model):
    """None means unknown, which readers take for ready and serving, and not terminating."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class ForZone(Model):
    name: str = ""


class ForNode(Model):
    name: str = ""


class EndpointHints(Model):
    forZones: list[ForZone] | None = None
    forNodes: list[ForNode] | None = None


class Endpoint(Model):
    addresses: list[str] = Field(default_factory=list)
    conditions: EndpointConditions = Field(default_factory=EndpointConditions)
    hostname: str | None = None
    targetRef: ObjectReference | None = None
    deprecatedTopology: dict[str, str] | None = None
    nodeName: str | None = None
    zone: str | None = None
    hints: EndpointHints | None = None


class EndpointPort(Model):
    name: str | None = ""
    protocol: str | None = "TCP"
    port: Int32 | None = None
    appProtocol: str | None = None


class EndpointSlice(Object):
    addressType: str = ""
    endpoints: list[Endpoint] = Field(default_factory=list)
    ports: list[EndpointPort] | None = None


RESOURCE = Resource(kind="EndpointSlice", plural="endpointslices", model=EndpointSlice, group="discovery.k8s.io")
