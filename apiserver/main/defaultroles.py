"""Creates the default roles and bindings, and completes those that are there: at every start, as upstream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from apimachinery.catalogue import collect
from apimachinery.errors import AlreadyExists, Conflict, NotFound
from apimachinery.meta import DeleteOptions, Object, Preconditions
from apimachinery.model import decode
from apimachinery.resource import resource_of
from apiserver.auth.authorization import defaults
from apiserver.auth.authorization.defaults._role import DefaultRole
from apiserver.auth.authorization.reconciling import is_protected, reconcile_binding, reconcile_role
from apiserver.registry.changes import Edit
from apiserver.registry.store import Store
from apiserver.registry.stores import Stores
from apiserver.request.user import APISERVER
from kubeapi.rbac._bindings import Binding

PARALLEL_WRITES = 8


def default_roles() -> list[DefaultRole]:
    return [role for roles in collect(defaults.__name__, "ROLES", tuple).values() for role in roles]


async def create_default_roles(stores: Stores) -> None:
    """Raises: StatusError, StorageError; what has been done by then stays."""
    roles = default_roles()
    objects: Iterator[Object] = iter(
        [*(role.role for role in roles), *(role.binding for role in roles if role.binding is not None)]
    )

    async def work() -> None:
        for obj in objects:
            await _ensure(_store_of(stores, obj), obj)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(PARALLEL_WRITES):
                group.create_task(work())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


def _store_of(stores: Stores, obj: Object) -> Store[Any]:
    resource = resource_of(type(obj))
    return stores.find(resource.plural, resource.group)


async def _ensure(store: Store[Any], expected: Any) -> None:
    """Works from the watch cache, where another server's objects may still be missing."""
    namespace, name = expected.namespace, expected.name
    entry = store.storage.peek(store.resource, namespace, name)
    if entry is None:
        try:
            await store.create(namespace, expected.clone(), APISERVER)
            return
        except AlreadyExists:
            entry = await store.read(namespace, name)
    existing = decode(store.resource.model, entry.value)
    if is_protected(existing):
        return
    if isinstance(expected, Binding) and existing.roleRef != expected.roleRef:
        await _make_anew(store, existing, expected)
        return
    reconcile: Callable[[Any, Any], Any] = reconcile_binding if isinstance(expected, Binding) else reconcile_role
    if reconcile(existing, expected) != existing:
        await store.update(namespace, name, Edit(lambda old: reconcile(old, expected)), APISERVER)


async def _make_anew(store: Store[Any], existing: Binding, expected: Binding) -> None:
    """The role of a binding can't be changed. Another server that does the same meanwhile does no harm."""
    options = DeleteOptions(preconditions=Preconditions(uid=existing.metadata.uid))
    with suppress(NotFound, Conflict):
        await store.delete(existing.namespace, existing.name, options, APISERVER)
    with suppress(AlreadyExists):
        await store.create(expected.namespace, expected.clone(), APISERVER)
