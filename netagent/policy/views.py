"""Models of pods and namespaces with no more than policies read of them."""

from __future__ import annotations

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import Int32, Model
from apimachinery.resource import Resource


class ContainerPort(Model):
    name: str | None = None
    containerPort: Int32 = 0
    protocol: str = "TCP"


class Container(Model):
    ports: list[ContainerPort] | None = None


class PodSpec(Model):
    nodeName: str | None = None
    hostNetwork: bool | None = None
    containers: list[Container] = Field(default_factory=list)
    initContainers: list[Container] | None = None


class PodIP(Model):
    ip: str = ""


class PodStatus(Model):
    phase: str | None = None
    podIPs: list[PodIP] | None = None


class Pod(Object):
    spec: PodSpec = Field(default_factory=PodSpec)
    status: PodStatus = Field(default_factory=PodStatus)


class Namespace(Object):
    pass


PODS = Resource(kind="Pod", plural="pods", model=Pod)
NAMESPACES = Resource(kind="Namespace", plural="namespaces", model=Namespace, namespaced=False)


def trim(obj: Object) -> None:
    """Takes out what is large and that nobody here reads."""
    obj.metadata.managedFields = obj.metadata.annotations = obj.metadata.ownerReferences = None
