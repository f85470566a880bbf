"""Models what a node has to offer, and which pods it keeps away."""

from __future__ import annotations

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import Model
from apimachinery.quantity import Quantity
from apimachinery.resource import Resource
from kubeapi.core.pod.scheduling.affinity import Taint


class NodeSpec(Model):
    unschedulable: bool | None = None
    taints: list[Taint] | None = None


class ContainerImage(Model):
    names: list[str] | None = None
    sizeBytes: int | None = None


class NodeStatus(Model):
    allocatable: dict[str, Quantity] | None = None
    images: list[ContainerImage] | None = None


class Node(Object):
    spec: NodeSpec = Field(default_factory=NodeSpec)
    status: NodeStatus = Field(default_factory=NodeStatus)


RESOURCE = Resource(kind="Node", plural="nodes", model=Node, namespaced=False)
