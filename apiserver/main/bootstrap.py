"""Creates the objects of every cluster: the system namespaces and priority classes.

Run at every start; what is there stays as it is.
"""

from __future__ import annotations

from typing import Any

from apimachinery.errors import AlreadyExists
from apimachinery.resource import Resource
from apiserver.registry.stores import Stores
from apiserver.request.user import User
from kubeapi.coordination.lease import NODE_LEASES
from kubeapi.scheduling.priorityclass import SYSTEM_CLASSES, PriorityClass

SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", NODE_LEASES)
PURPOSES = {
    "system-cluster-critical": "Used for system critical pods that must run in the cluster, but can be moved to "
    "another node if necessary.",
    "system-node-critical": "Used for system critical pods that must not be moved from their current node.",
}
APISERVER = User("system:apiserver", "", ("system:masters",))
"""The identity of the server's own writes."""


async def create_namespaces(stores: Stores) -> None:
    store = stores.find("namespaces")
    for name in SYSTEM_NAMESPACES:
        if store.storage.peek(store.resource, "", name) is None:
            try:
                await store.create("", _namespace(store.resource, name), APISERVER)
            except AlreadyExists:
                continue  # another API server has just done so


def _namespace(resource: Resource[Any], name: str) -> Any:
    namespace = resource.model(kind=resource.kind, apiVersion=resource.api_version)
    namespace.metadata.name = name
    resource.strategy.default(namespace)
    return namespace


async def create_priority_classes(stores: Stores) -> None:
    store = stores.find("priorityclasses", "scheduling.k8s.io")
    for name, value in SYSTEM_CLASSES.items():
        if store.storage.peek(store.resource, "", name) is not None:
            continue
        priority = PriorityClass(kind="PriorityClass", apiVersion=store.resource.api_version, value=value)
        priority.metadata.name, priority.description = name, PURPOSES[name]
        store.resource.strategy.default(priority)
        try:
            await store.create("", priority, APISERVER)
        except AlreadyExists:
            continue  # another API server has just done so
