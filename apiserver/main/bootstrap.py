"""Creates the objects of every cluster: the system namespaces and priority classes.

Run at every start; what is there stays as it is.
"""

from __future__ import annotations

from typing import Any

from apimachinery.errors import AlreadyExists
from apimachinery.meta import ObjectMeta
from apiserver.registry.store import Store
from apiserver.registry.stores import Stores
from apiserver.request.user import APISERVER
from kubeapi.coordination.lease import NODE_LEASES
from kubeapi.core.namespace import Namespace
from kubeapi.scheduling.priorityclass import SYSTEM_CLASSES, PriorityClass

SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", NODE_LEASES)
PURPOSES = {
    "system-cluster-critical": "Used for system critical pods that must run in the cluster, but can be moved to "
    "another node if necessary.",
    "system-node-critical": "Used for system critical pods that must not be moved from their current node.",
}


async def create_missing(store: Store[Any], obj: Any) -> bool:
    """Creates an object; returns False where it is there already. Raises: StatusError, StorageError."""
    resource = store.resource
    if store.storage.peek(resource, obj.namespace, obj.name) is not None:
        return False
    obj.kind, obj.apiVersion = resource.kind, resource.api_version
    resource.strategy.default(obj)
    try:
        await store.create(obj.namespace, obj, APISERVER)
    except AlreadyExists:
        return False  # another API server has just done so
    return True


async def create_namespaces(stores: Stores) -> None:
    store = stores.find("namespaces")
    for name in SYSTEM_NAMESPACES:
        await create_missing(store, Namespace(metadata=ObjectMeta(name=name)))


async def create_priority_classes(stores: Stores) -> None:
    store = stores.find("priorityclasses", "scheduling.k8s.io")
    for name, value in SYSTEM_CLASSES.items():
        meta = ObjectMeta(name=name)
        await create_missing(store, PriorityClass(metadata=meta, value=value, description=PURPOSES[name]))
