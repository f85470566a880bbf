"""The nodes and pods of the cluster, as far as their metrics are concerned: kept by watches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import Model
from apimachinery.resource import Resource
from apiserver.proxy.kubelet import Location, location_of
from apiserver.request.query import ListOptions
from kubeapi.core.node import NodeAddress, NodeDaemonEndpoints
from kubeclient.informer import Informers
from kubeclient.rest import RestClient

ANNOTATIONS = "prometheus.io/"
"""The prefix of the annotations that say how a pod is asked for its metrics."""

T = TypeVar("T", bound=Object)


class NodeStatus(Model):
    addresses: list[NodeAddress] | None = None
    daemonEndpoints: NodeDaemonEndpoints = Field(default_factory=NodeDaemonEndpoints)


class Node(Object):
    status: NodeStatus = Field(default_factory=NodeStatus)


class ContainerPort(Model):
    containerPort: int = 0


class Container(Model):
    ports: list[ContainerPort] | None = None


class PodSpec(Model):
    nodeName: str | None = None
    containers: list[Container] = Field(default_factory=list)


class PodStatus(Model):
    phase: str = ""
    podIP: str | None = None


class Pod(Object):
    spec: PodSpec = Field(default_factory=PodSpec)
    status: PodStatus = Field(default_factory=PodStatus)


NODES: Resource[Node] = Resource(kind="Node", plural="nodes", model=Node, namespaced=False)
PODS: Resource[Pod] = Resource(
    kind="Pod",
    plural="pods",
    model=Pod,
    fields={"spec.nodeName": lambda obj: obj.spec.nodeName or "", "status.phase": lambda obj: obj.status.phase},
)


class Cluster:
    def __init__(self, rest: RestClient) -> None:
        self._informers = Informers(rest)
        self._nodes = self._informers.of(NODES, trim=_trim)
        self._pods = self._informers.of(PODS, trim=_trim)

    async def run(self) -> None:
        await self._informers.run()

    @property
    def synced(self) -> bool:
        return self._nodes.synced and self._pods.synced

    def nodes(self, options: ListOptions) -> list[Node]:
        return _chosen(NODES, self._nodes.list(), options)

    def node(self, name: str) -> Node | None:
        return self._nodes.get(name)

    def pods(self, namespace: str, options: ListOptions) -> list[Pod]:
        """Returns pods of the namespace, or of all where that is ""."""
        return _chosen(PODS, self._pods.list(namespace), options)

    def pod(self, namespace: str, name: str) -> Pod | None:
        return self._pods.get(f"{namespace}/{name}")

    def kubelet(self, node_name: str) -> Location | None:
        """Returns where the kubelet of a node listens; None for a node that is gone or has told no address."""
        node = self._nodes.get(node_name)
        return location_of(node_name, node.status) if node is not None else None


def _chosen(resource: Resource[T], objects: Iterable[T], options: ListOptions) -> list[T]:
    labels, fields = options.labels, options.fields

    def field_values(obj: T) -> dict[str, str]:
        own = {path: value(obj) for path, value in resource.fields.items()}
        return {**own, "metadata.name": obj.name, "metadata.namespace": obj.namespace}

    return sorted(
        (
            obj
            for obj in objects
            if (labels is None or labels.matches(obj.metadata.labels or {}))
            and (fields is None or fields.matches(field_values(obj)))
        ),
        key=lambda obj: obj.key,
    )


def _trim(obj: Any) -> None:
    """Drops the metadata that is neither shown nor asked for."""
    meta = obj.metadata
    meta.managedFields = meta.ownerReferences = meta.finalizers = None
    wanted = {key: text for key, text in (meta.annotations or {}).items() if key.startswith(ANNOTATIONS)}
    meta.annotations = wanted or None
