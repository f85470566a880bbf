"""Decides, without I/O, what a DELETE does to an object: remove it, mark it as being deleted, or leave it as it is.

Source: Kubernetes documentation, "Garbage Collection", "Finalizers", "Pod Lifecycle: Termination".
"""

from __future__ import annotations

from enum import Enum
from typing import TypeVar

from apimachinery.errors import object_conflict
from apimachinery.meta import DeleteOptions, Object, ObjectMeta
from apimachinery.resource import Resource
from apimachinery.times import format_time, parse_time
from apiserver.registry.validation import FOREGROUND, ORPHAN
from apiserver.storage.cache.table import ROOT, storage_prefix

T = TypeVar("T", bound=Object)


class Deletion(Enum):
    REMOVE = "remove"
    """Nothing holds it: it goes now."""
    MARK = "mark"
    """It stays, with a deletionTimestamp, for its grace period or its finalizers; the object has been changed so."""
    PENDING = "pending"
    """It is being deleted already and this request adds nothing."""


def plan_deletion(
    obj: Object,
    options: DeleteOptions,
    *,
    grace_period_seconds: int | None,
    held: bool,
    now: float,
    orphans: bool = False,
) -> Deletion:
    """Changes `obj` for MARK, and for REMOVE where the kind knows graceful deletion: so the client sees it last.

    `grace_period_seconds` is what the kind grants this request; None when it knows no graceful deletion. `held` says
    that more than `metadata.finalizers` keeps the object (a Namespace's spec). `orphans` leaves its dependents alone
    where neither the request nor a finalizer says otherwise.
    """
    meta = obj.metadata
    graceful = False
    if meta.deletionTimestamp is not None:
        if meta.deletionGracePeriodSeconds:
            if not _shorten(meta, options.gracePeriodSeconds):
                return Deletion.PENDING
            graceful = True
    elif grace_period_seconds is not None:
        _mark(meta, grace_period_seconds, now)
        graceful = True
    finalizers = _finalizers(meta.finalizers or [], options, orphans=orphans)
    meta.finalizers = finalizers or None
    if finalizers or held:
        if not graceful and meta.deletionTimestamp is None:
            _mark(meta, None if held else 0, now)  # a Namespace has no grace period, not one of 0
        return Deletion.MARK
    return Deletion.MARK if graceful and meta.deletionGracePeriodSeconds else Deletion.REMOVE


def _mark(meta: ObjectMeta, grace_period_seconds: int | None, now: float) -> None:
    meta.deletionTimestamp = format_time(now + (grace_period_seconds or 0))
    meta.deletionGracePeriodSeconds = grace_period_seconds
    if meta.generation:
        meta.generation += 1


def _shorten(meta: ObjectMeta, asked_seconds: int | None) -> bool:
    """A pending graceful deletion may only be brought forward. False when the request does not do that."""
    current = meta.deletionGracePeriodSeconds or 0
    if asked_seconds is None or asked_seconds >= current:
        return False
    asked_seconds = max(asked_seconds, 0)
    begin = parse_time(meta.deletionTimestamp or "") - current
    meta.deletionTimestamp = format_time(begin + asked_seconds)
    meta.deletionGracePeriodSeconds = asked_seconds
    return True


def _finalizers(current: list[str], options: DeleteOptions, *, orphans: bool) -> list[str]:
    """The finalizers with those that the propagation policy asks the garbage collector for; as they are without one."""
    policy = options.propagationPolicy
    if options.orphanDependents is not None:
        policy = "Orphan" if options.orphanDependents else "Background"
    if not policy and orphans and FOREGROUND not in current:
        policy = "Orphan"
    if not policy:
        return current
    wanted = {"Orphan": ORPHAN, "Foreground": FOREGROUND}.get(policy)
    finalizers = [name for name in current if name not in (ORPHAN, FOREGROUND) or name == wanted]
    return [*finalizers, wanted] if wanted and wanted not in finalizers else finalizers


def removed_by_update(new: Object, old: Object, *, held: bool) -> bool:
    """True for an update that takes away the last thing that held a deleted object."""
    meta = old.metadata
    if meta.deletionTimestamp is None or meta.deletionGracePeriodSeconds:
        return False
    return not new.metadata.finalizers and not held


def check_preconditions(resource: Resource[T], name: str, meta: ObjectMeta, options: DeleteOptions) -> None:
    """Raises: Conflict."""
    wanted = options.preconditions
    if wanted is None:
        return
    if wanted.uid is not None and wanted.uid != meta.uid:
        why = (
            f"the UID in the precondition ({wanted.uid}) does not match the UID in record ({meta.uid}). "
            "The object might have been deleted and then recreated"
        )
        raise object_conflict(resource.kind, resource.group, name, why)
    if wanted.resourceVersion is not None and wanted.resourceVersion != meta.resourceVersion:
        why = (
            f"the ResourceVersion in the precondition ({wanted.resourceVersion}) does not match the ResourceVersion in "
            f"record ({meta.resourceVersion}). The object might have been modified"
        )
        raise object_conflict(resource.kind, resource.group, name, why)


def check_uid(resource: Resource[T], obj: Object, expected: str) -> None:
    """Refuses to change an object that is not the one a client has read. Raises: Conflict."""
    if expected and expected != obj.metadata.uid:
        key = "/".join(filter(None, (storage_prefix(resource), obj.namespace, obj.name)))
        why = (
            f"StorageError: invalid object, Code: 4, Key: {ROOT}{key}, ResourceVersion: 0, AdditionalErrorMsg: "
            f"Precondition failed: UID in precondition: {expected}, UID in object meta: {obj.metadata.uid}"
        )
        raise object_conflict(resource.plural, resource.group, obj.name, why)


def success(resource: Resource[T], name: str, uid: str) -> dict[str, object]:
    """The Status of a finished deletion."""
    details = {"name": name, "kind": resource.plural, "uid": uid}
    if resource.group:
        details["group"] = resource.group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
