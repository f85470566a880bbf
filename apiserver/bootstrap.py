"""What a cluster has from its first moment: the system namespaces. Run at every start; what is there stays as it is."""

from __future__ import annotations

from typing import Any

from apimachinery.errors import AlreadyExists
from apiserver.authn import User
from apiserver.context import Context

SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
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
