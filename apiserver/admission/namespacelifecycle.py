"""NamespaceLifecycle: objects are created only in a namespace that exists and is not being deleted; the basic
namespaces can't be deleted."""

from __future__ import annotations

from collections.abc import Awaitable

from apimachinery.errors import (
    NAMESPACE_TERMINATING,
    FieldError,
    Forbidden,
    object_not_found,
)
from apiserver.admission._plugin import CREATE, DELETE, Attributes, Lookup, Plugin, refused

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


def admit(attributes: Attributes, lookup: Lookup) -> Awaitable[None] | None:
    resource = attributes.resource
    if attributes.operation == DELETE:
        if resource.plural == "namespaces" and not resource.group and attributes.name in IMMORTAL:
            raise refused(attributes, "this namespace may not be deleted")
        return None
    if not resource.namespaced:
        return None
    namespace = lookup.storage.latest(lookup.resource("namespaces"), "", attributes.namespace)
    if namespace is None:
        return _look_again(attributes, lookup)
    if namespace.field("status.phase") == "Terminating":
        raise terminating(attributes)
    return None


async def _look_again(attributes: Attributes, lookup: Lookup) -> None:
    """Asks etcd: the cache may be behind another API server that has just created the namespace."""
    namespace = await lookup.storage.get_from_etcd(lookup.resource("namespaces"), "", attributes.namespace)
    if namespace is None:
        raise object_not_found("namespaces", "", attributes.namespace)
    if namespace.field("status.phase") == "Terminating":
        raise terminating(attributes)


def terminating(attributes: Attributes) -> Forbidden:
    namespace = attributes.namespace
    cause = FieldError(NAMESPACE_TERMINATING, "metadata.namespace", f"namespace {namespace} is being terminated")
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    return refused(attributes, why, [cause])


ADMISSION = Plugin("NamespaceLifecycle", frozenset({CREATE, DELETE}), mutate=admit)
