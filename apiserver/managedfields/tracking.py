"""Tracks field ownership over the writes to an object, from the create on.

A write belongs to the `fieldManager` that it names, or else to the client's User-Agent. An object whose owners were
reset is tracked again from the next apply on.
"""

from __future__ import annotations

from typing import Any

import orjson

from apimachinery.errors import FieldError, invalid, too_long
from apimachinery.meta import Object
from apimachinery.model import Model
from apimachinery.resource import Resource
from apiserver.managedfields import manager
from apiserver.managedfields.manager import APPLY, UPDATE, Entries, Writer
from apiserver.request.query import WriteOptions, manager_errors

UNTRACKED = frozenset({"binding"})
TIMELESS = frozenset({"scale"})  # the original loses the time of these on the way from the Scale to the object
MAX_SUBRESOURCE_BYTES = 256


def created(
    obj: Object, resource: Resource[Any], options: WriteOptions, time: str, subresource: str = ""
) -> Entries | None:
    """Returns the entries of a new object with its defaults; None if nothing in it has an owner."""
    sent = obj.metadata.managedFields
    if options.applies:
        return sent
    writer = Writer(options.manager, resource.api_version, subresource, time)
    return manager.created(manager.from_client(sent, None), _document(obj, ""), resource, writer) or None


def updated(
    new: Object,
    old: Object,
    sent: Entries | None,
    resource: Resource[Any],
    options: WriteOptions,
    subresource: str,
    time: str,
) -> Entries | None:
    """Returns the entries after an update; `sent` are those of the request, which writes to a subresource ignore.

    None if the object is not tracked, because it had no entries before.
    """
    stored = old.metadata.managedFields
    if options.applies:
        return sent
    if subresource in UNTRACKED:
        return stored
    entries = (stored or []) if subresource else manager.from_client(sent, stored)
    if not entries:
        return None
    before, after = _document(old, subresource), _document(new, subresource)
    writer = Writer(options.manager, resource.api_version, subresource, "" if subresource in TIMELESS else time)
    return manager.updated(entries, before, after, resource, writer) or None


def _document(obj: Object, subresource: str) -> dict[str, Any]:
    """Returns the object as plain JSON types; for writes to the status only the status and metadata."""
    if subresource != "status":
        return _json(obj, {"metadata": {"managedFields"}})
    return {"metadata": _json(obj.metadata, {"managedFields"}), "status": _json(obj.status, None)}  # type: ignore[attr-defined]


def _json(part: Model, without: Any) -> dict[str, Any]:
    """Returns a part of the object as plain JSON types, without some fields."""
    document: dict[str, Any] = orjson.loads(
        part.__pydantic_serializer__.to_json(part, exclude_none=True, exclude=without)
    )
    return document


def entry_errors(entries: Entries | None) -> list[FieldError]:
    """Lists errors in the entries of a client."""
    errors = []
    for index, entry in enumerate(entries or ()):
        path = f"metadata.managedFields[{index}]"
        if entry.operation not in (APPLY, UPDATE):
            errors.append(invalid(f"{path}.operation", entry.operation or "", "must be `Apply` or `Update`"))
        errors += manager_errors(entry.manager or "", f"{path}.manager")
        if len(entry.subresource or "") > MAX_SUBRESOURCE_BYTES:
            errors.append(too_long(f"{path}.subresource", MAX_SUBRESOURCE_BYTES))
    return errors
