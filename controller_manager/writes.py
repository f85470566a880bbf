"""Writes what controllers have decided about objects of their caches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from apimachinery.errors import Conflict, NotFound
from apimachinery.meta import Object
from kubeclient.rest import RestClient

UNSETTLED_SECONDS = 1.0
"""A controller whose cache lacks what it has written looks again after this; what comes may wake it sooner."""


class WrittenRevisions:
    """The revisions of the objects that a controller wrote last, by key.

    A controller that decided by an older object would do again what it has done: count a pod, or make a Job.
    """

    def __init__(self) -> None:
        self._revisions: dict[str, int] = {}

    def note(self, stored: Object) -> None:
        self._revisions[stored.key] = int(stored.metadata.resourceVersion or 0)

    def are_newer_than(self, cached: Object) -> bool:
        return int(cached.metadata.resourceVersion or 0) < self._revisions.get(cached.key, 0)

    def forget(self, key: str) -> None:
        self._revisions.pop(key, None)


async def write_status(rest: RestClient, obj: Any, status: Any) -> None:
    """Writes the status if it is another one.

    When the cache is behind, nothing is written: what it is about to learn brings the key back.
    """
    if status == obj.status:
        return
    changed = obj.clone()
    changed.status = status
    with suppress(NotFound, Conflict):
        await rest.update(changed, "status")


async def protect(rest: RestClient, obj: Object, finalizer: str, is_in_use: Callable[[], Awaitable[bool]]) -> None:
    """Gives the object its finalizer, and takes it away once the object is deleted and not in use.

    Somebody who has begun to use it meanwhile makes that a conflict. Raises: as RestClient's methods.
    """
    finalizers = obj.metadata.finalizers or []
    deleted = obj.metadata.deletionTimestamp is not None
    if deleted is not (finalizer in finalizers) or (deleted and await is_in_use()):
        return
    changed = obj.clone()
    changed.metadata.finalizers = [item for item in finalizers if item != finalizer] or None
    if not deleted:
        changed.metadata.finalizers = [*finalizers, finalizer]
    with suppress(NotFound):
        await rest.update(changed)
