"""NamespaceLifecycle: objects are created only in a namespace that exists and is not being deleted; the basic
namespaces can't be deleted."""

from __future__ import annotations

from collections.abc import Awaitable

from apimachinery.errors import (
    NAMESPACE_TERMINATING,
    FieldError,
    Forbidden,
    object_details,
    object_not_found,
    resource_name,
)
from apiserver.admission._plugin import CREATE, DELETE, Attributes, Lookup, Plugin

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


def admit(attributes: Attributes, lookup: Lookup) -> Awaitable[None] | None:
    resource = attributes.resource
    if attributes.operation == DELETE:
        if resource.plural == "namespaces" and not resource.group and attributes.name in IMMORTAL:
            why = "this namespace may not be deleted"
            raise Forbidden(
                f'namespaces "{attributes.name}" is forbidden: {why}', {"name": attributes.name, "kind": "namespaces"}
            )
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
    resource, namespace = attributes.resource, attributes.namespace
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    message = f'{resource_name(resource.plural, resource.group)} "{attributes.name}" is forbidden: {why}'
    cause = FieldError(NAMESPACE_TERMINATING, "metadata.namespace", f"namespace {namespace} is being terminated")
    return Forbidden(message, object_details(resource.plural, resource.group, attributes.name), [cause])


ADMISSION = Plugin("NamespaceLifecycle", frozenset({CREATE, DELETE}), mutate=admit)
