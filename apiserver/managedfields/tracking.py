"""Tracks field ownership over the writes to an object, from the create on.

A write belongs to the `fieldManager` that it names, or else to the client's User-Agent. An object whose owners were
reset is tracked again from the next apply on. Entries come and go as the store keeps them: encoded, b"" for none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter

from apimachinery.errors import FieldError, invalid, too_long
from apimachinery.meta import ManagedFieldsEntry, Object
from apimachinery.model import Model, to_dict
from apimachinery.resource import Resource
from apiserver.managedfields import manager
from apiserver.managedfields.manager import APPLY, UPDATE, Entries, Writer
from apiserver.managedfields.outline import NoOutline, Outline
from apiserver.managedfields.recipes import RecipeBook, Values
from apiserver.managedfields.shapes import LEAF_SHAPE, Shape, root_shape, struct_fields
from apiserver.request.query import WriteOptions, manager_errors

UNTRACKED = frozenset({"binding"})
TIMELESS = frozenset({"scale"})  # the original loses the time of these on the way from the Scale to the object
MAX_SUBRESOURCE_BYTES = 256
KEPT_BODIES = 256  # of creates, without their names; the oldest goes
LARGEST_KEPT_BODY = 8 * 1024  # bytes

_ENTRIES = TypeAdapter(list[ManagedFieldsEntry])
_RECIPES = RecipeBook()
_OF_BODIES: dict[tuple[Shape, Writer, bytes], bytes] = {}


def encode_entries(entries: Entries | None) -> bytes:
    return _ENTRIES.dump_json(entries, exclude_none=True) if entries else b""


def decode_entries(encoded: bytes) -> Entries:
    return _ENTRIES.validate_json(encoded) if encoded else []


def take_entries(obj: Object) -> Entries | None:
    """Takes the entries out of an object."""
    entries = obj.metadata.managedFields
    obj.metadata.managedFields = None
    return entries


def created(
    obj: Object,
    sent: Entries | None,
    resource: Resource[Any],
    options: WriteOptions,
    time: str,
    subresource: str = "",
    body: bytes = b"",
) -> bytes:
    """Returns the entries of a new object with its defaults; `sent` are those that it came with, and `body` is the JSON
    that all of it was decoded from, if any was."""
    if options.applies:
        return encode_entries(sent)
    writer = Writer(options.manager, resource.api_version, subresource, time)

    def compute(writer: Writer) -> bytes:
        entries = manager.from_client(sent, None)
        return encode_entries(manager.created(entries, _document(obj, ""), resource, writer))

    if sent:
        return compute(writer)
    shape = root_shape(resource)
    same = (shape, writer, _without_name(body, obj)) if 0 < len(body) <= LARGEST_KEPT_BODY else None
    if same is not None and (known := _OF_BODIES.get(same)) is not None:
        return known
    values = Values(b"", time)
    outline = Outline(values.names)
    try:
        outline.add(obj, shape)
    except NoOutline:
        return compute(writer)
    key = (shape, resource.api_version, options.manager, subresource, *outline.tokens)
    owners = _RECIPES.make(key, values, lambda: compute(writer._replace(time=values.rank(time))))
    if same is not None:
        _OF_BODIES[same] = owners
        if len(_OF_BODIES) > KEPT_BODIES:
            del _OF_BODIES[next(iter(_OF_BODIES))]
    return owners


def _without_name(body: bytes, obj: Object) -> bytes:
    """Returns what is equal for the bodies that a controller makes of one template: they differ in their names alone.

    A mark that no JSON holds takes the place of the first member of that value. Where that is another than the object's
    name, the latter still stands in the body, and bodies are equal only if they were so before.
    """
    return body.replace(b'"name":"%b"' % (obj.metadata.name or "").encode(), b"\0", 1)


def own(obj: Object, resource: Resource[Any], options: WriteOptions, time: str, subresource: str = "") -> None:
    """Makes the sender the owner of an object that is not stored, such as a review."""
    owners = created(obj, take_entries(obj), resource, options, time, subresource)
    obj.metadata.managedFields = decode_entries(owners) or None


def updated(
    new: Object,
    old: Object,
    sent: Entries | None,
    stored: bytes,
    resource: Resource[Any],
    options: WriteOptions,
    subresource: str,
    time: str,
) -> bytes:
    """Returns the entries after an update, `stored` being those before it. Both objects are without theirs.

    `sent` are those that an apply made, or that the client changed (`changed_entries`). Writes to a subresource ignore
    the latter.
    """
    if options.applies:
        return encode_entries(sent)
    if subresource in UNTRACKED:
        return stored
    writer = Writer(options.manager, resource.api_version, subresource, "" if subresource in TIMELESS else time)

    def compute(entries: Entries, writer: Writer) -> bytes:
        before, after = _document(old, subresource), _document(new, subresource)
        return encode_entries(manager.updated(entries, before, after, resource, writer))

    if sent and not subresource:
        entries = manager.from_client(sent, decode_entries(stored))
        return compute(entries, writer) if entries else b""
    if not stored:
        return b""
    return _updated(new, old, stored, resource, writer, compute)


def _updated(
    new: Object,
    old: Object,
    stored: bytes,
    resource: Resource[Any],
    writer: Writer,
    compute: Callable[[Entries, Writer], bytes],
) -> bytes:
    """Looks up the entries after an update by the entries before it and the outline of what it changes."""
    values = Values(stored, writer.time)
    outline, shape = Outline(values.names), root_shape(resource)
    try:
        _add_changes(outline, new, old, shape, writer.subresource)
    except NoOutline:
        return compute(decode_entries(stored), writer)
    if not outline.tokens:
        return stored
    if not values.is_regular:
        return compute(decode_entries(stored), writer)

    def compute_ranked() -> bytes:
        entries = decode_entries(stored)
        for entry in entries:
            entry.time = values.rank(entry.time) or None
        return compute(entries, writer._replace(time=values.rank(writer.time)))

    key = (shape, writer.api_version, writer.manager, writer.subresource, values.shape, *outline.tokens)
    return _RECIPES.make(key, values, compute_ranked)


def _add_changes(outline: Outline, new: Object, old: Object, shape: Shape, subresource: str) -> None:
    if subresource != "status":
        if new != old:
            outline.add_change(old, new, shape)
        return
    shapes = struct_fields(shape)
    for name in ("metadata", "status"):
        before, after = getattr(old, name, None), getattr(new, name, None)
        if before != after:
            outline.add_member(name, before, after, shapes.get(name, LEAF_SHAPE))


def _document(obj: Object, subresource: str) -> dict[str, Any]:
    """Returns the object as plain JSON types; for writes to the status only the status and metadata."""
    if subresource != "status":
        return to_dict(obj)
    parts = {name: getattr(obj, name, None) for name in ("metadata", "status")}
    return {
        name: to_dict(part) if isinstance(part, Model) else part for name, part in parts.items() if part is not None
    }


def changed_entries(sent: Entries | None, stored: bytes) -> Entries | None:
    """Returns the entries that a client sent; None if it only sent back what is stored."""
    return None if not sent or encode_entries(sent) == stored or sent == decode_entries(stored) else sent


def entry_errors(sent: Entries | None, owners: bytes) -> list[FieldError]:
    """Lists errors in the entries that a client changed, as they are to become the object's `owners`."""
    errors: list[FieldError] = []
    for index, entry in enumerate(decode_entries(owners) if sent else ()):
        path = f"metadata.managedFields[{index}]"
        if entry.operation not in (APPLY, UPDATE):
            errors.append(invalid(f"{path}.operation", entry.operation or "", "must be `Apply` or `Update`"))
        errors += manager_errors(entry.manager or "", f"{path}.manager")
        if len(entry.subresource or "") > MAX_SUBRESOURCE_BYTES:
            errors.append(too_long(f"{path}.subresource", MAX_SUBRESOURCE_BYTES))
    return errors
