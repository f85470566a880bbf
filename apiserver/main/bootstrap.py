"""What a cluster has from its first moment: the system namespaces and priority classes.

Run at every start; what is there stays as it is.
"""

from __future__ import annotations

from typing import Any

from apimachinery.errors import AlreadyExists
from apiserver.main.context import Context
from apiserver.request.user import User
from kubeapi.scheduling.priorityclass import SYSTEM_CLASSES, PriorityClass

SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
PURPOSES = {
    "system-cluster-critical": "For pods that the cluster can't do without, on whichever node they run.",
    "system-node-critical": "For pods that their own node can't do without.",
}
APISERVER = User("system:apiserver", "", ("system:masters",))
"""The identity of the server's own writes."""


async def create_namespaces(context: Context) -> None:
    store = context.store("namespaces")
    for name in SYSTEM_NAMESPACES:
        if context.storage.peek(store.resource, "", name) is None:
            try:
                await store.create("", new_namespace(context, name), APISERVER)
            except AlreadyExists:
                continue  # another API server has just done so


def new_namespace(context: Context, name: str) -> Any:
    resource = context.core("namespaces")
    namespace = resource.model(kind=resource.kind, apiVersion=resource.api_version)
    namespace.metadata.name = name
    resource.strategy.default(namespace)
    return namespace


async def create_priority_classes(context: Context) -> None:
    store = context.stores[("scheduling.k8s.io", "priorityclasses")]
    for name, value in SYSTEM_CLASSES.items():
        if context.storage.peek(store.resource, "", name) is not None:
            continue
        made = PriorityClass(kind="PriorityClass", apiVersion=store.resource.api_version, value=value)
        made.metadata.name, made.description = name, PURPOSES[name]
        store.resource.strategy.default(made)
        try:
            await store.create("", made, APISERVER)
        except AlreadyExists:
            continue  # another API server has just done so
