"""Endpoints: the addresses behind a Service, in the form that EndpointSlice replaced."""

from __future__ import annotations

from apimachinery.meta import Object
from apimachinery.model import Model
from apimachinery.resource import Resource
from kubeapi._common import Int32, ObjectReference


class EndpointAddress(Model):
    ip: str = ""
    hostname: str | None = None
    nodeName: str | None = None
    targetRef: ObjectReference | None = None


class EndpointPort(Model):
    name: str | None = None
    port: Int32 = 0
    protocol: str = "TCP"
    appProtocol: str | None = None


class EndpointSubset(Model):
    addresses: list[EndpointAddress] | None = None
    notReadyAddresses: list[EndpointAddress] | None = None
    ports: list[EndpointPort] | None = None


class Endpoints(Object):
    subsets: list[EndpointSubset] | None = None


RESOURCE = Resource(
    kind="Endpoints",
    plural="endpoints",
    model=Endpoints,
    short_names=("ep",),
    storage_prefix="services/endpoints",
)
